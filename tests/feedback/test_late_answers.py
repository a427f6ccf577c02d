"""Answers that came too late, as far as was known when they were entered."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from django.test import Client as Browser
from django.utils import timezone

from apps.accounts.models import Membership
from apps.clients.models import Treatment
from apps.core import outbox
from apps.core.models import OutboxMessage
from apps.feedback.lifecycle import expire_requests, weigh_silence
from apps.feedback.services import ask_in_room, practice_questionnaire, submit_response
from apps.ruptures.models import RuptureEpisode, Screening
from apps.ruptures.services import record_outcome
from apps.therapy_sessions.models import TherapySession
from tests.conftest import signed_in
from tests.factories import TherapySessionFactory, TreatmentFactory
from tests.feedback.conftest import ITEMS

URL = "/sessions/log/"
NOT_ASKED = {"attendance": "attended", "ask_by": "none", "not_asked_reason": "client_asked"}
ASKED = {"attendance": "attended", "ask_by": "email"}
FELT_TENSE = {"tension": "2", "tension_resolved": "0"}


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


def test_nor_does_it_open_anew_what_has_its_outcome(alice: Membership, well: Treatment) -> None:
    """Answers count since they first did: the outcome is about what was known by then."""
    as_alice = signed_in(alice)
    session = log(as_alice, well, 12, **NOT_ASKED)
    other = log(as_alice, well, 16, **NOT_ASKED)
    enter_paper(as_alice, session, 17, 1)
    correct(as_alice, other, 16, "therapist_cancelled")
    with time_machine.travel(timezone.now() + timedelta(hours=66), tick=False) as clock:
        record_outcome(
            episode=RuptureEpisode.objects.open().get(),
            outcome=RuptureEpisode.Outcome.REPAIRED,
            by=alice,
        )
        clock.shift(timedelta(hours=1))
        as_alice = signed_in(alice)
        correct(as_alice, other, 16, "attended", not_asked_reason="client_asked")
        correct(as_alice, other, 16, "therapist_cancelled")
    assert said_about(session) == (False, 10)
    assert RuptureEpisode.objects.get().outcome == RuptureEpisode.Outcome.REPAIRED


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


def held_against(session: TherapySession) -> tuple[bool, int]:
    """Whether no answer counts as silence, and how many possible ruptures it opened."""
    session.refresh_from_db()
    screened = Screening.objects.current().get(therapy_session=session).inputs
    assert screened["asked"] is session.asked
    return session.asked and screened["pomp"] is None, RuptureEpisode.objects.count()


@pytest.mark.parametrize("way", ["nobody asked", "never delivered", "not safe any more"])
def test_answers_that_came_too_late_are_no_silence_where_nobody_could_have_answered_in_time(
    alice: Membership, well: Treatment, way: str
) -> None:
    """The therapist noticed tension; the client’s late paper has nothing but tens."""
    how = NOT_ASKED if way == "nobody asked" else ASKED
    session = log(signed_in(alice), well, 18, **how, **FELT_TENSE)
    with time_machine.travel(timezone.now(), tick=False) as clock:
        if way == "never delivered":
            well.client.channels.update(safe_to_contact=False)
        clock.shift(timedelta(hours=20))
        outbox.deliver_due()
        if way == "not safe any more":
            well.client.channels.update(safe_to_contact=False)
        clock.shift(timedelta(days=9))
        if way == "never delivered":
            expire_requests()
        enter_paper(signed_in(alice), session, 26, 10)
        assert session.ratings.get().is_late
        assert held_against(session) == (False, 0)


@pytest.mark.parametrize("is_closed", [True, False])
def test_no_late_paper_takes_back_the_silence_to_a_form_that_was_out_unless_it_came_back(
    alice: Membership, well: Treatment, is_closed: bool
) -> None:
    session = log(signed_in(alice), well, 18, **ASKED, **FELT_TENSE)
    with time_machine.travel(timezone.now(), tick=False) as clock:
        clock.shift(timedelta(hours=20))
        outbox.deliver_due()
        clock.shift(timedelta(days=9))
        if is_closed:
            expire_requests()
        enter_paper(signed_in(alice), session, 26, 10)
        assert held_against(session) == (True, 1)
        OutboxMessage.objects.update(state=OutboxMessage.State.FAILED, sent_at=None)
        weigh_silence(session.feedback_requests.get().id)
        assert held_against(session) == (False, 1)
        assert not RuptureEpisode.objects.open().exists()


def test_late_answers_that_count_by_now_were_asked_for_and_are_not_any_more_once_late_again(
    as_alice: Browser, well: Treatment
) -> None:
    session = log(as_alice, well, 12, **NOT_ASKED)
    other = log(as_alice, well, 16, **NOT_ASKED)
    enter_paper(as_alice, session, 17, 9)
    for attendance, asked in (("therapist_cancelled", True), ("attended", False)):
        correct(as_alice, other, 16, attendance, not_asked_reason="client_asked")
        current = Screening.objects.current().get(therapy_session=session)
        assert current.inputs["asked"] is asked


@pytest.mark.parametrize("way", ["room", "link"])
def test_nor_are_answers_silence_that_were_taken_though_they_count_no_more(
    well: Treatment, alice: Membership, way: str
) -> None:
    """Forms of before, say: they stayed open past the next session."""
    session = TherapySessionFactory.create(treatment=well, **FELT_TENSE)
    questionnaire = practice_questionnaire(alice.practice)
    asked = ask_in_room(therapy_session=session, questionnaire=questionnaire, by=alice)
    soon = timezone.now() + timedelta(minutes=1)
    TherapySessionFactory.create(treatment=well, starts_at=soon, attendance="")
    with time_machine.travel(soon, tick=False):
        tens = dict.fromkeys(ITEMS, 10)
        assert submit_response(request_id=asked.id, answers=tens, mode=way).is_late
    assert held_against(session) == (False, 0)
