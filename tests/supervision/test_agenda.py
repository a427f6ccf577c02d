"""The agenda: what a supervisor may see of a caseload, since when, and how it ended."""

import re
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.db import connection
from django.test import Client as Browser
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from apps.accounts import notices
from apps.accounts.models import Membership, Supervision
from apps.core import outbox, reports
from apps.core.models import AuditEntry, OutboxMessage
from apps.endings.services import hand_over
from apps.exchange.rights import lift_restriction, restrict
from apps.feedback.corrections import (
    correct_session,
    undo_log,
)
from apps.feedback.lifecycle import expire_requests
from apps.feedback.services import (
    log_session_and_ask,
    practice_questionnaire,
    record_from_paper,
)
from apps.ruptures.models import RuptureEpisode
from apps.ruptures.notices import seers
from apps.ruptures.services import record_outcome
from apps.supervision.models import Decision, Meeting
from apps.supervision.services import plan_meeting
from apps.therapy_sessions.models import TherapySession
from tests.factories import SupervisionFactory, TherapySessionFactory, TreatmentFactory
from tests.supervision.conftest import ask_by_email

pytestmark = pytest.mark.django_db


def text(response: Any) -> str:
    return str(response.content.decode())


def test_the_agenda_holds_what_the_supervisor_may_see_longest_waiting_first(
    as_sam: Browser, as_alice: Browser, alice: Membership, sam: Membership, meeting: Meeting
) -> None:
    now = timezone.now()
    for code, days in (("FE-0001", 1), ("FE-0002", 6), ("FE-0003", 3)):
        TreatmentFactory.create(therapist=alice, client__code=code, falling=True)
        RuptureEpisode.objects.filter(treatment__client__code=code).update(
            shared_at=now - timedelta(days=days)
        )
    RuptureEpisode.objects.filter(treatment__client__code="FE-0003").update(
        shared_at=None, marked_at=None, opened_at=now
    )
    for browser in (as_sam, as_alice):
        page = browser.get(f"/meetings/{meeting.id}/")
        assert [item.episode.code for item in page.context["page"].items] == ["FE-0002", "FE-0001"]
        assert "FE-0003" not in text(page)
    entry = AuditEntry.objects.filter(action="view meeting", actor_id=sam.id).get()
    assert len(entry.client_ids) == 2


@pytest.mark.parametrize("met_before", [False, True])
def test_the_first_meeting_of_a_supervision_goes_back_ninety_days(
    as_sam: Browser, sam: Membership, alice: Membership, meeting: Meeting, met_before: bool
) -> None:
    """Also of one that begins again: what happened while nobody supervised was for nobody."""
    if met_before:
        Supervision.objects.update(starts_on=timezone.localdate() - timedelta(days=3))
        Meeting.objects.create(
            practice=meeting.practice, supervisor=sam, supervisee=alice, duration_min=50,
            starts_at=timezone.now() - timedelta(days=300),
        )  # fmt: skip
    for code, days in (("FE-0135", 80), ("FE-0136", 95)):
        treatment = TreatmentFactory.create(therapist=alice, client__code=code)
        starts_at = timezone.now() - timedelta(days=days)
        TherapySessionFactory.create(
            treatment=treatment, not_asked_reason="crisis", starts_at=starts_at
        )
    page = text(as_sam.get(f"/meetings/{meeting.id}/"))
    assert "FE-0135" in page
    assert "FE-0136" not in page


@pytest.mark.parametrize("which", ["first", "last"])
def test_the_page_of_a_meeting_of_an_earlier_supervision_tells_nothing_of_the_time_since(
    as_sam: Browser, sam: Membership, alice: Membership, episode: RuptureEpisode, which: str
) -> None:
    """It keeps what the two wrote, which stays as it is."""
    now, today = timezone.now(), timezone.localdate()
    Supervision.objects.update(
        starts_on=today - timedelta(days=800), ends_on=today - timedelta(days=500)
    )
    first, last = [
        Meeting.objects.create(
            practice=sam.practice, supervisor=sam, supervisee=alice, notes="Of us two.",
            starts_at=now - timedelta(days=days),
        )
        for days in (600, 550)
    ]  # fmt: skip
    meeting = {"first": first, "last": last}[which]
    Decision.objects.create(
        practice=sam.practice, meeting=meeting, episode=episode, text="Go slower.", written_by=sam
    )
    page = f"/meetings/{meeting.id}/"
    assert as_sam.get(page).status_code == 404
    treatment = TreatmentFactory.create(
        therapist=alice, client__code="FE-0135", starts_on=today - timedelta(days=400)
    )
    for days, said in ((300, {"not_asked_reason": "other", "not_asked_note": "Her husband reads"}),
                       (299, {"attendance": ""})):  # fmt: skip
        TherapySessionFactory.create(
            treatment=treatment, starts_at=now - timedelta(days=days), **said
        )
    ended = TreatmentFactory.create(therapist=alice, client__code="FE-0136")
    ended.ends_on = today
    ended.save()
    SupervisionFactory.create(supervisor=sam, supervisee=alice, starts_on=today, created_at=now)
    shown = text(as_sam.get(page))
    assert "FE-0135" not in shown
    assert "FE-0136" not in shown
    assert "Of us two." in shown
    assert "Go slower." in shown
    entry = AuditEntry.objects.get(action="view meeting")
    assert entry.client_ids == [episode.treatment.client_id]


def test_a_flag_that_went_in_an_earlier_supervision_stands_on_no_agenda_of_then(
    as_sam: Browser, as_alice: Browser, sam: Membership, alice: Membership,
    meeting: Meeting, episode: RuptureEpisode,
) -> None:  # fmt: skip
    """The next agenda has it; what both wrote of the meeting of then stays as it is."""
    now = timezone.now()
    Meeting.objects.update(starts_at=now - timedelta(days=2))
    sent = {"outcome": "not_a_rupture", "reason": "For alice alone"}
    as_alice.post(f"/episodes/{episode.id}/outcome/", sent)
    assert "FE-0007: opened" in text(as_sam.get(f"/meetings/{meeting.id}/"))
    Supervision.objects.update(ends_on=timezone.localdate() - timedelta(days=1))
    SupervisionFactory.create(
        supervisor=sam, supervisee=alice, starts_on=timezone.localdate(), created_at=now
    )
    assert "FE-0007" not in text(as_sam.get(f"/meetings/{meeting.id}/"))
    as_alice.post(f"/meetings/{meeting.id}/", {"version": 1, "notes": "Of between."})
    meeting.refresh_from_db()
    assert not meeting.notes
    coming = plan_meeting(
        supervisee=alice, starts_at=now + timedelta(days=2), duration_min=50, by=sam
    )
    assert "FE-0007: opened" in text(as_sam.get(f"/meetings/{coming.id}/"))


def test_what_was_planned_and_is_logged_by_nobody_stands_on_the_agenda(
    as_sam: Browser, as_alice: Browser, alice: Membership, meeting: Meeting
) -> None:
    """Nor can it be cancelled or moved ahead once it has begun: that would be the cheapest skip."""
    treatment = TreatmentFactory.create(therapist=alice, client__code="FE-0135")
    begun = TherapySessionFactory.create(
        treatment=treatment, starts_at=timezone.now() - timedelta(hours=23), attendance=""
    )
    assert "FE-0135" not in text(as_sam.get(f"/meetings/{meeting.id}/"))
    said = as_alice.post(reverse("cancel_session", args=[begun.id]), follow=True)
    assert "This session has begun, so it is logged" in text(said)
    ahead = timezone.localdate() + timedelta(days=3)
    move = {"held_on": ahead.isoformat(), "start": "10:00", "minutes": "50"}
    said = as_alice.post(reverse("move_session", args=[begun.id]), move)
    assert "This session has begun, so it is logged" in text(said)
    begun.refresh_from_db()
    assert begun.starts_at < timezone.now()
    begun.starts_at -= timedelta(hours=2)
    begun.save()
    page = text(as_sam.get(f"/meetings/{meeting.id}/"))
    assert re.search(r"FE-0135, [^:]*: planned, and not logged\.", page)


def test_what_nobody_logs_stands_on_each_agenda_until_it_is_logged(
    as_sam: Browser, alice: Membership, sam: Membership, meeting: Meeting
) -> None:
    """Also of the day before the last meeting, and what was logged while that meeting lasted."""
    last = timezone.now() - timedelta(days=3)
    eve, undone = [
        TherapySessionFactory.create(
            treatment=TreatmentFactory.create(therapist=alice, client__code=code),
            starts_at=last - before,
            attendance="",
            logged_at=None,
        )
        for code, before in (("FE-1", timedelta(hours=19)), ("FE-2", timedelta(days=5)))
    ]

    def log(session: TherapySession) -> TherapySession:
        return log_session_and_ask(
            treatment=session.treatment,
            starts_at=session.starts_at,
            duration_min=50,
            attendance="no_show",
            own_view={},
            planned=session,
            ask_by="",
            by=alice,
        )

    with time_machine.travel(last - timedelta(minutes=3), tick=False):
        log(undone)
    with time_machine.travel(last + timedelta(minutes=5), tick=False):
        undo_log(session=undone, by=alice)
    Meeting.objects.filter(id=meeting.id).update(starts_at=last)
    coming = [
        plan_meeting(
            supervisee=alice, starts_at=timezone.now() + timedelta(days=n), duration_min=50, by=sam
        )
        for n in (4, 11)
    ]
    for each in coming:
        page = text(as_sam.get(f"/meetings/{each.id}/"))
        for code in ("FE-1", "FE-2"):
            assert re.search(f"{code}, [^:]*: planned, and not logged", page), code
    for session in (eve, undone):
        log(session)
    assert "FE-" not in text(as_sam.get(f"/meetings/{coming[0].id}/"))


def test_a_session_corrected_to_before_the_last_meeting_stays_on_the_agenda(
    as_sam: Browser, alice: Membership, sam: Membership, meeting: Meeting
) -> None:
    Meeting.objects.filter(id=meeting.id).update(starts_at=timezone.now() - timedelta(days=3))
    session = TherapySessionFactory.create(
        treatment=TreatmentFactory.create(therapist=alice, client__code="FE-3")
    )
    ask_by_email(session)
    restrict(client=session.treatment.client, by=alice)
    lift_restriction(client=session.treatment.client, by=alice)
    session.refresh_from_db()
    correct_session(
        session=session,
        attendance="attended",
        starts_at=session.starts_at - timedelta(days=20),
        by=alice,
    )
    coming = plan_meeting(
        supervisee=alice, starts_at=timezone.now() + timedelta(days=2), duration_min=50, by=sam
    )
    page = text(as_sam.get(f"/meetings/{coming.id}/"))
    assert re.search("FE-3, .*: asked, then the form was withdrawn before an answer", page)


def test_what_is_said_after_the_last_meeting_of_a_session_before_it_stands_on_the_next_agenda(
    as_sam: Browser, as_alice: Browser, alice: Membership, sam: Membership, meeting: Meeting
) -> None:
    """Logged late as not asked, corrected to attended and to cancelled, and answers from paper."""
    Meeting.objects.filter(id=meeting.id).update(starts_at=timezone.now() - timedelta(days=2))
    questionnaire = practice_questionnaire(alice.practice)
    held = timezone.localtime() - timedelta(days=9)
    with time_machine.travel(held + timedelta(hours=1), tick=False):
        late, missed, cancelled, on_paper = [
            TherapySessionFactory.create(
                treatment__therapist=alice, treatment__client__code=code, starts_at=held, **logged
            )
            for code, logged in {
                "FE-1": {"attendance": "", "logged_at": None},
                "FE-2": {"attendance": "no_show"},
                "FE-3": {},
                "FE-4": {},
            }.items()
        ]
        for session in (cancelled, on_paper):
            ask_by_email(session)
        outbox.deliver_due()
    with time_machine.travel(held + timedelta(days=6), tick=False):
        outbox.deliver_due()
        expire_requests()
    coming = plan_meeting(
        supervisee=alice, starts_at=timezone.now() + timedelta(days=2), duration_min=50, by=sam
    )
    page = text(as_sam.get(f"/meetings/{coming.id}/"))
    assert re.findall("(FE-.), [^:]*: ([^.]*)", page) == [("FE-1", "planned, and not logged")]
    log_session_and_ask(
        treatment=late.treatment,
        starts_at=late.starts_at,
        duration_min=50,
        attendance="attended",
        own_view={},
        not_asked_reason="crisis",
        planned=late,
        ask_by="",
        by=alice,
    )
    correct_session(session=missed, attendance="attended", not_asked_reason="crisis", by=alice)
    correct_session(session=cancelled, attendance="therapist_cancelled", by=alice)
    record_from_paper(
        therapy_session=on_paper,
        questionnaire=questionnaire,
        answers={item["id"]: 9 for item in questionnaire.items},
        answered_at=timezone.now(),
        by=alice,
    )
    page = text(as_sam.get(f"/meetings/{coming.id}/"))
    for line in (
        "FE-1, [^:]*: not asked. “Crisis",
        "FE-2, [^:]*: not asked. “Crisis",
        "FE-3, [^:]*: asked, then corrected to “You cancelled”",
        "FE-4, [^:]*: asked by message, then answered in the room or from paper",
    ):
        assert re.search(line, page), line


def test_a_form_that_is_said_after_the_last_meeting_to_have_come_back_stands_on_the_next_agenda(
    as_sam: Browser, alice: Membership, sam: Membership, meeting: Meeting
) -> None:
    held = timezone.now() - timedelta(days=9)
    with time_machine.travel(held + timedelta(hours=1), tick=False):
        session = TherapySessionFactory.create(
            treatment__therapist=alice, treatment__client__code="FE-1", starts_at=held
        )
        ask_by_email(session)
    with time_machine.travel(held + timedelta(hours=4), tick=False):
        outbox.deliver_due()
    with time_machine.travel(held + timedelta(days=6), tick=False):
        expire_requests()
    Meeting.objects.filter(id=meeting.id).update(starts_at=timezone.now() - timedelta(days=1))
    coming = plan_meeting(
        supervisee=alice, starts_at=timezone.now() + timedelta(days=2), duration_min=50, by=sam
    )
    assert "FE-1" not in text(as_sam.get(f"/meetings/{coming.id}/"))
    message = OutboxMessage.objects.get(kind="feedback_request")
    reports.note(
        practice_id=alice.practice_id, message_id=message.id,
        outcome=reports.Outcome.BOUNCED, channel="email",
    )  # fmt: skip
    page = text(as_sam.get(f"/meetings/{coming.id}/"))
    assert re.search("FE-1, .*: asked by message, but the form ended before an answer", page)


def test_a_flag_that_a_correction_took_from_the_supervisor_stands_on_the_agenda(
    as_sam: Browser, alice: Membership, meeting: Meeting, episode: RuptureEpisode
) -> None:
    assert seers(episode)
    session = episode.opened_by
    year_before = session.starts_at - timedelta(days=360)
    correct_session(session=session, attendance="attended", starts_at=year_before, by=alice)
    episode.refresh_from_db()
    assert episode.outcome == RuptureEpisode.Outcome.SUPERSEDED
    page = text(as_sam.get(f"/meetings/{meeting.id}/"))
    assert re.search("FE-0007: opened .*, withdrawn after a correction", page)
    entry = AuditEntry.objects.get(action="view meeting")
    assert entry.client_ids == [episode.treatment.client_id]


def test_a_flag_that_its_therapist_ended_is_told_and_stands_on_the_agenda(
    as_sam: Browser, as_alice: Browser, meeting: Meeting, episode: RuptureEpisode
) -> None:
    sent = {"outcome": "not_a_rupture", "reason": "For alice alone"}
    as_alice.post(f"/episodes/{episode.id}/outcome/", sent)
    said = "a possible rupture that you could see was recorded as “Not a rupture”."
    assert f"FE-0007: {said}" in text(as_sam.get("/supervision/"))
    page = text(as_sam.get(f"/meetings/{meeting.id}/"))
    assert re.search("FE-0007: opened .*, recorded as “Not a rupture”", page)
    assert "For alice alone" not in page
    later = plan_meeting(
        supervisee=meeting.supervisee,
        starts_at=meeting.starts_at + timedelta(days=7),
        duration_min=50,
        by=meeting.supervisor,
    )
    assert "FE-0007" not in text(as_sam.get(f"/meetings/{later.id}/"))


def test_how_a_flag_ended_that_was_shared_no_more_by_then_stands_on_no_agenda(
    as_sam: Browser, as_alice: Browser, meeting: Meeting, episode: RuptureEpisode
) -> None:
    RuptureEpisode.objects.update(marked_at=None, shared_at=None, waited_at=None)
    as_alice.post(f"/episodes/{episode.id}/acknowledge/")
    as_alice.post(f"/episodes/{episode.id}/sharing/", {"share": "on"})
    assert as_sam.get(f"/supervision/{episode.id}/").status_code == 200
    as_alice.post(f"/episodes/{episode.id}/sharing/", {})
    assert as_sam.get(f"/supervision/{episode.id}/").status_code == 404
    sent = {"outcome": "not_a_rupture", "reason": "For alice alone"}
    as_alice.post(f"/episodes/{episode.id}/outcome/", sent)
    episode.refresh_from_db()
    assert episode.outcome == RuptureEpisode.Outcome.NOT_A_RUPTURE
    for page in ("/supervision/", f"/meetings/{meeting.id}/"):
        said = text(as_sam.get(page))
        assert re.search("FE-0007: .* taken back: it is no longer marked, or no longer sha", said)
        assert "Not a rupture" not in said


def test_an_agenda_costs_as_many_queries_for_one_episode_as_for_six(
    as_sam: Browser, alice: Membership, meeting: Meeting
) -> None:
    counts = []
    for more in (1, 5):
        for _ in range(more):
            TreatmentFactory.create(therapist=alice, falling=True)
        with CaptureQueriesContext(connection) as queries:
            as_sam.get(f"/meetings/{meeting.id}/")
        counts.append(len(queries))
    assert counts[0] == counts[1]


def test_what_ended_with_a_client_who_went_on_is_told_without_them_and_the_agenda_names_them(
    as_sam: Browser, as_charlie: Browser, alice: Membership, charlie: Membership,
    mona: Membership, sam: Membership, meeting: Meeting,
) -> None:  # fmt: skip
    """Whoever treats the client now would read in *Who looked* when a colleague's supervisor opens
    their first page."""
    counts = []
    for number in range(2):
        treatments = TreatmentFactory.create_batch(1 + number, therapist=alice, falling=True)
        for each in treatments:
            ask_by_email(TherapySessionFactory.create(treatment=each))
            record_outcome(
                episode=each.episodes.get(), outcome="not_a_rupture", reason="x", by=alice
            )
        OutboxMessage.objects.update(state=OutboxMessage.State.SENT, sent_at=timezone.now())
        hand_over(treatments, to=charlie, by=mona)
        with CaptureQueriesContext(connection) as queries:
            told = [each.said.text for each in notices.unread(sam)]
        counts.append(len(queries))
    assert counts[0] == counts[1]
    form = (
        "A form of a client was waiting for an answer when it was decided that the treatment with"
    )
    flag = "A possible rupture that you could see, with a client of Alice Moreau, was recorded as"
    for said in (f"{form} Alice Moreau ends", f"{flag} “Not a rupture”. The agenda of a"):
        assert len([each for each in told if each.startswith(said)]) == 3
    page, agenda = text(as_sam.get("/supervision/")), text(as_sam.get(f"/meetings/{meeting.id}/"))
    for each in treatments:
        code = each.client.code
        assert code not in page
        assert re.search(
            f"{code}, [^:]*: asked, then the form was withdrawn before an answer", agenda
        )
        assert re.search(f"{code}: opened [^,]*, recorded as “Not a rupture”", agenda)
        looks = as_charlie.get(f"/clients/{each.client_id}/who-looked/").context["page"].looks
        assert "View supervision" not in {one.action for one in looks if one.who == sam.name}
