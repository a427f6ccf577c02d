"""Logging a planned session with one click."""

from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.test import Client as Browser
from django.utils import timezone

from apps.accounts import notices
from apps.accounts.models import Membership
from apps.alliance.models import AllianceRating
from apps.clients.models import Client, Treatment
from apps.core.models import OutboxMessage
from apps.endings.services import close_treatment, hand_over
from apps.exchange.rights import erase_client, restrict
from apps.feedback.models import FeedbackRequest
from apps.feedback.services import ask_in_room, practice_questionnaire, request_feedback
from apps.ruptures.models import Screening
from apps.ruptures.notices import MARKED
from apps.ruptures.services import record_outcome
from apps.therapy_sessions.models import TherapySession
from tests.factories import TherapySessionFactory, TreatmentFactory

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


def test_who_was_asked_in_the_room_last_time_is_asked_there_again(
    as_alice: Browser, treatment: Treatment, alice: Membership
) -> None:
    with time_machine.travel("2026-11-12T12:30:00+00:00", tick=False):
        ask_in_room(
            therapy_session=TherapySessionFactory.create(treatment=treatment),
            questionnaire=practice_questionnaire(alice.practice),
            by=alice,
        )
    session = plan(treatment, hours_from_now=-1)
    assert log(as_alice, session, "as_last_time")["Location"] == f"/sessions/{session.id}/room/"
    session.refresh_from_db()
    assert session.attendance == "attended"
    assert FeedbackRequest.objects.get(therapy_session=session).room_until > timezone.now()
    assert "Undo" in as_alice.get(f"/sessions/{session.id}/room/").content.decode()


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


def undo(browser: Browser, session: TherapySession) -> tuple[str, str]:
    """Press Undo; returns where that leads and what the page says."""
    page = browser.post(f"/sessions/{session.id}/undo/", follow=True)
    session.refresh_from_db()
    return page.redirect_chain[0][0], page.content.decode()


def test_a_click_is_taken_back_with_its_form_and_its_screening_and_can_be_made_again(
    as_alice: Browser, treatment: Treatment, asked_last_week: FeedbackRequest
) -> None:
    session = plan(treatment, hours_from_now=-1)
    page = as_alice.post(
        f"/sessions/{session.id}/quick/", {"how": "as_last_time"}, follow=True
    ).content.decode()
    assert f'action="/sessions/{session.id}/undo/"' in page
    address, page = undo(as_alice, session)
    assert address == "/diary/?week=2026-11-19"
    assert f"Undone: the session with {treatment.client.code} is not logged." in page
    assert (session.attendance, session.logged_at, session.asked) == ("", None, False)
    assert not FeedbackRequest.objects.filter(therapy_session=session).exists()
    assert set(OutboxMessage.objects.exclude(subject_id=asked_last_week.id).values_list(
        "state", flat=True
    )) == {"cancelled"}  # fmt: skip
    assert not Screening.objects.current().filter(therapy_session=session).exists()
    log(as_alice, session, "as_last_time")
    assert FeedbackRequest.objects.get(therapy_session=session).state == "open"


@pytest.mark.parametrize("then", ["close", "hand over", "erase"])
def test_a_session_whose_click_was_taken_back_is_in_nobodys_way(
    as_alice: Browser,
    treatment: Treatment,
    asked_last_week: FeedbackRequest,
    alice: Membership,
    charlie: Membership,
    then: str,
) -> None:
    """As if nobody had clicked: nothing is left that holds anything up. What has begun is kept, as
    the agenda of supervision says that nobody logged it."""
    session = plan(treatment, hours_from_now=-1)
    log(as_alice, session, "as_last_time")
    undo(as_alice, session)
    if then == "close":
        close_treatment(treatment=treatment, how="agreed", review="", by=alice)
    elif then == "hand over":
        hand_over([treatment], to=charlie, by=alice)
    else:
        erase_client(client=treatment.client, by=alice)
    planned = TherapySession.objects.planned().filter(id=session.id)
    assert planned.exists() == (then != "erase")


@pytest.mark.parametrize("is_planned", [True, False])
@pytest.mark.parametrize("held_on", ["2026-11-19", "2026-12-01"])
def test_no_correction_lets_a_session_that_has_begun_be_undone_and_cancelled(
    as_alice: Browser, treatment: Treatment, is_planned: bool, held_on: str
) -> None:
    if is_planned:
        session = plan(treatment, hours_from_now=-1)
        log(as_alice, session, "no_show")
    else:
        session = TherapySessionFactory.create(treatment=treatment, logged_at=timezone.now())
    to_come = {"held_on": held_on, "start": "17:00", "minutes": "50"}
    as_alice.post(
        f"/sessions/{session.id}/correct/", to_come | {"attendance": "therapist_cancelled"}
    )
    undo(as_alice, session)
    as_alice.post(f"/sessions/{session.id}/cancel/")
    session = TherapySession.objects.get(id=session.id)
    assert session.attendance == ""
    assert session.starts_at < timezone.now()


def test_what_has_gone_out_is_not_taken_back_and_that_is_said(
    as_alice: Browser, treatment: Treatment, asked_last_week: FeedbackRequest
) -> None:
    session = plan(treatment, hours_from_now=-1)
    log(as_alice, session, "as_last_time")
    request = FeedbackRequest.objects.get(therapy_session=session)
    now = timezone.now()
    first = OutboxMessage.objects.filter(subject_id=request.id, kind="feedback_request")
    out: dict[str, dict[str, Any]] = {
        "claimed": {"lease_until": now},
        "sent": {"sent_at": now},
        "uncertain": {"doubts": 1, "doubted_at": now},
        "cancelled": {"doubts": 1, "doubted_at": now},  # with its form, by a correction
    }
    for state, moments in out.items():
        first.update(**{"state": state, "lease_until": None, "sent_at": None} | moments)
        address, page = undo(as_alice, session)
        assert address == f"/sessions/{session.id}/correct/"
        assert "The form has gone out, so the session stays logged." in page
        assert session.attendance == "attended"
    assert FeedbackRequest.objects.get(therapy_session=session).state == "open"


def test_a_session_whose_possible_rupture_stands_is_not_taken_back(
    as_alice: Browser, alice: Membership
) -> None:
    """Without an outcome it is; the record of what was withdrawn with it is not there any more."""
    treatment = TreatmentFactory.create(therapist=alice, falling=True)
    session = treatment.therapy_sessions.latest("starts_at")
    episode = treatment.episodes.get()
    notices.tell(member=alice, kind=MARKED, subject=episode)
    AllianceRating.objects.filter(therapy_session=session).delete()
    TherapySession.objects.filter(id=session.id).update(logged_at=timezone.now())
    record_outcome(episode=episode, outcome=episode.Outcome.REPAIRED, by=alice)
    assert "has its outcome, or processing is restricted" in undo(as_alice, session)[1]
    treatment.episodes.update(outcome="", outcome_at=None)
    restrict(client=treatment.client, by=alice)
    assert "has its outcome, or processing is restricted" in undo(as_alice, session)[1]
    assert session.attendance == "attended"
    assert as_alice.get(f"/clients/{treatment.client_id}/").status_code == 200
    Client.objects.update(restricted_at=None)
    assert "Undone" in undo(as_alice, session)[1]
    assert not treatment.episodes.exists(), "nobody else was told of it"
    assert as_alice.get(f"/episodes/{episode.id}/repair/").status_code == 404
    for page in ("/caseload/", f"/clients/{treatment.client_id}/"):
        assert as_alice.get(page).status_code == 200


def test_a_possible_rupture_that_somebody_was_told_of_stays_as_withdrawn(
    as_alice: Browser, alice: Membership, sam: Membership
) -> None:
    treatment = TreatmentFactory.create(therapist=alice, falling=True)
    episode = treatment.episodes.get()
    notices.tell(member=sam, kind=MARKED, subject=episode)
    AllianceRating.objects.filter(therapy_session=episode.opened_by).delete()
    TherapySession.objects.update(logged_at=timezone.now())
    undo(as_alice, episode.opened_by)
    assert treatment.episodes.get().outcome == episode.Outcome.SUPERSEDED
    assert ["withdrawn" in each.said.text for each in notices.unread(sam)] == [True]


def test_after_ten_minutes_a_click_is_corrected_instead(
    as_alice: Browser, treatment: Treatment
) -> None:
    session = plan(treatment, hours_from_now=-1)
    log(as_alice, session, "no_show")
    TherapySession.objects.update(logged_at=timezone.now() - timedelta(minutes=11))
    assert "This was logged a while ago." in undo(as_alice, session)[1]
    assert session.attendance == "no_show"
    TherapySession.objects.update(logged_at=timezone.now() - timedelta(minutes=10))
    undo(as_alice, session)
    assert not session.attendance
    assert as_alice.post(f"/sessions/{session.id}/undo/").status_code == 404, "nothing to undo"


def test_somebody_elses_session_is_not_there(
    as_charlie: Browser, as_sam: Browser, treatment: Treatment
) -> None:
    session = plan(treatment, hours_from_now=-1)
    assert log(as_charlie, session, "no_show").status_code == 404
    assert log(as_sam, session, "no_show").status_code == 403
    assert as_charlie.get(f"/sessions/{session.id}/quick/").status_code == 405
    TherapySession.objects.update(attendance="no_show", logged_at=timezone.now())
    assert as_charlie.post(f"/sessions/{session.id}/undo/").status_code == 404
    assert as_sam.post(f"/sessions/{session.id}/undo/").status_code == 403
