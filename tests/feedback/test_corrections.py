"""Moving, cancelling and correcting sessions: what was asked about them follows."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from django.db import transaction
from django.test import Client as Browser
from django.utils import timezone

from apps.accounts.models import Membership
from apps.clients.models import Treatment
from apps.core.models import AuditEntry, OutboxMessage
from apps.feedback import correct_views
from apps.feedback.correct_form import CorrectSessionForm
from apps.feedback.corrections import EndsForm, correct_session
from apps.feedback.lifecycle import REMINDER, refit_requests
from apps.feedback.models import KIND, FeedbackRequest
from apps.feedback.services import submit_response
from apps.ruptures.models import Screening
from apps.therapy_sessions.models import TherapySession
from apps.therapy_sessions.services import save_process_note
from tests.factories import TherapySessionFactory, TreatmentFactory
from tests.feedback.test_client_form import shown

State = FeedbackRequest.State
PAGES = ("move", "cancel", "correct")


@pytest.fixture(autouse=True)
def _at_noon() -> Iterator[None]:
    """Or a quarter past seven is still to come at night."""
    with time_machine.travel(datetime(2026, 11, 19, 12, tzinfo=UTC), tick=False):
        yield


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
    planned: TherapySession = TherapySessionFactory.create(
        treatment=asked.therapy_session.treatment,
        starts_at=timezone.now() + timedelta(days=3),
        attendance="",
    )
    refit_requests(planned.treatment)
    return planned


@pytest.fixture
def about(asked: FeedbackRequest, planned: TherapySession) -> dict[str, TherapySession]:
    """Which session each page is about."""
    return {"move": planned, "cancel": planned, "correct": asked.therapy_session}


def address(about: dict[str, TherapySession], page: str) -> str:
    return f"/sessions/{about[page].id}/{page}/"


def changes_to(session: TherapySession) -> list[str]:
    """What members did to it, in the trail; it is there."""
    assert TherapySession.objects.filter(id=session.id).exists()
    acts = AuditEntry.objects.of_client(session.treatment.client_id).exclude(actor_id=None)
    return list(acts.exclude(action__startswith="view").values_list("action", flat=True))


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


@pytest.mark.parametrize("page", ["move", "cancel"])
def test_what_is_cancelled_in_another_window_meanwhile_is_not_found(
    page: str, as_alice: Browser, planned: TherapySession, monkeypatch: pytest.MonkeyPatch
) -> None:
    find = correct_views._own

    def find_and_lose(*args: Any, **kwargs: Any) -> TherapySession:
        session = find(*args, **kwargs)
        TherapySession.objects.filter(id=session.id).delete()
        return session

    monkeypatch.setattr(correct_views, "_own", find_and_lose)
    response = as_alice.post(f"/sessions/{planned.id}/{page}/", form(planned))
    assert response.status_code == 404
    assert not AuditEntry.objects.filter(action__endswith="session", object_id=planned.id).exists()


@pytest.mark.parametrize("page", ["move", "correct"])
def test_what_was_logged_or_undone_in_another_window_meanwhile_is_not_changed(
    page: str,
    as_alice: Browser,
    about: dict[str, TherapySession],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    find, session = correct_views._own, about[page]
    meanwhile = {"move": {"attendance": "no_show", "logged_at": timezone.now()}}
    undone = {"attendance": "", "logged_at": None, "asked": False}

    def find_and_change(*args: Any, **kwargs: Any) -> TherapySession:
        found = find(*args, **kwargs)
        TherapySession.objects.filter(id=found.id).update(**meanwhile.get(page, undone))
        return found

    monkeypatch.setattr(correct_views, "_own", find_and_change)
    sent = logged(session, start="07:15", attendance="no_show")
    assert as_alice.post(address(about, page), sent).status_code == 404
    assert TherapySession.objects.get(id=session.id).starts_at == session.starts_at


@pytest.mark.parametrize(
    ("page", "module"), [("caseload", "caseload"), ("diary", "diary"), ("day-sheet", "brief")]
)
def test_a_client_handed_over_while_a_page_is_made_is_left_out(
    page: str, module: str, as_alice: Browser, alice: Membership, monkeypatch: pytest.MonkeyPatch
) -> None:
    treatment = TreatmentFactory.create(therapist=alice, client__code="FE-GONE")
    TherapySessionFactory.create(treatment=treatment, starts_at=timezone.now(), attendance="")
    assert "FE-GONE" in shown(as_alice.get(f"/{page}/"))
    selector = f"apps.dashboard.selectors.{module}.load_standings"
    monkeypatch.setattr(selector, lambda *args, **kwargs: ([], {}))
    assert "FE-GONE" not in shown(as_alice.get(f"/{page}/"))


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


def test_who_corrects_a_session_to_attended_says_why_the_client_is_not_asked(
    as_alice: Browser, asked: FeedbackRequest
) -> None:
    session = asked.therapy_session
    address = f"/sessions/{session.id}/correct/"
    assert "Reason for not asking" not in shown(as_alice.get(address))
    as_alice.post(address, logged(session, attendance="therapist_cancelled"))
    assert "Choose why you do not ask" in shown(as_alice.post(address, logged(session)))
    other = {"not_asked_reason": "other", "not_asked_note": ""}
    assert "Say the reason" in shown(as_alice.post(address, logged(session, **other)))
    session.refresh_from_db()
    assert session.attendance == "therapist_cancelled"
    as_alice.post(address, logged(session, not_asked_reason="crisis"))
    session.refresh_from_db()
    assert (session.attendance, session.not_asked_reason) == ("attended", "crisis")


def test_why_a_client_was_not_asked_stays_however_often_it_is_corrected(
    as_alice: Browser, asked: FeedbackRequest
) -> None:
    session = asked.therapy_session
    asked.delete()
    session.not_asked_reason, session.not_asked_note = "other", "They had to leave."
    session.save()
    for _ in range(2):
        sent = logged(session, attendance="therapist_cancelled")
        assert as_alice.post(f"/sessions/{session.id}/correct/", sent).status_code == 302
    session.refresh_from_db()
    assert session.not_asked_note == "They had to leave."


@pytest.mark.usefixtures("quiet_hours")
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
    session.refresh_from_db()
    assert asked.due_at >= session.starts_at + timedelta(minutes=110 + 120)


@pytest.mark.parametrize("doubts", [0, 2])
def test_a_form_that_may_be_out_does_not_move_with_its_session(
    alice: Membership, asked: FeedbackRequest, doubts: int
) -> None:
    """Both copies were handed over, and then its sender gave up."""
    session, due_at = asked.therapy_session, asked.due_at
    doubted_at = timezone.now() if doubts else None
    first = OutboxMessage.objects.filter(kind=KIND)
    first.update(state="failed", doubts=doubts, doubted_at=doubted_at)
    earlier = session.starts_at - timedelta(hours=1)
    correct_session(session=session, attendance="attended", starts_at=earlier, by=alice)
    asked.refresh_from_db()
    assert (asked.due_at == due_at) is bool(doubts)


def test_no_correction_puts_a_form_off_for_ever(alice: Membership, asked: FeedbackRequest) -> None:
    session = asked.therapy_session
    with time_machine.travel(timezone.now(), tick=False) as clock:
        for _ in range(12):
            now = timezone.now()
            correct_session(session=session, attendance="attended", starts_at=now, by=alice)
            clock.shift(timedelta(minutes=30))
        asked.refresh_from_db()
        assert asked.due_at <= timezone.now()
        assert OutboxMessage.objects.get(kind=KIND).not_before == asked.due_at


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


def test_a_form_is_not_ended_by_correcting_the_day_of_its_session(
    as_alice: Browser, asked: FeedbackRequest
) -> None:
    session = asked.therapy_session
    page = f"/sessions/{session.id}/correct/"
    early = timezone.localdate(session.starts_at) - timedelta(days=9)
    back = logged(session, held_on=early.isoformat())
    assert "A form is open that would end by this." in shown(as_alice.post(page, back))
    asked.refresh_from_db()
    assert asked.state == State.OPEN
    before = session.starts_at
    session.refresh_from_db()
    assert session.starts_at == before
    submit_response(request_id=asked.id, answers={"heard": 7})
    assert as_alice.post(page, back).status_code == 302


def test_a_form_is_not_cut_short_by_correcting_the_time_of_another_session(
    alice: Membership, asked: FeedbackRequest
) -> None:
    session = asked.therapy_session
    other = TherapySessionFactory.create(
        treatment=session.treatment, starts_at=session.starts_at - timedelta(days=9)
    )
    now = timezone.now()
    with pytest.raises(EndsForm), transaction.atomic():
        correct_session(session=other, attendance="attended", starts_at=now, by=alice)
    asked.refresh_from_db()
    assert asked.expires_at > now + timedelta(days=1)
    week_ago = timezone.now() - timedelta(days=7) + timedelta(minutes=2)
    for state in (OutboxMessage.State.PENDING, OutboxMessage.State.SENT):
        sent_at = timezone.now() if state == OutboxMessage.State.SENT else None
        OutboxMessage.objects.filter(kind=KIND).update(state=state, sent_at=sent_at)
        with pytest.raises(EndsForm), transaction.atomic():
            correct_session(session=session, attendance="attended", starts_at=week_ago, by=alice)
    earlier = other.starts_at - timedelta(hours=1)
    correct_session(session=other, attendance="attended", starts_at=earlier, by=alice)


def test_a_corrected_own_view_is_kept_and_screened(
    as_alice: Browser, asked: FeedbackRequest
) -> None:
    session = asked.therapy_session
    sent = logged(session, own_bond="3", tension="2", tension_resolved="1")
    as_alice.post(f"/sessions/{session.id}/correct/", sent)
    session.refresh_from_db()
    assert (session.own_bond, session.tension, session.tension_resolved) == (3, 2, 1)
    assert Screening.objects.current().get().inputs["therapist_tension"] == 2


@pytest.mark.parametrize("page", PAGES)
@pytest.mark.parametrize("who", ["as_charlie", "as_dora"])
def test_strangers_find_nothing(
    request: pytest.FixtureRequest, about: dict[str, TherapySession], who: str, page: str
) -> None:
    browser = request.getfixturevalue(who)
    assert browser.post(address(about, page), logged(about[page])).status_code == 404
    assert not changes_to(about[page])


@pytest.mark.parametrize("page", PAGES)
def test_a_supervisor_changes_no_session_of_a_supervisee(
    sam: Membership, as_sam: Browser, about: dict[str, TherapySession], page: str
) -> None:
    assert as_sam.post(address(about, page), logged(about[page])).status_code == 403
    sam.roles = ["supervisor", "therapist"]
    sam.save()
    assert as_sam.post(address(about, page), logged(about[page])).status_code == 404
    assert not changes_to(about[page])


@pytest.mark.parametrize("page", PAGES)
def test_a_manager_may_not(as_mona: Browser, about: dict[str, TherapySession], page: str) -> None:
    assert as_mona.post(address(about, page), {}).status_code == 403


@pytest.mark.parametrize("page", PAGES)
def test_other_methods_are_refused(
    as_alice: Browser, about: dict[str, TherapySession], page: str
) -> None:
    assert as_alice.put(address(about, page)).status_code == 405
    assert as_alice.get(address(about, page)).status_code == (405 if page == "cancel" else 200)


@pytest.mark.parametrize("page", ["move", "correct"])
@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"held_on": ""}, "Enter a day of the calendar."),
        ({"held_on": "2016-11-19"}, "This date is far off. Check the year."),
        ({"start": "noon"}, "Enter a time of day, such as 14:30."),
        ({"minutes": "3"}, "A session lasts 5 to 480 minutes."),
    ],
)
def test_what_cannot_be_is_refused_and_everything_typed_kept(
    as_alice: Browser,
    about: dict[str, TherapySession],
    page: str,
    changes: dict[str, object],
    sentence: str,
) -> None:
    sent = logged(about[page], start="07:35", minutes="25") | changes
    answer = as_alice.post(address(about, page), sent)
    assert answer.status_code == 200
    assert sentence in shown(answer)
    for name, field in answer.context["form"].fields.items():
        assert answer.context["form"][name].value() == sent.get(name), field.label
    assert not changes_to(about[page])


@pytest.mark.parametrize("attendance", ["attended", "no_show"])
@pytest.mark.parametrize(
    ("field", "changes", "sentence"),
    [
        ("held_on", {"held_on": "2026-11-20"}, "This day is still to come. Correct the date."),
        ("start", {"start": "12:05"}, "This session has not begun yet. Correct the time."),
    ],
)
def test_what_is_still_to_come_did_not_take_place(
    asked: FeedbackRequest, attendance: str, field: str, changes: dict[str, str], sentence: str
) -> None:
    with time_machine.travel(datetime(2026, 11, 19, 12, tzinfo=UTC), tick=False):
        sent = {"held_on": "2026-11-19", "start": "11:55", "minutes": "50"} | changes
        correction = CorrectSessionForm(
            sent | {"attendance": attendance},
            session=asked.therapy_session,
            today=timezone.localdate(),
        )
        assert correction.errors[field] == [sentence]


@pytest.mark.parametrize(
    ("page", "action"),
    [
        ("move", "change therapy session"),
        ("cancel", "cancel planned session"),
        ("correct", "change therapy session"),
    ],
)
def test_what_was_changed_is_in_the_trail_and_said(
    as_alice: Browser, alice: Membership, about: dict[str, TherapySession], page: str, action: str
) -> None:
    session = about[page]
    answer = as_alice.post(address(about, page), logged(session, minutes="45"))
    said = {"move": "moved", "cancel": "cancelled", "correct": "corrected"}[page]
    assert f"The session is {said}." in shown(as_alice.get(answer["Location"]))
    entry = AuditEntry.objects.get(action=action)
    assert (entry.actor_id, entry.client_ids) == (alice.id, [session.treatment.client_id])


def test_a_planned_session_with_a_note_stays(
    as_alice: Browser, alice: Membership, planned: TherapySession
) -> None:
    save_process_note(therapy_session=planned, text="Ask about the move.", by=alice)
    page = as_alice.post(f"/sessions/{planned.id}/cancel/", follow=True)
    assert "Something is written about this session, so it stays." in shown(page)
    assert TherapySession.objects.filter(id=planned.id).exists()


def test_a_planned_session_is_not_corrected_nor_a_logged_one_moved(
    as_alice: Browser, asked: FeedbackRequest, planned: TherapySession, treatment: Treatment
) -> None:
    assert as_alice.get(f"/sessions/{planned.id}/correct/").status_code == 404
    assert as_alice.get(f"/sessions/{asked.therapy_session_id}/move/").status_code == 404
