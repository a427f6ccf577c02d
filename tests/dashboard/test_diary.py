"""The diary: a week of one's own sessions."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection
from django.http import HttpResponse
from django.test import Client as Browser
from django.test.utils import CaptureQueriesContext

from apps.accounts.models import Membership
from apps.clients.models import Treatment
from apps.core.models import AuditEntry
from tests.factories import TherapySessionFactory, TreatmentFactory

pytestmark = pytest.mark.django_db
URL = "/diary/"
Words = Callable[[HttpResponse], str]


@pytest.fixture
def treatment(alice: Membership) -> Treatment:
    return TreatmentFactory.create(therapist=alice, client__code="FE-0007")


def at(day: int, hour: int, minute: int = 0) -> datetime:
    """A moment of November 2026, in which London and UTC agree; the 19th is a Thursday."""
    return datetime(2026, 11, day, hour, minute, tzinfo=UTC)


def test_a_week_shows_what_is_planned_and_what_took_place(
    as_alice: Browser, treatment: Treatment, words: Words
) -> None:
    TherapySessionFactory.create(treatment=treatment, starts_at=at(16, 9))
    TherapySessionFactory.create(
        treatment=treatment, starts_at=at(17, 9, 30), attendance="no_show", logged_at=at(17, 10)
    )
    TherapySessionFactory.create(treatment=treatment, starts_at=at(20, 11), attendance="")
    page = as_alice.get(URL)
    said = words(page)
    assert "16–20 November 2026" in said
    assert "Thu 19, today" in said
    assert "09:00 · Not asked" in said
    assert "09:30 · No-show" in said
    slots = [slot for day in page.context["diary"].days for slot in day.slots]
    assert [slot.look for slot in slots] == ["", "gone", ""]
    assert [bool(slot.move_url) for slot in slots] == [False, False, True]
    assert as_alice.get(slots[2].move_url).status_code == 200
    assert "Sat 21" not in said


def test_what_has_begun_and_is_not_logged_leads_to_logging_it(
    as_alice: Browser, treatment: Treatment
) -> None:
    session = TherapySessionFactory.create(treatment=treatment, starts_at=at(19, 11), attendance="")
    page = as_alice.get(URL)
    [slot] = [slot for day in page.context["diary"].days for slot in day.slots]
    assert (slot.look, slot.url) == ("log", f"/sessions/log/?session={session.id}")
    assert (slot.quick_log_url, slot.move_url) == (f"/sessions/{session.id}/quick/", "")


def test_an_open_episode_is_marked_in_this_week_and_not_in_one_that_is_over(
    as_alice: Browser, alice: Membership
) -> None:
    TreatmentFactory.create(therapist=alice, falling=True)
    for week, look in (("2026-11-18", "flag"), ("2026-11-11", "")):
        page = as_alice.get(URL, {"week": week})
        assert [s.look for day in page.context["diary"].days for s in day.slots] == [look]


def test_a_weekend_is_drawn_only_where_there_is_something_in_it(
    as_alice: Browser, treatment: Treatment, words: Words
) -> None:
    TherapySessionFactory.create(treatment=treatment, starts_at=at(21, 19), attendance="")
    said = words(as_alice.get(URL))
    assert "Sat 21" in said
    assert "Sun 22" not in said
    assert "19:00" in said


@pytest.mark.parametrize("asked", ["soon", "9999-12-31", "0001-01-01", "2026-02-30"])
def test_an_address_that_asks_for_no_week_gets_one_anyway(as_alice: Browser, asked: str) -> None:
    assert as_alice.get(URL, {"week": asked}).status_code == 200


def test_a_colleague_sees_nothing_of_it_and_the_audit_says_who_was_shown(
    as_alice: Browser, as_charlie: Browser, treatment: Treatment, words: Words
) -> None:
    TherapySessionFactory.create(treatment=treatment, starts_at=at(19, 15), attendance="")
    assert "FE-0007" not in words(as_charlie.get(URL))
    assert not AuditEntry.objects.filter(action="view diary").exists()
    assert "FE-0007" in words(as_alice.get(URL))
    assert AuditEntry.objects.get(action="view diary").client_ids == [treatment.client_id]


def test_supervisors_and_managers_have_no_diary(as_sam: Browser, as_mona: Browser) -> None:
    assert as_sam.get(URL).status_code == 403
    assert as_mona.get(URL).status_code == 403


def test_it_asks_the_database_as_often_at_3_and_at_30_clients(
    as_alice: Browser, alice: Membership
) -> None:
    counts = []
    for clients in (3, 27):
        for n in range(clients):
            treatment = TreatmentFactory.create(therapist=alice)
            start = at(16, 9) + timedelta(minutes=n)
            TherapySessionFactory.create(treatment=treatment, starts_at=start, attendance="")
        with CaptureQueriesContext(
            connection,
        ) as queries:
            as_alice.get(URL)
        counts.append(len(queries))
    assert counts[0] == counts[1]
