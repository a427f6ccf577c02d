"""Logging a planned session with one click."""

from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.test import Client as Browser
from django.utils import timezone

from apps.accounts.models import Membership
from apps.clients.models import Treatment
from apps.feedback.models import FeedbackRequest
from apps.feedback.services import practice_questionnaire, request_feedback
from apps.ruptures.models import Screening
from apps.therapy_sessions.models import TherapySession
from tests.factories import TherapySessionFactory

NOON = "2026-11-19T12:30:00+00:00"


@pytest.fixture(autouse=True)
def _at_noon() -> Any:
    with time_machine.travel(NOON, tick=False):
        yield


def plan(treatment: Treatment, *, hours_from_now: float) -> TherapySession:
    starts_at = timezone.now() + timedelta(hours=hours_from_now)
    return TherapySessionFactory.create(treatment=treatment, starts_at=starts_at, attendance="")


def log(browser: Browser, session: TherapySession, how: str) -> Any:
    return browser.post(f"/sessions/{session.id}/quick/", {"how": how})


@pytest.fixture
def asked_last_week(treatment: Treatment, alice: Membership) -> FeedbackRequest:
    with time_machine.travel("2026-11-12T12:30:00+00:00", tick=False):
        session = TherapySessionFactory.create(treatment=treatment)
        return request_feedback(
            therapy_session=session,
            questionnaire=practice_questionnaire(alice.practice),
            channel_kind="email",
            by=alice,
        )


def test_as_last_time_asks_the_way_it_was_asked_then(
    as_alice: Browser, treatment: Treatment, asked_last_week: FeedbackRequest
) -> None:
    session = plan(treatment, hours_from_now=-1)
    assert log(as_alice, session, "as_last_time")["Location"] == "/diary/?week=2026-11-19"
    session.refresh_from_db()
    assert (session.attendance, session.duration_min) == ("attended", 50)
    assert (session.own_bond, session.tension) == (None, None), "untouched is unanswered"
    request = FeedbackRequest.objects.get(therapy_session=session)
    assert request.channel_kind == "email"
    assert Screening.objects.filter(therapy_session=session).exists()


def test_where_nobody_was_asked_last_time_the_whole_form_is_shown(
    as_alice: Browser, treatment: Treatment
) -> None:
    TherapySessionFactory.create(treatment=treatment, starts_at=timezone.now() - timedelta(days=7))
    session = plan(treatment, hours_from_now=-1)
    page = as_alice.post(f"/sessions/{session.id}/quick/", {"how": "as_last_time"}, follow=True)
    assert page.redirect_chain == [(f"/sessions/log/?session={session.id}", 302)]
    assert "The client was not asked last time. Choose how to ask." in page.content.decode()
    session.refresh_from_db()
    assert not session.attendance


@pytest.mark.parametrize("how", ["no_show", "late_cancellation"])
def test_an_absence_is_one_click_and_asks_nothing(
    as_alice: Browser, treatment: Treatment, how: str
) -> None:
    session = plan(treatment, hours_from_now=-1)
    log(as_alice, session, how)
    session.refresh_from_db()
    assert session.attendance == how
    assert not FeedbackRequest.objects.exists()


def test_a_session_that_has_not_begun_can_be_called_off_and_nothing_else(
    as_alice: Browser, treatment: Treatment, asked_last_week: FeedbackRequest
) -> None:
    tomorrow = plan(treatment, hours_from_now=25)
    log(as_alice, tomorrow, "late_cancellation")
    tomorrow.refresh_from_db()
    assert not tomorrow.attendance, "a day before is not late"
    session = plan(treatment, hours_from_now=23)
    for how in ("no_show", "as_last_time"):
        log(as_alice, session, how)
        session.refresh_from_db()
        assert not session.attendance
    log(as_alice, session, "late_cancellation")
    session.refresh_from_db()
    assert session.attendance == "late_cancellation"


def test_a_second_click_changes_nothing(as_alice: Browser, treatment: Treatment) -> None:
    session = plan(treatment, hours_from_now=-1)
    log(as_alice, session, "no_show")
    page = as_alice.post(
        f"/sessions/{session.id}/quick/", {"how": "late_cancellation"}, follow=True
    )
    assert "is logged already" in page.content.decode()
    session.refresh_from_db()
    assert session.attendance == "no_show"


def test_what_is_no_such_click_shows_the_form(as_alice: Browser, treatment: Treatment) -> None:
    session = plan(treatment, hours_from_now=-1)
    assert log(as_alice, session, "attended")["Location"].startswith("/sessions/log/")


def test_somebody_elses_session_is_not_there(
    as_charlie: Browser, as_sam: Browser, treatment: Treatment
) -> None:
    session = plan(treatment, hours_from_now=-1)
    assert log(as_charlie, session, "no_show").status_code == 404
    assert log(as_sam, session, "no_show").status_code == 403
    assert as_charlie.get(f"/sessions/{session.id}/quick/").status_code == 405
