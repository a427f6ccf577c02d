"""A move leads to the treatment that follows: nothing else says so."""

from typing import Any

from django.db import migrations, models
from django.db.models import F, Q


def pass_nothing_on_to_whom_nobody_agreed(apps: Any, schema_editor: Any) -> None:
    """Where the treatment that a move led to was taken back on its day, another one follows."""
    arranged = apps.get_model("endings", "Move").objects.filter(
        called_off_at=None, arranged_at__isnull=False
    )
    arranged.exclude(new_treatment__follows=F("treatment")).update(passes_on=[])


class Migration(migrations.Migration):
    dependencies = [
        ("endings", "0005_one_after_the_other"),
    ]

    operations = [
        migrations.RunPython(
            pass_nothing_on_to_whom_nobody_agreed, migrations.RunPython.noop, elidable=True
        ),
        migrations.RemoveConstraint(model_name="move", name="move_arranged_after_consent"),
        migrations.RemoveConstraint(model_name="move", name="move_called_off_once_arranged"),
        migrations.RemoveIndex(model_name="move", name="move_by_new_treatment"),
        migrations.RemoveField(model_name="move", name="new_treatment"),
        migrations.AddConstraint(
            model_name="move",
            constraint=models.CheckConstraint(
                condition=Q(arranged_at__isnull=True)
                | Q(agreed_on__isnull=False, moves_on__isnull=False),
                name="move_arranged_after_consent",
            ),
        ),
        migrations.AddConstraint(
            model_name="move",
            constraint=models.CheckConstraint(
                condition=Q(called_off_at__isnull=True, called_off_to__isnull=True)
                | Q(
                    called_off_at__isnull=False,
                    called_off_to__isnull=False,
                    arranged_at__isnull=False,
                ),
                name="move_called_off_once_arranged",
            ),
        ),
    ]
