"""Whoever reads far outside their own caseload is told of, once an hour, without clients."""

from datetime import datetime, timedelta
from uuid import UUID, uuid4

import pytest
import time_machine
from django.db import connection
from django.test import Client as Browser
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from pytest_django import Settings

from apps.accounts.models import Membership, Notice, Role
from apps.accounts.notices import unread
from apps.accounts.services import change_roles, deactivate_member, reactivate_member
from apps.clients.models import Treatment
from apps.clients.watch import MOST_CLIENTS, watch_reads
from apps.core import audit, tenancy
from apps.core.tasks import seal_audit_trail
from apps.core.tenancy import one_of_many
from apps.endings.services import hand_over
from apps.exchange.two_people import ask_to_erase
from tests.factories import MembershipFactory, TreatmentFactory


def read(member: Membership, number: int) -> None:
    audit.read("view client", client_ids=[uuid4() for _ in range(number)], by=member)


def test_more_than_fifty_strangers_in_an_hour_are_told_to_the_manager_once(
    charlie: Membership, mona: Membership, as_mona: Browser
) -> None:
    read(charlie, MOST_CLIENTS // 2)
    read(charlie, MOST_CLIENTS // 2)
    seal_audit_trail()
    assert not Notice.objects.exists()
    read(charlie, 1)
    seal_audit_trail()
    read(charlie, 1)
    seal_audit_trail()
    assert Notice.objects.get().member_id == mona.id
    page = as_mona.get("/practice/").content.decode()
    assert "Charlie Nowak looked at more than 50 clients outside their own caseload" in page


def test_who_manages_is_told_though_their_place_or_role_was_taken_for_a_minute(
    charlie: Membership, mona: Membership
) -> None:
    charlie.roles = [Role.MANAGER, Role.SUPERVISOR]
    charlie.save()
    nora = MembershipFactory.create(practice=mona.practice, roles=[Role.MANAGER, Role.THERAPIST])
    deactivate_member(member=mona, by=charlie)
    change_roles(member=nora, roles=[Role.THERAPIST], by=charlie)
    read(charlie, MOST_CLIENTS + 1)
    watch_reads(charlie.practice_id, at=timezone.now())
    reactivate_member(member=mona, by=charlie)
    change_roles(member=nora, roles=[Role.MANAGER, Role.THERAPIST], by=charlie)
    for manager in (mona, nora):
        manager.refresh_from_db()
        assert "Charlie Nowak looked at more" in unread(manager)[0].said.text


def test_the_list_of_wishes_to_erase_raises_no_alarm_about_who_opens_it(
    alice: Membership, as_charlie: Browser, charlie: Membership
) -> None:
    for _ in range(MOST_CLIENTS + 1):
        ask_to_erase(client=TreatmentFactory.create(therapist=alice).client, by=alice)
    assert as_charlie.get("/erasures/").status_code == 200
    assert watch_reads(charlie.practice_id, at=timezone.now()) == 0


def test_ones_own_clients_do_not_count_and_neither_does_what_is_long_ago(
    alice: Membership, charlie: Membership, mona: Membership
) -> None:
    own = [TreatmentFactory.create(therapist=charlie).client_id for _ in range(2)]
    audit.read("view caseload", client_ids=own, by=charlie)
    read(charlie, MOST_CLIENTS)
    now = timezone.now()
    assert watch_reads(charlie.practice_id, at=now) == 0
    theirs = TreatmentFactory.create(therapist=alice).client_id
    audit.read("view client", client_ids=[theirs], by=charlie)
    assert watch_reads(charlie.practice_id, at=now + timedelta(hours=2)) == 0
    assert watch_reads(charlie.practice_id, at=timezone.now()) == 1


@pytest.mark.parametrize("way", ["handed over", "handed over before midnight", "role taken"])
def test_a_caseload_that_its_therapist_had_within_the_hour_raises_no_alarm(
    way: str, alice: Membership, charlie: Membership, mona: Membership,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr("apps.clients.watch.MOST_CLIENTS", 1)
    theirs = [TreatmentFactory.create(therapist=charlie) for _ in range(2)]
    late = timezone.localtime().replace(hour=23, minute=45 if "midnight" in way else 15, second=0)
    with time_machine.travel(late, tick=False):
        audit.read("view caseload", client_ids=[each.client_id for each in theirs], by=charlie)
        if way == "role taken":
            change_roles(member=charlie, roles=[Role.SUPERVISOR], by=mona)
        else:
            hand_over(theirs, to=alice, by=mona)
    with time_machine.travel(late + timedelta(minutes=30), tick=False):
        assert watch_reads(charlie.practice_id, at=timezone.now()) == 0


def test_clients_who_were_somebodys_for_a_minute_count_as_others(
    alice: Membership, charlie: Membership, mona: Membership, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("apps.clients.watch.MOST_CLIENTS", 1)
    theirs = [TreatmentFactory.create(therapist=alice) for _ in range(2)]
    hand_over(theirs, to=charlie, by=mona)
    audit.read("view caseload", client_ids=[each.client_id for each in theirs], by=charlie)
    hand_over(list(Treatment.objects.filter(therapist=charlie)), to=alice, by=mona)
    assert watch_reads(charlie.practice_id, at=timezone.now()) == 1


def test_a_list_that_is_opened_again_and_again_is_counted_once(
    charlie: Membership, mona: Membership
) -> None:
    """What was read comes from the database each once: an hour's looks of one who opens a long
    list every second do not fit into a worker."""
    theirs = [uuid4() for _ in range(MOST_CLIENTS)]
    for _ in range(9):
        audit.read("view caseload", client_ids=theirs, by=charlie)
    with CaptureQueriesContext(connection) as asked:
        assert watch_reads(charlie.practice_id, at=timezone.now()) == 0
    (look,) = [each["sql"] for each in asked if "core_auditentry" in each["sql"]]
    with connection.cursor() as cursor:
        cursor.execute(look)
        assert len(cursor.fetchall()) == MOST_CLIENTS


def test_a_watcher_that_fails_ends_no_round(
    charlie: Membership, dora: Membership, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tenancy, "one_of_many", one_of_many)
    settings.AUDIT_WATCHERS = [f"{__name__}.fail"]
    read(charlie, 1)
    with tenancy.practice(dora.practice_id):
        audit.read("view client", client_ids=[uuid4()], by=dora)
    FAILED.clear()
    seal_audit_trail()
    assert {charlie.practice_id, dora.practice_id} <= set(FAILED)


FAILED: list[UUID] = []


def fail(practice_id: UUID, *, at: datetime) -> None:
    FAILED.append(practice_id)
    raise RuntimeError
