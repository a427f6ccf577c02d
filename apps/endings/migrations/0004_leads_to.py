"""What a treatment that is to end leads to stands in its own row, also where that is arranged."""

from typing import Any

from django.db import migrations
from django.db.models import F
from django.utils import timezone


def lead_to_the_treatment_after(apps: Any, schema_editor: Any) -> None:
    treatments = apps.get_model("clients", "Treatment").objects
    ending = treatments.filter(ends_on__gt=timezone.localdate(), ending=None)
    moves = apps.get_model("endings", "Move").objects.filter(called_off_at=None)
    for treatment in ending:
        by_move = moves.filter(treatment=treatment, moves_on=treatment.ends_on).first()
        others = treatments.filter(client=treatment.client_id).exclude(id=treatment.id)
        after = others.filter(id=by_move and by_move.new_treatment_id).first()
        # Not one that was handed back before it began.
        coming = others.exclude(ends_on=F("starts_on")).filter(follows=treatment.id)
        after = after or coming.first() or others.filter(ends_on=None).first()
        treatments.filter(id=treatment.id).update(leads_to=after)


class Migration(migrations.Migration):
    dependencies = [("clients", "0018_treatment_leads_to"), ("endings", "0003_call_off_move")]

    operations = [
        migrations.RunPython(lead_to_the_treatment_after, migrations.RunPython.noop, elidable=True)
    ]
