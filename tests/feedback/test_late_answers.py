"""Answers that came too late, as far as was known when they were entered."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from django.test import Client as Browser
from django.utils import timezone

from apps.accounts.models import Membership
from apps.clients.models import Treatment
from apps.ruptures.models import RuptureEpisode, Screening
from apps.therapy_sessions.models import TherapySession
from tests.conftest import signed_in
from tests.factories import TherapySessionFactory, TreatmentFactory
from tests.feedback.conftest import ITEMS

URL = "/sessions/log/"
NOT_ASKED = {"attendance": "attended", "ask_by": "none", "not_asked_reason": "client_asked"}


@pytest.fixture(autouse=True)
def _on_a_wednesday_evening() -> Any:
    with time_machine.travel(datetime(2026, 2, 18, 18, tzinfo=UTC), tick=False):
        yield


@pytest.fixture
def well(alice: Membership) -> Treatment:
    """A treatment that went well, up to two weeks ago."""
    with time_machine.travel(datetime(2026, 2, 2, 18, tzinfo=UTC), tick=False):
        treatment: Treatment = TreatmentFactory.create(therapist=alice, pomps=[90, 80, 90, 90])
    return treatment


def when(day: int) -> dict[str, str]:
    return {"held_on": f"2026-02-{day}", "start": "17:00", "minutes": "50"}


def log(browser: Browser, treatment: Treatment, day: int, **how: str) -> TherapySession:
    browser.post(URL, {"treatment": treatment.id} | when(day) | how)
    return treatment.therapy_sessions.exclude(attendance="").latest("logged_at", "starts_at")


def correct(
    browser: Browser, session: TherapySession, day: int, attendance: str, **also: str
) -> None:
    sent = when(day) | {"attendance": attendance} | also
    assert browser.post(f"/sessions/{session.id}/correct/", sent).status_code == 302


def enter_paper(browser: Browser, session: TherapySession, day: int, answer: int) -> None:
    sent = {f"item_{item}": str(answer) for item in ITEMS} | {"filled_in_on": f"2026-02-{day}"}
    assert browser.post(f"/sessions/{session.id}/paper/", sent).status_code == 302


def said_about(session: TherapySession) -> tuple[bool, float | None]:
    """Whether its rating came late, and what was screened."""
    return session.ratings.get().is_late, Screening.objects.current().get(
        therapy_session=session
    ).pomp


@pytest.mark.parametrize("is_paper_first", [True, False])
def test_answers_count_once_the_day_of_their_session_is_put_right(
    as_alice: Browser, well: Treatment, is_paper_first: bool
) -> None:
    session = log(as_alice, well, 10, **NOT_ASKED)
    if is_paper_first:
        enter_paper(as_alice, session, 18, 1)
        assert said_about(session) == (True, None)
    correct(as_alice, session, 17, "attended")
    if not is_paper_first:
        enter_paper(as_alice, session, 18, 1)
    assert said_about(session) == (False, 10)
    assert RuptureEpisode.objects.open().get().opened_by == session


@pytest.mark.parametrize("is_paper_first", [True, False])
@pytest.mark.parametrize("how", ["log", "correct"])
def test_answers_count_once_the_session_before_them_has_turned_out_not_to_take_place(
    as_alice: Browser, well: Treatment, how: str, is_paper_first: bool
) -> None:
    session = log(as_alice, well, 12, **NOT_ASKED)
    if how == "log":
        starts_at = datetime(2026, 2, 16, 17, tzinfo=UTC)
        TherapySessionFactory.create(treatment=well, starts_at=starts_at, attendance="")
    else:
        other = log(as_alice, well, 16, **NOT_ASKED)
    if is_paper_first:
        enter_paper(as_alice, session, 17, 1)
        assert said_about(session) == (True, None)
    if how == "log":
        log(as_alice, well, 16, attendance="therapist_cancelled")
    else:
        correct(as_alice, other, 16, "therapist_cancelled")
    if not is_paper_first:
        enter_paper(as_alice, session, 17, 1)
    assert said_about(session) == (False, 10)
    assert RuptureEpisode.objects.open().get().opened_by == session


@pytest.mark.parametrize("taken_back_by", ["undo", "correction"])
def test_answers_are_late_again_where_what_let_them_count_was_a_slip(
    as_alice: Browser, well: Treatment, taken_back_by: str
) -> None:
    session = log(as_alice, well, 12, **NOT_ASKED)
    other = log(as_alice, well, 16, **NOT_ASKED)
    enter_paper(as_alice, session, 17, 1)
    if taken_back_by == "undo":
        as_alice.post(f"/sessions/{other.id}/undo/")
        other = log(as_alice, well, 16, attendance="therapist_cancelled")
        assert said_about(session) == (False, 10)
        as_alice.post(f"/sessions/{other.id}/undo/")
    else:
        correct(as_alice, other, 16, "therapist_cancelled")
        assert said_about(session) == (False, 10)
        correct(as_alice, other, 16, "attended", not_asked_reason="client_asked")
    assert said_about(session) == (True, None)
    assert not RuptureEpisode.objects.open().exists()


def test_no_correction_to_and_fro_of_what_let_answers_count_begins_the_waiting_time_anew(
    alice: Membership, well: Treatment
) -> None:
    as_alice = signed_in(alice)
    session = log(as_alice, well, 12, **NOT_ASKED)
    other = log(as_alice, well, 16, **NOT_ASKED)
    enter_paper(as_alice, session, 17, 1)
    correct(as_alice, other, 16, "therapist_cancelled")
    opened = RuptureEpisode.objects.open().get()
    with time_machine.travel(timezone.now() + timedelta(hours=66), tick=False):
        as_alice = signed_in(alice)
        correct(as_alice, other, 16, "attended", not_asked_reason="client_asked")
        assert not RuptureEpisode.objects.open().exists()
        correct(as_alice, other, 16, "therapist_cancelled")
    again = RuptureEpisode.objects.open().get()
    assert (again.id, again.fell_at) == (opened.id, opened.fell_at)


def test_answers_of_which_the_session_was_moved_behind_another_are_screened_in_their_order(
    as_alice: Browser, well: Treatment
) -> None:
    session = log(as_alice, well, 10, **NOT_ASKED)
    other = log(as_alice, well, 16, **NOT_ASKED)
    enter_paper(as_alice, session, 18, 1)
    enter_paper(as_alice, other, 16, 9)
    correct(as_alice, session, 17, "attended")
    assert [said_about(each) for each in (other, session)] == [(False, 90), (False, 10)]
    current = Screening.objects.current().filter(treatment=well)
    first, last = (current.get(therapy_session=each) for each in (other, session))
    assert last.state_before == first.state_after


def test_answers_that_were_in_time_stay_so_whatever_is_logged_or_planned_before_them(
    as_alice: Browser, well: Treatment
) -> None:
    session = log(as_alice, well, 12, **NOT_ASKED)
    enter_paper(as_alice, session, 17, 1)
    soon = {"first_on": "2026-02-16", "start": "12:00", "minutes": "50", "every_weeks": "0"}
    as_alice.post(f"/clients/{well.client_id}/plan/", soon | {"count": "1"})
    log(as_alice, well, 15, **NOT_ASKED)
    correct(as_alice, session, 11, "attended")
    assert said_about(session) == (False, 10)
    assert RuptureEpisode.objects.open().get().opened_by == session
    session.refresh_from_db()
    assert timezone.localdate(session.starts_at).day == 11
