"""What a treatment that is to end leads to stands in its own row, also where that is arranged; and
one that was handed back before it began is none."""

from typing import Any

from django.db import migrations
from django.db.models import F
from django.utils import timezone


def delete_what_never_began(apps: Any, schema_editor: Any) -> None:
    treatments = apps.get_model("clients", "Treatment").objects
    moves = apps.get_model("endings", "Move").objects
    sessions = apps.get_model("therapy_sessions", "TherapySession").objects
    to_come = treatments.filter(starts_on__gt=timezone.localdate(), follows__isnull=False)
    for treatment in to_come.filter(ends_on=F("starts_on")):
        before = treatments.get(id=treatment.follows_id)
        while before.follows_id and before.starts_on == before.ends_on > timezone.localdate():
            before = treatments.get(id=before.follows_id)
        treatments.filter(follows=treatment.id).update(follows=before.id)
        moves.filter(new_treatment=treatment.id).update(
            new_treatment=None, called_off_at=timezone.now(), called_off_to=treatment.therapist_id
        )
        theirs = sessions.filter(treatment=before.id).values("starts_at")
        sessions.filter(treatment=treatment.id, starts_at__in=theirs).delete()
        sessions.filter(treatment=treatment.id).update(treatment=before.id)
        treatments.filter(id=treatment.id).delete()


def lead_to_the_treatment_after(apps: Any, schema_editor: Any) -> None:
    treatments = apps.get_model("clients", "Treatment").objects
    moves = apps.get_model("endings", "Move").objects.filter(called_off_at=None)
    for treatment in treatments.filter(ends_on__gt=timezone.localdate(), ending=None):
        by_move = moves.filter(treatment=treatment.id, moves_on=treatment.ends_on).first()
        others = treatments.filter(client=treatment.client_id).exclude(id=treatment.id)
        after = (
            others.filter(id=by_move and by_move.new_treatment_id).first()
            or others.filter(follows=treatment.id).first()
            or others.filter(ends_on=None).first()
        )
        treatments.filter(id=treatment.id).update(leads_to=after)


class Migration(migrations.Migration):
    dependencies = [
        ("clients", "0018_treatment_leads_to"),
        ("endings", "0003_call_off_move"),
        ("therapy_sessions", "0005_corrected_at"),
    ]

    operations = [
        migrations.RunPython(delete_what_never_began, migrations.RunPython.noop, elidable=True),
        migrations.RunPython(lead_to_the_treatment_after, migrations.RunPython.noop, elidable=True),
    ]
