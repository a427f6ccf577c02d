"""Moving, cancelling and correcting sessions: what was asked about them follows."""

from datetime import timedelta

import pytest
from django.test import Client as Browser
from django.utils import timezone

from apps.clients.models import Treatment
from apps.core.models import OutboxMessage
from apps.feedback.lifecycle import KIND, REMINDER
from apps.feedback.models import FeedbackRequest
from apps.feedback.services import submit_response
from apps.ruptures.models import Screening
from apps.therapy_sessions.models import TherapySession
from tests.factories import TherapySessionFactory
from tests.feedback.test_client_form import shown

State = FeedbackRequest.State


def form(session: TherapySession, **changes: object) -> dict[str, object]:
    local = timezone.localtime(session.starts_at)
    return {
        "held_on": local.date().isoformat(), "start": f"{local:%H:%M}",
        "minutes": session.duration_min,
    } | changes  # fmt: skip


def logged(session: TherapySession, **changes: object) -> dict[str, object]:
    return form(session, attendance="attended") | changes


@pytest.fixture
def planned(asked: FeedbackRequest) -> TherapySession:
    return TherapySessionFactory.create(
        treatment=asked.therapy_session.treatment,
        starts_at=timezone.now() + timedelta(days=3),
        attendance="",
    )


def test_moving_the_next_session_moves_the_end_of_the_form_before_it(
    as_alice: Browser, asked: FeedbackRequest, planned: TherapySession
) -> None:
    day = timezone.localdate() + timedelta(days=2)
    response = as_alice.post(
        f"/sessions/{planned.id}/move/", form(planned, held_on=day, start="09:15")
    )
    assert response.status_code == 302
    planned.refresh_from_db()
    asked.refresh_from_db()
    assert timezone.localtime(planned.starts_at).isoformat()[:16] == f"{day}T09:15"
    assert asked.expires_at == planned.starts_at


def test_cancelling_the_next_session_gives_the_form_its_full_time_back(
    as_alice: Browser, asked: FeedbackRequest, planned: TherapySession
) -> None:
    as_alice.post(f"/sessions/{planned.id}/move/", form(planned))
    as_alice.post(f"/sessions/{planned.id}/cancel/")
    asked.refresh_from_db()
    assert not TherapySession.objects.filter(id=planned.id).exists()
    assert asked.expires_at == asked.due_at + timedelta(hours=96)


def test_a_session_cannot_be_moved_onto_another(
    as_alice: Browser, asked: FeedbackRequest, planned: TherapySession
) -> None:
    other = TherapySessionFactory.create(
        treatment=planned.treatment,
        starts_at=planned.starts_at.replace(second=0, microsecond=0) + timedelta(days=1),
        attendance="",
    )
    page = as_alice.post(f"/sessions/{planned.id}/move/", form(other))
    assert "Another session with this client starts then." in shown(page)


def test_a_session_that_did_not_take_place_after_all_pulls_back_what_is_not_out(
    as_alice: Browser, asked: FeedbackRequest
) -> None:
    session = asked.therapy_session
    as_alice.post(f"/sessions/{session.id}/correct/", logged(session, attendance="no_show"))
    asked.refresh_from_db()
    session.refresh_from_db()
    assert (asked.state, session.asked) == (State.CANCELLED, False)
    assert session.attendance == "no_show"
    assert {each.state for each in OutboxMessage.objects.all()} == {"cancelled"}
    assert not Screening.objects.current().filter(therapy_session=session).exists()


def test_a_corrected_time_moves_the_message_and_its_reminder(
    as_alice: Browser, asked: FeedbackRequest
) -> None:
    session = asked.therapy_session
    as_alice.post(f"/sessions/{session.id}/correct/", logged(session, minutes="110"))
    asked.refresh_from_db()
    first = OutboxMessage.objects.get(kind=KIND)
    assert first.not_before == asked.due_at
    reminder = OutboxMessage.objects.get(kind=REMINDER)
    assert reminder.not_before >= asked.due_at + timedelta(hours=24)
    assert asked.due_at >= session.starts_at + timedelta(minutes=110 + 120)


def test_a_session_that_the_client_rated_took_place(
    as_alice: Browser, asked: FeedbackRequest
) -> None:
    submit_response(request_id=asked.id, answers={"heard": 7})
    session = asked.therapy_session
    page = as_alice.post(
        f"/sessions/{session.id}/correct/", logged(session, attendance="late_cancellation")
    )
    assert "The client has rated this session: it took place." in shown(page)
    session.refresh_from_db()
    assert session.attendance == "attended"


def test_a_corrected_own_view_is_kept_and_screened(
    as_alice: Browser, asked: FeedbackRequest
) -> None:
    session = asked.therapy_session
    sent = logged(session, own_bond="3", tension="2", tension_resolved="1")
    as_alice.post(f"/sessions/{session.id}/correct/", sent)
    session.refresh_from_db()
    assert (session.own_bond, session.tension, session.tension_resolved) == (3, 2, 1)
    assert Screening.objects.current().get().inputs["therapist_tension"] == 2


@pytest.mark.parametrize("page", ["move", "cancel", "correct"])
def test_only_its_own_therapist_changes_a_session(
    as_charlie: Browser, asked: FeedbackRequest, planned: TherapySession, page: str
) -> None:
    session = asked.therapy_session if page == "correct" else planned
    assert as_charlie.post(f"/sessions/{session.id}/{page}/", {}).status_code == 404


def test_a_planned_session_is_not_corrected_nor_a_logged_one_moved(
    as_alice: Browser, asked: FeedbackRequest, planned: TherapySession, treatment: Treatment
) -> None:
    assert as_alice.get(f"/sessions/{planned.id}/correct/").status_code == 404
    assert as_alice.get(f"/sessions/{asked.therapy_session_id}/move/").status_code == 404
