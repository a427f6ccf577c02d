"""The diary as an iCalendar file at an address of its own."""

from collections.abc import Callable
from datetime import timedelta
from uuid import uuid4

import pytest
import time_machine
from django.test import Client as Browser
from django.utils import timezone
from django.utils.formats import date_format
from icalendar import Calendar

from apps.accounts.models import Membership, Practice, User
from apps.accounts.services import change_roles
from apps.accounts.sign_in_services import end_sessions
from apps.clients.models import Treatment
from apps.core.models import AuditEntry
from apps.exchange import calendars
from apps.exchange.calendars import open_calendar, read_token
from apps.exchange.models import CalendarFeed
from tests.conftest import work_in
from tests.factories import PASSWORD, TherapySessionFactory, TreatmentFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def treatment(alice: Membership) -> Treatment:
    return TreatmentFactory.create(therapist=alice, client__code="FE-0007")


@pytest.fixture
def fetch(practice: Practice) -> Callable[[str], object]:
    """What a calendar program gets: it is signed in nowhere."""

    def fetch(token: str) -> object:
        work_in(None)
        response = Browser().get(f"/calendar/{token}/rapport.ics")
        work_in(practice.id)
        return response

    return fetch


def test_a_program_reads_codes_and_times_and_nothing_else(
    alice: Membership, treatment: Treatment, fetch: Callable
) -> None:
    start = timezone.now().replace(microsecond=0) + timedelta(days=1)
    TherapySessionFactory.create(treatment=treatment, starts_at=start, attendance="")
    called_off = start + timedelta(days=7)
    TherapySessionFactory.create(
        treatment=treatment,
        starts_at=called_off,
        attendance="therapist_cancelled",
        logged_at=start,
    )
    response = fetch(open_calendar(by=alice))
    assert response["Content-Type"] == "text/calendar; charset=utf-8"
    assert response["Cache-Control"] == "no-store"
    [event] = Calendar.from_ical(response.content).walk("VEVENT")
    assert event["SUMMARY"] == "FE-0007"
    assert event.decoded("DTSTART") == start
    assert event.decoded("DTEND") - event.decoded("DTSTART") == timedelta(minutes=50)
    assert treatment.client.initials not in response.content.decode()
    entry = AuditEntry.objects.get(action="read calendar file")
    assert (entry.actor_id, entry.client_ids) == (alice.id, [treatment.client_id])


def test_an_address_ends_when_it_is_closed_made_anew_or_its_owner_leaves(
    alice: Membership, as_alice: Browser, treatment: Treatment, fetch: Callable
) -> None:
    first = open_calendar(by=alice)
    second = open_calendar(by=alice)
    assert fetch(first).status_code == 404
    assert fetch(second).status_code == 200
    alice.is_active = False
    alice.save()
    assert fetch(second).status_code == 404
    alice.is_active = True
    alice.save()
    as_alice.post("/diary/calendar/close/")
    assert fetch(second).status_code == 404
    assert not CalendarFeed.objects.exists()


def test_an_address_ends_with_the_sessions_and_the_account_of_its_owner(
    alice: Membership, mona: Membership, fetch: Callable
) -> None:
    user = alice.user
    assert user
    token = open_calendar(by=alice)
    change_roles(member=alice, roles=["therapist", "supervisor"], by=mona)
    assert fetch(token).status_code == 404
    user.refresh_from_db()
    token = open_calendar(by=Membership.objects.get(id=alice.id))
    assert fetch(token).status_code == 200
    user.is_active = False
    user.save()
    assert fetch(token).status_code == 404


def test_clients_leave_the_calendar_on_the_practices_day(
    practice: Practice, alice: Membership, treatment: Treatment, fetch: Callable
) -> None:
    Practice.objects.filter(id=practice.id).update(time_zone="Pacific/Auckland")
    token = open_calendar(by=alice)
    TherapySessionFactory.create(treatment=treatment)
    eight_in_auckland = (timezone.now() + timedelta(days=1)).replace(hour=19)
    with time_machine.travel(eight_in_auckland, tick=False):
        assert b"FE-0007" in fetch(token).content
        treatment.ends_on = eight_in_auckland.date() + timedelta(days=1)
        treatment.save()
        assert b"FE-0007" not in fetch(token).content


def test_an_address_is_read_thirty_times_in_ten_minutes(alice: Membership, fetch: Callable) -> None:
    token = open_calendar(by=alice)
    with time_machine.travel(timezone.now(), tick=False):
        assert [fetch(token).status_code for _ in range(31)] == [200] * 30 + [429]


def test_whoever_guesses_gets_the_page_of_what_is_not_there(
    alice: Membership, fetch: Callable
) -> None:
    token = open_calendar(by=alice)
    dotted = token[:8] + "...." + token[8:]  # which Python's decoder passes over
    wrong = [dotted, token[:-4] + "AAAA", "A" * len(token), "x", token + "A", "ä", str(uuid4())]
    pages = {(fetch(each).status_code, fetch(each).content) for each in wrong}
    assert len(pages) == 1
    assert next(iter(pages))[0] == 404


def test_the_address_is_shown_once_and_kept_nowhere(as_alice: Browser, alice: Membership) -> None:
    first = as_alice.post("/diary/calendar/")
    assert first["Location"].startswith("/sign-in/again/")
    assert not CalendarFeed.objects.exists()
    as_alice.post("/sign-in/again/", {"password": PASSWORD})
    page = as_alice.post("/diary/calendar/")
    address = page.context["address"]
    assert address in page.content.decode()
    assert address not in as_alice.get("/diary/calendar/").content.decode()
    token = address.split("/")[-2]
    practice_id, digest = read_token(token) or (None, "")
    assert practice_id == alice.practice_id
    assert CalendarFeed.objects.get().digest == digest
    assert token not in digest


def test_the_page_says_when_the_address_that_reads_was_made(
    as_alice: Browser, alice: Membership
) -> None:
    with time_machine.travel(timezone.now() - timedelta(days=90)):
        open_calendar(by=alice)
    open_calendar(by=alice)
    today = date_format(timezone.localdate(), "j M Y")
    assert f"made on {today}" in as_alice.get("/diary/calendar/").content.decode()


def test_an_address_that_is_made_as_the_sessions_end_ends_with_them(
    as_alice: Browser, alice: Membership, fetch: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    as_alice.post("/sign-in/again/", {"password": PASSWORD})
    user = User.objects.get(id=alice.user_id)
    monkeypatch.setattr(
        calendars, "open_calendar", lambda by: end_sessions(user=user) or open_calendar(by=by)
    )
    address = as_alice.post("/diary/calendar/").context["address"]
    assert fetch(address.split("/")[-2]).status_code == 404


def test_only_who_has_a_caseload_has_a_calendar(as_sam: Browser, as_mona: Browser) -> None:
    for browser in (as_sam, as_mona):
        assert browser.get("/diary/calendar/").status_code == 403
        assert browser.post("/diary/calendar/close/").status_code == 403
