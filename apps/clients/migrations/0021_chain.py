"""The treatments of a client become one chain: what was begun again, or imported, follows too."""

from datetime import UTC, date, datetime
from itertools import pairwise
from typing import Any

from django.db import migrations
from django.db.models import Count

NEVER = datetime.min.replace(tzinfo=UTC)


def follow_one_another(apps: Any, schema_editor: Any) -> None:
    """Let the first of each chain of a client follow the last of the chain that ended before it.

    What was given and taken back on its day, and follows nothing since `endings` 0005, ended with
    no review: of chains that ended on one day it comes first, so that nothing current is followed.
    """
    treatments = apps.get_model("clients", "Treatment").objects
    first = treatments.filter(follows=None).values("client").annotate(number=Count("id"))
    for client in first.filter(number__gt=1).values_list("client", flat=True):
        for (_, before), (after, _) in pairwise(_chains(treatments.filter(client=client))):
            treatments.filter(id=after.id).update(follows=before.id)


def _chains(treatments: Any) -> list[tuple[Any, Any]]:
    """First and last of each chain of one client's treatments, by when and how the last ended."""
    after = {each.follows_id: each for each in treatments.exclude(follows=None)}
    chains = []
    for first in treatments.filter(follows=None):
        last = first
        while last.id in after:
            last = after[last.id]
        chains.append((first, last))
    return sorted(chains, key=lambda chain: _ended(chain[1]))


def _ended(treatment: Any) -> tuple[Any, ...]:
    ending = getattr(treatment, "ending", None)
    closed_at = ending.closed_at if ending else NEVER
    return treatment.ends_on or date.max, closed_at, treatment.starts_on, treatment.id


class Migration(migrations.Migration):
    dependencies = [
        ("clients", "0020_ended_pause_reasons"),
        ("endings", "0006_where_a_move_leads"),
    ]

    operations = [
        migrations.RunPython(follow_one_another, migrations.RunPython.noop, elidable=True),
    ]
