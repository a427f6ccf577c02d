"""Who takes a client over by a move sees them from its day on, also where it is arranged already."""

from typing import Any

from django.db import migrations


def link_to_the_treatment_before(apps: Any, schema_editor: Any) -> None:
    treatments = apps.get_model("clients", "Treatment").objects
    for move in apps.get_model("endings", "Move").objects.filter(arranged_at__isnull=False):
        treatments.filter(id=move.new_treatment_id).update(follows=move.treatment_id)


class Migration(migrations.Migration):
    dependencies = [("clients", "0007_treatment_follows"), ("endings", "0001_initial")]

    operations = [
        migrations.RunPython(link_to_the_treatment_before, migrations.RunPython.noop, elidable=True)
    ]
