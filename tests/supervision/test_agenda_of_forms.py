"""The agenda: sessions that nobody was asked about, or whose form stayed without an answer."""

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.core import mail
from django.test import Client as Browser
from django.urls import reverse
from django.utils import timezone

from apps.accounts.models import Membership
from apps.alliance.models import AllianceRating
from apps.core import outbox
from apps.core.models import OutboxMessage
from apps.dashboard.selectors.words import short_day
from apps.endings.services import close_treatment
from apps.exchange.rights import lift_restriction, restrict
from apps.feedback.corrections import (
    cancel_session,
    correct_session,
    plan_sessions,
)
from apps.feedback.lifecycle import expire_requests, refit_requests, revoke_links
from apps.feedback.services import (
    ask_in_room,
    practice_questionnaire,
    record_from_paper,
    request_feedback,
    submit_response,
)
from apps.supervision.models import Meeting
from apps.supervision.services import plan_meeting
from apps.therapy_sessions.models import TherapySession
from tests.conftest import signed_in, work_in
from tests.factories import TherapySessionFactory, TreatmentFactory
from tests.feedback.conftest import ITEMS, answers, link_of
from tests.supervision.conftest import ask_by_email

pytestmark = pytest.mark.django_db


def text(response: Any) -> str:
    return str(response.content.decode())


def from_paper(session: TherapySession, *, items: int | None = None, **also: Any) -> None:
    """Let the therapist enter what the client gave on paper: answers to so many items, or all."""
    therapist = session.treatment.therapist
    questionnaire = practice_questionnaire(therapist.practice)
    record_from_paper(
        therapy_session=session,
        questionnaire=questionnaire,
        answers={item["id"]: 9 for item in questionnaire.items[:items]},
        answered_at=timezone.now(),
        by=therapist,
        **also,
    )


def test_sessions_that_were_not_asked_about_stand_with_their_reason(
    as_sam: Browser, alice: Membership, meeting: Meeting
) -> None:
    treatment = TreatmentFactory.create(therapist=alice, client__code="FE-0135")
    now = timezone.now()
    for reason, days in (("crisis", 9), ("client_asked", 8), ("crisis", 3)):
        TherapySessionFactory.create(
            treatment=treatment, not_asked_reason=reason, starts_at=now - timedelta(days=days)
        )
    page = as_sam.get(f"/meetings/{meeting.id}/").context["page"]
    today = timezone.localdate()
    days = [short_day(timezone.localdate(now - timedelta(days=n)), today) for n in (9, 3)]
    assert page.skips[0] == (
        f"FE-0135, {', '.join(days)}: not asked. “Crisis or emergency in the session”"
    )
    assert len(page.skips) == 2


@pytest.mark.parametrize("how", ["expire", "revoke", "close"])
@pytest.mark.parametrize("hours_away", [2, 60])
def test_a_form_that_ended_before_a_meeting_and_was_closed_after_it_stands_on_the_next(
    as_sam: Browser,
    alice: Membership,
    sam: Membership,
    meeting: Meeting,
    hours_away: int,
    how: str,
) -> None:
    """However long the beat was away, and whatever closes the form in its place."""
    now = timezone.now()
    long_ago = now - timedelta(hours=hours_away)
    treatment = TreatmentFactory.create(therapist=alice, client__code="FE-0135")
    session = TherapySessionFactory.create(
        treatment=treatment, starts_at=long_ago - timedelta(days=3)
    )
    ask_by_email(session)
    session.feedback_requests.update(
        created_at=session.starts_at, due_at=session.starts_at, expires_at=long_ago
    )
    TherapySession.objects.update(logged_at=session.starts_at)
    plan_meeting(supervisee=alice, starts_at=now - timedelta(hours=1), duration_min=50, by=sam)
    assert "FE-0135" not in text(as_sam.get(f"/meetings/{meeting.id}/"))
    if how == "expire":
        expire_requests()
        work_in(alice.practice_id)
    elif how == "revoke":
        revoke_links(client=treatment.client, by=alice)
    else:
        close_treatment(treatment=treatment, how="agreed", review="", by=alice)
    page = text(as_sam.get(f"/meetings/{meeting.id}/"))
    assert re.search("FE-0135, [^:]*: asked", page)


def test_sessions_whose_form_was_overtaken_stand_on_the_agenda(
    as_sam: Browser, alice: Membership, meeting: Meeting
) -> None:
    for code, changes in (("FE-0135", {"attendance": "therapist_cancelled"}), ("FE-0136", {})):
        treatment = TreatmentFactory.create(therapist=alice, client__code=code)
        session = TherapySessionFactory.create(treatment=treatment)
        ask_by_email(session)
        if changes:
            correct_session(
                session=session, by=alice, starts_at=session.starts_at, duration_min=50, **changes
            )
        else:
            from_paper(session)
    page = text(as_sam.get(f"/meetings/{meeting.id}/"))
    assert "asked, then corrected to “You cancelled”" in page
    assert "asked by message, then answered in the room or from paper" in page


def test_answers_in_the_room_or_from_paper_without_a_score_stand_on_the_agenda(
    as_sam: Browser, alice: Membership, meeting: Meeting
) -> None:
    """Or a therapist's dot in the place of a comment would look like the client's answer."""
    imported = TherapySessionFactory.create(treatment__therapist=alice)
    from_paper(imported, items=0, tension=1)
    imported.ratings.update(mode="imported")
    week_ago = timezone.now() - timedelta(days=8)
    for code, items in (("FE-0135", 0), ("FE-0136", None), ("FE-0137", None)):
        treatment = TreatmentFactory.create(therapist=alice, client__code=code)
        when = {"starts_at": week_ago} if code == "FE-0137" else {}
        session = TherapySessionFactory.create(treatment=treatment, **when)
        from_paper(session, items=items, comment=".")
    page = text(as_sam.get(f"/meetings/{meeting.id}/"))
    for code in ("FE-0135", "FE-0137"):
        line = f"{code}, [^:]*: answered in the room or from paper, too late or without a score"
        assert re.search(line, page)
    assert "FE-0136" not in page
    assert imported.treatment.client.code not in page


def test_a_form_that_was_out_is_called_so_whatever_reason_stands_beside_it(
    as_sam: Browser, alice: Membership, meeting: Meeting
) -> None:
    reason = {"attendance": "attended", "not_asked_reason": "client_asked"}
    treatment = TreatmentFactory.create(therapist=alice, client__code="FE-0135")
    session = TherapySessionFactory.create(treatment=treatment)
    ask_by_email(session)
    for changes in ({"attendance": "no_show"}, reason):
        session.refresh_from_db()
        correct_session(session=session, by=alice, starts_at=session.starts_at, **changes)
    other = TreatmentFactory.create(therapist=alice, client__code="FE-0136")
    session = TherapySessionFactory.create(treatment=other, not_asked_reason="client_asked")
    ask_by_email(session)
    from_paper(session)
    page = text(as_sam.get(f"/meetings/{meeting.id}/"))
    for line in (
        "FE-0135, [^:]*: asked, then the form was withdrawn before an answer",
        "FE-0136, [^:]*: asked by message, then answered in the room or from paper",
    ):
        assert re.search(rf"{line}\. “Client asked not to this time”", page)


def test_a_form_that_was_out_and_answered_in_the_room_stands_on_the_agenda(
    as_sam: Browser,
    sign_in: Callable[[Membership], Browser],
    alice: Membership,
    meeting: Meeting,
) -> None:
    """Who has the code of the room can answer in the client's place."""
    for code, by_message in (("FE-0135", True), ("FE-0136", False)):
        treatment = TreatmentFactory.create(therapist=alice, client__code=code)
        session = TherapySessionFactory.create(treatment=treatment)
        if by_message:
            ask_by_email(session)
            outbox.deliver_due()
        device = sign_in(alice)
        device.post(reverse("in_room", args=[session.id]))
        room = device.post(reverse("hand_over_device", args=[session.id]))["Location"]
        assert Browser().post(room, answers()).status_code == 302
        assert session.ratings.get().mode == "room"
    page = text(as_sam.get(f"/meetings/{meeting.id}/"))
    line = r"FE-0135, [^:]*: asked by message, then answered in the room or from paper\."
    assert re.search(line, page)
    assert "FE-0136" not in page, "where the room is the only way, it is the client's own"


def test_what_was_offered_in_the_room_and_entered_from_paper_stands_on_the_agenda(
    as_sam: Browser, alice: Membership, meeting: Meeting
) -> None:
    treatment = TreatmentFactory.create(therapist=alice, client__code="FE-0135")
    session = TherapySessionFactory.create(treatment=treatment)
    questionnaire = practice_questionnaire(alice.practice)
    ask_in_room(therapy_session=session, questionnaire=questionnaire, by=alice)
    with time_machine.travel(timezone.now() + timedelta(minutes=20), tick=False):
        expire_requests()
        from_paper(session)
    page = text(as_sam.get(f"/meetings/{meeting.id}/"))
    assert re.search(r"FE-0135, [^:]*: offered in the room, then entered from paper\.", page)


def test_what_was_asked_later_after_all_is_not_called_not_asked(
    as_sam: Browser, alice: Membership, meeting: Meeting
) -> None:
    treatment = TreatmentFactory.create(therapist=alice, client__code="FE-0135")
    session = TherapySessionFactory.create(treatment=treatment, not_asked_reason="crisis")
    line = r"FE-0135, [^:]*: not asked at first, and asked later\. “Crisis or emergency"
    assert not re.search(line, text(as_sam.get(f"/meetings/{meeting.id}/")))
    ask_by_email(session)
    assert re.search(line, text(as_sam.get(f"/meetings/{meeting.id}/")))
    request = session.feedback_requests.get()
    submit_response(request_id=request.id, answers=dict.fromkeys(ITEMS, 9))
    assert re.search(line, text(as_sam.get(f"/meetings/{meeting.id}/")))


def test_a_form_that_ended_too_soon_is_no_silence_once_it_was_offered_in_the_room(
    alice: Membership, meeting: Meeting
) -> None:
    treatment = TreatmentFactory.create(therapist=alice, client__code="FE-0135")
    session = TherapySessionFactory.create(treatment=treatment)
    ask_by_email(session)
    OutboxMessage.objects.filter(kind="feedback_request").update(
        state="sent", sent_at=timezone.now(), channel="email"
    )
    link = link_of(session.feedback_requests.get())
    cut_short = timezone.now() + timedelta(hours=3)
    session.feedback_requests.update(expires_at=cut_short)
    line = "asked by message, but the form ended before an answer"
    with time_machine.travel(cut_short, tick=False) as clock:
        expire_requests()
        assert line in text(signed_in(meeting.supervisor).get(f"/meetings/{meeting.id}/"))
        clock.shift(timedelta(hours=14))
        questionnaire = practice_questionnaire(alice.practice)
        ask_in_room(therapy_session=session, questionnaire=questionnaire, by=alice)
        clock.shift(timedelta(minutes=20))
        expire_requests()
        session.refresh_from_db()
        assert not session.asked
        assert "send a fresh link" in text(Browser().get(link)), "theirs as before"
        assert line in text(signed_in(meeting.supervisor).get(f"/meetings/{meeting.id}/"))


@pytest.mark.parametrize("is_over", [False, True])
def test_who_said_stop_in_place_of_an_answer_stands_on_the_agenda_and_is_not_silent(
    alice: Membership, sam: Membership, meeting: Meeting, is_over: bool
) -> None:
    """While the form was out, or once it had run out, after the meeting that lay in between."""
    treatment = TreatmentFactory.create(therapist=alice, client__code="FE-0135")
    session = TherapySessionFactory.create(treatment=treatment)
    ask_by_email(session)
    form = session.feedback_requests.get()
    stop = link_of(form) + "stop/"
    with time_machine.travel(form.due_at, tick=False) as clock:
        outbox.deliver_due()
        assert is_over or Browser().post(stop, {"how": "stop"}).status_code == 302
        clock.move_to(form.expires_at)
        expire_requests()
        session.refresh_from_db()
        assert session.asked is is_over
        now = timezone.now()
        coming = plan_meeting(
            supervisee=alice, starts_at=now + timedelta(days=1), duration_min=50, by=sam
        )
        if is_over:
            Meeting.objects.filter(id=meeting.id).update(starts_at=now + timedelta(hours=1))
            clock.shift(timedelta(hours=2))
            assert Browser().post(stop, {"how": "stop"}).status_code == 302
        session.refresh_from_db()
        assert not session.asked
        page = text(signed_in(sam).get(f"/meetings/{coming.id}/"))
    assert re.search(r"FE-0135, [^:]*: asked by message, but the form ended before an answer", page)


def test_silence_to_a_message_counts_however_often_the_room_was_offered_before_it(
    alice: Membership, meeting: Meeting
) -> None:
    session = TherapySessionFactory.create(treatment=TreatmentFactory.create(therapist=alice))
    questionnaire = practice_questionnaire(alice.practice)
    with time_machine.travel(timezone.now(), tick=False) as clock:
        for _ in range(2):
            ask_in_room(therapy_session=session, questionnaire=questionnaire, by=alice)
            clock.shift(timedelta(minutes=20))
            expire_requests()
        ask_by_email(session)
        for _ in range(10):
            clock.shift(timedelta(hours=12))
            outbox.deliver_due()
            expire_requests()
    session.refresh_from_db()
    assert session.asked


def test_what_is_asked_again_in_the_room_takes_no_line_off_the_agenda(
    as_sam: Browser, as_alice: Browser, alice: Membership, meeting: Meeting
) -> None:
    treatment = TreatmentFactory.create(therapist=alice, client__code="FE-0135")
    session = TherapySessionFactory.create(treatment=treatment)
    ask_by_email(session)
    outbox.deliver_due()
    restrict(client=treatment.client, by=alice)
    lift_restriction(client=treatment.client, by=alice)
    assert "the form was withdrawn" in text(as_sam.get(f"/meetings/{meeting.id}/"))
    as_alice.post(reverse("in_room", args=[session.id]))
    with time_machine.travel(timezone.now() + timedelta(minutes=20), tick=False):
        expire_requests()
    page = text(as_sam.get(f"/meetings/{meeting.id}/"))
    assert "asked by message, but the form ended before an answer" in page, "not 'in the room'"
    cancelled = {"attendance": "therapist_cancelled", "duration_min": 50}
    correct_session(session=session, by=alice, starts_at=session.starts_at, **cancelled)
    assert "then corrected to “You cancelled”" in text(as_sam.get(f"/meetings/{meeting.id}/"))


def test_a_form_that_a_session_logged_late_has_ended_stands_on_the_next_agenda(
    as_sam: Browser, alice: Membership, sam: Membership, meeting: Meeting
) -> None:
    """Its new end lies before the last meeting, which knew nothing of it."""
    now = timezone.now()
    treatment = TreatmentFactory.create(therapist=alice, client__code="FE-0135")
    session = TherapySessionFactory.create(treatment=treatment, starts_at=now - timedelta(hours=30))
    ask_by_email(session)
    outbox.deliver_due()
    long_ago = now - timedelta(hours=28)  # long enough for silence to count
    OutboxMessage.objects.filter(state="sent").update(sent_at=long_ago)
    session.feedback_requests.update(due_at=long_ago, created_at=long_ago)
    Meeting.objects.create(
        practice=alice.practice,
        supervisor=sam,
        supervisee=alice,
        starts_at=now - timedelta(hours=1),
        duration_min=50,
    )
    TherapySessionFactory.create(treatment=treatment, starts_at=now - timedelta(hours=26))
    refit_requests(treatment)
    assert session.feedback_requests.get().state != "open"
    page = text(as_sam.get(f"/meetings/{meeting.id}/"))
    assert re.search(r"FE-0135, [^:]*: asked by message, but the form ended before an answer", page)


def test_what_was_entered_from_paper_where_nobody_was_asked_stands_on_the_agenda(
    as_sam: Browser, alice: Membership, meeting: Meeting
) -> None:
    treatment = TreatmentFactory.create(therapist=alice, client__code="FE-0135", pomps=[90])
    treatment.therapy_sessions.update(not_asked_reason="crisis", logged_at=timezone.now())
    AllianceRating.objects.update(mode="paper")
    page = text(as_sam.get(f"/meetings/{meeting.id}/"))
    assert "not asked, then entered from paper. “Crisis or emergency" in page


def test_the_reason_of_a_skip_stays_on_the_agenda_whatever_the_session_becomes(
    as_sam: Browser, alice: Membership, meeting: Meeting
) -> None:
    treatment = TreatmentFactory.create(therapist=alice, client__code="FE-0135")
    session = TherapySessionFactory.create(treatment=treatment, not_asked_reason="crisis")
    cancelled = {"attendance": "therapist_cancelled", "duration_min": 50}
    correct_session(session=session, by=alice, starts_at=session.starts_at, **cancelled)
    assert "not asked. “Crisis or emergency" in text(as_sam.get(f"/meetings/{meeting.id}/"))


def test_sessions_whose_form_was_withdrawn_without_a_reason_stand_on_the_agenda(
    as_sam: Browser, alice: Membership, meeting: Meeting
) -> None:
    """By a restriction that is lifted again, and by a session planned too soon and cancelled."""
    treatments = [
        TreatmentFactory.create(therapist=alice, client__code=code) for code in ("FE-1", "FE-2")
    ]
    for treatment in treatments:
        request_feedback(
            therapy_session=TherapySessionFactory.create(treatment=treatment),
            questionnaire=practice_questionnaire(alice.practice),
            channel_kind="email",
            by=alice,
        )
    restrict(client=treatments[0].client, by=alice)
    lift_restriction(client=treatments[0].client, by=alice)
    [planned] = plan_sessions(
        treatment=treatments[1],
        first_starts_at=timezone.localtime() + timedelta(minutes=1),
        duration_min=50,
        by=alice,
    )
    cancel_session(session=planned, by=alice)
    page = text(as_sam.get(f"/meetings/{meeting.id}/"))
    for code in ("FE-1", "FE-2"):
        assert re.search(f"{code}, .*: asked, then the form was withdrawn before an answer", page)


def test_a_form_that_reached_nobody_stands_on_the_agenda_also_where_it_ran_out_later(
    as_sam: Browser, alice: Membership, sam: Membership, meeting: Meeting
) -> None:
    """A way marked as not safe while the form was due, and a code of the room never shown."""
    questionnaire = practice_questionnaire(alice.practice)
    held, in_room, went_out = [
        TherapySessionFactory.create(treatment__therapist=alice, treatment__client__code=code)
        for code in ("FE-1", "FE-2", "FE-3")
    ]
    for session in (held, went_out):
        ask_by_email(session)
    ask_in_room(therapy_session=in_room, questionnaire=questionnaire, by=alice)
    channel = held.treatment.client.channels.get()
    for is_safe, at in ((False, timedelta(hours=3)), (True, timedelta(days=5))):
        channel.safe_to_contact = is_safe
        channel.save()
        with time_machine.travel(timezone.now() + at, tick=False):
            outbox.deliver_due()
            expire_requests()
    assert len(mail.outbox) == 1
    Meeting.objects.filter(id=meeting.id).update(starts_at=timezone.now())
    coming = plan_meeting(
        supervisee=alice, starts_at=timezone.now() + timedelta(days=6), duration_min=50, by=sam
    )
    page = text(as_sam.get(f"/meetings/{coming.id}/"))
    assert re.search("FE-1, .*: asked by message, but the form ended before an answer", page)
    assert re.search("FE-2, .*: offered in the room, not answered", page)
    assert "FE-3" not in page
    missed = {"attendance": "no_show", "duration_min": 50}
    correct_session(session=in_room, by=alice, starts_at=in_room.starts_at, **missed)
    page = text(as_sam.get(f"/meetings/{coming.id}/"))
    assert re.search("FE-2, .*: asked, then corrected to “No-show”", page), "nor by a correction"
