"""Replays a proposed rule, and estimates it first where it is to follow local norms."""

import logging
from dataclasses import asdict
from uuid import UUID

from django.db import transaction
from django.db.models import Count
from django.utils import timezone

from apps.accounts.models import Membership, Practice
from apps.clients.models import Treatment
from apps.core import tenancy
from apps.ruptures.models import RuleChange, Screening
from apps.ruptures.rules import propose_change, read_parameters, rule_in_force

logger = logging.getLogger(__name__)

MIN_CLIENTS, MIN_RATINGS = 200, 1000
"""Local norms are estimated from at least so many clients and ratings."""


def rated_so_far(practice_id: UUID, detection_form: str) -> dict[str, int]:
    """How many clients gave how many ratings by forms of this kind: {"clients", "ratings"}.

    But for those whose processing is restricted, as in a replay.
    """
    rated = Screening.objects.current().filter(
        practice=practice_id, questionnaire__detection_form=detection_form, pomp__isnull=False
    )
    rated = rated.exclude(treatment__in=Treatment.objects.restricted())
    return rated.aggregate(clients=Count("treatment__client", distinct=True), ratings=Count("pk"))


def is_enough(counted: dict[str, int]) -> bool:
    """Whether local norms may be estimated from so many clients and ratings."""
    return counted["clients"] >= MIN_CLIENTS and counted["ratings"] >= MIN_RATINGS


@transaction.atomic
def propose_local_norms(*, practice: Practice, detection_form: str, by: Membership) -> RuleChange:
    """Put local norms up for decision; a worker estimates and replays them.

    Called again while nothing came of it, it rings for the worker once more.
    """
    change = RuleChange.objects.filter(practice=practice, decision="", report__isnull=True).first()
    change = change or propose_change(practice=practice, detection_form=detection_form, by=by)
    practice_id, change_id = str(practice.id), str(change.id)
    transaction.on_commit(lambda: _ring(practice_id, change_id), robust=True)
    return change


def _ring(practice_id: str, change_id: str) -> None:
    from apps.ruptures.tasks import replay_rule_change

    try:
        replay_rule_change.apply_async(args=(practice_id, change_id), retry=False)
    except replay_rule_change.OperationalError:
        logger.warning("The broker is away; the manager can start the replay again.")


def replay_change(*, practice_id: UUID, change_id: UUID) -> None:
    """Replay an undecided change and keep the report; its progress is seen while it runs."""
    from apps.ruptures import norms, replay  # numpy: nothing that serves pages loads it

    with tenancy.practice(practice_id):
        change = RuleChange.objects.filter(id=change_id, decision="", report__isnull=True).first()
        if change is None:
            return
        form = change.detection_form
        now = rule_in_force(practice_id, form)
        past = replay.load_past(practice_id, form)
        if change.parameters is None:
            found = norms.local_norms(past)
            change.learned_from = rated_so_far(practice_id, form)
            change.parameters = asdict(found.put_into(now.parameters) if found else now.parameters)
            change.save(update_fields=["learned_from", "parameters"])

    def tell(percent: int) -> None:
        with tenancy.practice(practice_id):
            RuleChange.objects.filter(id=change_id).update(progress=percent)

    proposed = read_parameters(form, change.parameters)
    report = replay.replay_past(past, now.parameters, proposed, tell)
    with tenancy.practice(practice_id):
        RuleChange.objects.filter(id=change_id, decision="").update(
            report=report | {"now": now.version}, replayed_at=timezone.now(), progress=100
        )
