"""Two therapists begin again with the same client at the same moment: one treatment."""

import time
from concurrent.futures import Future, ThreadPoolExecutor

import pytest
from django.db import connection, connections, transaction
from django.utils import timezone

from apps.accounts.models import Membership
from apps.clients.models import Treatment
from apps.core import tenancy
from apps.core.models import AuditEntry
from apps.endings.models import Ending
from apps.endings.services import CannotReopen, close_treatment, reopen_treatment
from tests.factories import TreatmentFactory


def somebody_waits_for_us() -> bool:
    """By the locks: what pg_stat_activity says stands still for the whole of a transaction."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT exists(SELECT FROM pg_locks"
            " WHERE NOT granted AND pg_backend_pid() = ANY(pg_blocking_pids(pid)))"
        )
        return bool(cursor.fetchone()[0])


def reopen(ending: Ending) -> None:
    try:
        with tenancy.practice(ending.practice_id):
            reopen_treatment(ending=ending, by=ending.treatment.therapist)
    finally:
        connections.close_all()


@pytest.mark.django_db(transaction=True)
def test_of_two_who_reopen_at_once_the_second_waits_and_finds_the_first(
    alice: Membership, charlie: Membership
) -> None:
    hers = TreatmentFactory.create(therapist=alice)
    his = TreatmentFactory.create(therapist=charlie, client=hers.client)
    first, second = (
        close_treatment(treatment=each, how="agreed", review="", by=each.therapist)
        for each in (hers, his)
    )
    with ThreadPoolExecutor(1) as elsewhere:
        with transaction.atomic():
            begun = reopen_treatment(ending=first, by=alice)
            other: Future[None] = elsewhere.submit(reopen, second)
            until = time.monotonic() + 30
            while not (somebody_waits_for_us() or other.done() or time.monotonic() > until):
                time.sleep(0.02)
            assert somebody_waits_for_us(), "it did not wait"
        with pytest.raises(CannotReopen):
            other.result(timeout=30)
    current = Treatment.objects.not_ended(on=timezone.localdate())
    assert list(current.filter(client=hers.client)) == [begun]
    assert AuditEntry.objects.filter(action="reopen treatment").count() == 1
