"""What the next schema holds for certain: a treatment is followed by one at most, and a move that
stands comes true (ADR 23)."""

from itertools import pairwise
from typing import Any

from django.db import migrations
from django.db.models import Count, F, Q
from django.utils import timezone


def refuse_two_at_a_time(apps: Any, schema_editor: Any) -> None:
    """Raises ValueError where somebody made, by hand, two who treat a client at a time."""
    treatments = apps.get_model("clients", "Treatment").objects
    lasting = treatments.filter(Q(ends_on=None) | Q(ends_on__gt=timezone.localdate()))
    several = lasting.values("client").annotate(number=Count("id")).filter(number__gt=1)
    for client in several.values_list("client", flat=True):
        in_order = list(lasting.filter(client=client).order_by("starts_on", "id"))
        for before, after in pairwise(in_order):
            if before.ends_on != after.starts_on:
                raise ValueError(
                    f"Client {client} has two treatments at a time, {before.id} and {after.id}: give"
                    " one of them an end of today or before, then migrate again."
                )


def follow_what_leads_here(apps: Any, schema_editor: Any) -> None:
    """What one leads to, of where several followed one, is the one that comes after it."""
    treatments = apps.get_model("clients", "Treatment").objects
    for before in treatments.exclude(leads_to=None).filter(ends_on__gt=timezone.localdate()):
        treatments.filter(id=before.leads_to_id).update(follows=before.id)


def let_one_follow(apps: Any, schema_editor: Any) -> None:
    """Of several that followed one treatment, those that have begun, but for the newest, came by
    hand-overs that were taken back on their day: they follow nothing."""
    treatments = apps.get_model("clients", "Treatment").objects
    several = treatments.exclude(follows=None).values("follows").annotate(number=Count("id"))
    for before in several.filter(number__gt=1).values_list("follows", flat=True):
        newest_first = treatments.filter(follows=before).order_by(
            "-starts_on", F("ends_on").desc(nulls_first=True), "-id"
        )
        begun = newest_first.filter(starts_on__lte=timezone.localdate())
        begun.exclude(id=newest_first[0].id).update(follows=None)


def call_off_what_was_overtaken(apps: Any, schema_editor: Any) -> None:
    moves = apps.get_model("endings", "Move").objects
    arranged = moves.filter(called_off_at=None, arranged_at__isnull=False)
    overtaken = arranged.filter(Q(treatment__ends_on=None) | ~Q(treatment__ends_on=F("moves_on")))
    for move in overtaken.select_related("new_treatment"):
        moves.filter(id=move.id).update(
            new_treatment=None,
            called_off_at=timezone.now(),
            called_off_to=move.new_treatment.therapist_id,
        )


class Migration(migrations.Migration):
    dependencies = [("clients", "0018_treatment_leads_to"), ("endings", "0004_leads_to")]

    operations = [
        migrations.RunPython(refuse_two_at_a_time, migrations.RunPython.noop, elidable=True),
        migrations.RunPython(follow_what_leads_here, migrations.RunPython.noop, elidable=True),
        migrations.RunPython(let_one_follow, migrations.RunPython.noop, elidable=True),
        migrations.RunPython(call_off_what_was_overtaken, migrations.RunPython.noop, elidable=True),
    ]
