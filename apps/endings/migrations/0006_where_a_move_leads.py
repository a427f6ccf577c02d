"""A move leads to the treatment that follows: nothing else says so."""

from django.db import migrations, models
from django.db.models import Q


class Migration(migrations.Migration):
    dependencies = [
        ("endings", "0005_one_after_the_other"),
    ]

    operations = [
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
