"""A client's treatments become one chain, which has one first (ADR 23): what was begun again, or
imported, follows too."""

from datetime import UTC, date, datetime
from itertools import pairwise
from typing import Any

import django.db.models.deletion
from django.db import migrations, models
from django.db.models import Count, Q

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
    # PostgreSQL alters no table whose foreign keys wait to be checked at the end.
    schema_editor.execute("SET CONSTRAINTS ALL IMMEDIATE")


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
        # In one with the constraint: what a server of before begins again meanwhile takes it all back.
        migrations.RunPython(follow_one_another, migrations.RunPython.noop, elidable=True),
        migrations.AlterField(
            model_name="treatment",
            name="follows",
            field=models.ForeignKey(
                blank=True,
                help_text="the client's treatment before this one",
                null=True,
                on_delete=django.db.models.deletion.RESTRICT,
                related_name="followed_by",
                to="clients.treatment",
            ),
        ),
        migrations.AddConstraint(
            model_name="treatment",
            constraint=models.UniqueConstraint(
                condition=Q(follows__isnull=True),
                fields=["client"],
                name="treatment_one_first_per_client",
            ),
        ),
    ]
