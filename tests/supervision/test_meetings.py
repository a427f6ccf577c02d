"""Supervision meetings: planned, prepared, held."""

import re
from datetime import timedelta
from functools import partial
from typing import Any
from uuid import uuid4

import pytest
import time_machine
from django.core import mail
from django.db import connection
from django.test import Client as Browser
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from apps.accounts.models import Membership
from apps.core import outbox
from apps.core.models import AuditEntry
from apps.core.rotation import rotate
from apps.exchange.rights import lift_restriction, restrict
from apps.feedback.corrections import cancel_session, correct_session, plan_sessions
from apps.feedback.lifecycle import expire_requests
from apps.feedback.services import (
    ask_in_room,
    log_session_and_ask,
    practice_questionnaire,
    record_from_paper,
    request_feedback,
)
from apps.ruptures.models import RuptureEpisode
from apps.ruptures.repair import latest_worksheet
from apps.supervision.models import Decision, Meeting
from apps.supervision.services import plan_meeting, write_meeting
from tests.at_once import at_once
from tests.factories import SupervisionFactory, TherapySessionFactory, TreatmentFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def meeting(alice: Membership, sam: Membership) -> Meeting:
    return plan_meeting(
        supervisee=alice, starts_at=timezone.now() + timedelta(days=2), duration_min=50, by=sam
    )


@pytest.fixture
def episode(alice: Membership) -> RuptureEpisode:
    treatment = TreatmentFactory.create(therapist=alice, client__code="FE-0007", falling=True)
    return treatment.episodes.get()


def text(response: Any) -> str:
    return str(response.content.decode())


def test_a_supervisor_plans_a_meeting_and_the_supervisee_is_told(
    as_sam: Browser, as_alice: Browser, alice: Membership
) -> None:
    day = timezone.localdate() + timedelta(days=3)
    response = as_sam.post(
        "/meetings/plan/",
        {"supervisee": alice.id, "day": day.isoformat(), "start": "12:00", "minutes": "50"},
    )
    meeting = Meeting.objects.get()
    assert response["Location"] == f"/meetings/{meeting.id}/"
    assert "Sam Okafor planned a meeting with you" in text(as_alice.get("/caseload/"))
    assert f"/meetings/{meeting.id}/" in text(as_alice.get("/meetings/"))
    assert f"/meetings/{meeting.id}/" in text(as_sam.get("/supervision/"))


def test_one_supervisee_is_met_at_a_time(
    as_sam: Browser, sam: Membership, alice: Membership, charlie: Membership, meeting: Meeting
) -> None:
    SupervisionFactory.create(supervisor=sam, supervisee=charlie)
    meeting.starts_at = timezone.localtime(meeting.starts_at).replace(second=0, microsecond=0)
    meeting.save()
    day, start = f"{meeting.starts_at:%Y-%m-%d}", f"{meeting.starts_at:%H:%M}"
    sent = {"day": day, "start": start, "minutes": "50"}
    page = text(as_sam.post("/meetings/plan/", sent | {"supervisee": charlie.id}))
    assert "You meet Alice Moreau then. Choose another time." in page
    assert Meeting.objects.count() == 1
    assert as_sam.post("/meetings/plan/", sent | {"supervisee": alice.id}).status_code == 302


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"day": "2020-01-01"}, "Choose a day from today on"),
        ({"supervisee": str(uuid4())}, "Choose one of your supervisees."),
        ({"minutes": "1"}, "A session lasts 5 to 480 minutes."),
    ],
)
def test_what_is_wrong_with_a_plan_is_said_and_what_was_typed_stays(
    as_sam: Browser, alice: Membership, changes: dict[str, str], said: str
) -> None:
    day = (timezone.localdate() + timedelta(days=3)).isoformat()
    sent = {"supervisee": str(alice.id), "day": day, "start": "12:34", "minutes": "50"} | changes
    page = text(as_sam.post("/meetings/plan/", sent))
    assert said in page
    assert 'value="12:34"' in page
    assert not Meeting.objects.exists()


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


def test_sessions_that_were_not_asked_about_stand_with_their_reason(
    as_sam: Browser, alice: Membership, meeting: Meeting
) -> None:
    treatment = TreatmentFactory.create(therapist=alice, client__code="FE-0135")
    TherapySessionFactory.create(treatment=treatment, not_asked_reason="crisis")
    page = text(as_sam.get(f"/meetings/{meeting.id}/"))
    assert "FE-0135" in page
    assert "not asked. “Crisis or emergency in the session”" in page


def test_sessions_whose_form_was_overtaken_stand_on_the_agenda(
    as_sam: Browser, alice: Membership, meeting: Meeting
) -> None:
    for code, changes in (("FE-0135", {"attendance": "therapist_cancelled"}), ("FE-0136", {})):
        treatment = TreatmentFactory.create(therapist=alice, client__code=code)
        session = TherapySessionFactory.create(treatment=treatment)
        questionnaire = practice_questionnaire(alice.practice)
        request_feedback(
            therapy_session=session, questionnaire=questionnaire, channel_kind="email", by=alice
        )
        if changes:
            correct_session(
                session=session, by=alice, starts_at=session.starts_at, duration_min=50, **changes
            )
        else:
            record_from_paper(
                therapy_session=session,
                questionnaire=questionnaire,
                answers={item["id"]: 9 for item in questionnaire.items},
                answered_at=timezone.now(),
                by=alice,
            )
    page = text(as_sam.get(f"/meetings/{meeting.id}/"))
    assert "asked, then corrected to “You cancelled”" in page
    assert "asked by message; the therapist entered answers from paper" in page


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
        request_feedback(
            therapy_session=session, questionnaire=questionnaire, channel_kind="email", by=alice
        )
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
    assert re.search("FE-1, .*: asked by message, but no form reached the client", page)
    assert re.search("FE-2, .*: offered in the room, not answered", page)
    assert "FE-3" not in page


def test_a_session_corrected_to_before_the_last_meeting_stays_on_the_agenda(
    as_sam: Browser, alice: Membership, sam: Membership, meeting: Meeting
) -> None:
    Meeting.objects.filter(id=meeting.id).update(starts_at=timezone.now() - timedelta(days=3))
    session = TherapySessionFactory.create(
        treatment=TreatmentFactory.create(therapist=alice, client__code="FE-3")
    )
    request_feedback(
        therapy_session=session,
        questionnaire=practice_questionnaire(alice.practice),
        channel_kind="email",
        by=alice,
    )
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
            request_feedback(
                therapy_session=session, questionnaire=questionnaire, channel_kind="email", by=alice
            )
        outbox.deliver_due()
    with time_machine.travel(held + timedelta(days=6), tick=False):
        outbox.deliver_due()
        expire_requests()
    coming = plan_meeting(
        supervisee=alice, starts_at=timezone.now() + timedelta(days=2), duration_min=50, by=sam
    )
    assert "FE-" not in text(as_sam.get(f"/meetings/{coming.id}/"))
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
        "FE-4, [^:]*: asked by message; the therapist entered answers from paper",
    ):
        assert re.search(line, page), line


def test_a_flag_that_a_correction_took_from_the_supervisor_stands_on_the_agenda(
    as_sam: Browser, alice: Membership, meeting: Meeting, episode: RuptureEpisode
) -> None:
    assert episode.is_supervisors
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


def test_an_agenda_is_sent_once(as_sam: Browser, as_alice: Browser, meeting: Meeting) -> None:
    as_sam.post(f"/meetings/{meeting.id}/send/")
    meeting.refresh_from_db()
    sent_at = meeting.agenda_sent_at
    as_sam.post(f"/meetings/{meeting.id}/send/")
    meeting.refresh_from_db()
    assert meeting.agenda_sent_at == sent_at is not None
    assert text(as_alice.get("/caseload/")).count("Sam Okafor sent the agenda") == 2, "text, label"


def test_a_decision_becomes_the_next_action_of_its_episode(
    as_sam: Browser, as_alice: Browser, meeting: Meeting, episode: RuptureEpisode
) -> None:
    said = "Name your own part first."
    as_sam.post(f"/meetings/{meeting.id}/decide/", {"episode": episode.id, "text": said})
    worksheet = latest_worksheet(episode)
    assert worksheet is not None
    assert worksheet.next_action == said
    page = re.sub(r"\s+", " ", text(as_alice.get(f"/meetings/{meeting.id}/")))
    assert f'FE-0007: {said}</span> <span class="rp-sub">Sam Okafor' in page, "who wrote it"
    decision = Decision.objects.get()
    as_alice.post(f"/decisions/{decision.id}/done/")
    decision.refresh_from_db()
    assert decision.done_at is not None


@pytest.mark.django_db(transaction=True)
def test_of_two_decisions_and_a_cause_at_once_none_is_lost(
    as_sam: Browser, as_alice: Browser, meeting: Meeting, episode: RuptureEpisode
) -> None:
    url = f"/meetings/{meeting.id}/decide/"
    answers = at_once(
        *(
            partial(as_sam.post, url, {"episode": episode.id, "text": said})
            for said in ("Go slower.", "Name your part.")
        ),
        partial(as_alice.post, f"/episodes/{episode.id}/causes/", {"causes": ["boundary"]}),
    )
    assert [answer.status_code for answer in answers] == [302] * 3
    worksheet = latest_worksheet(episode)
    assert worksheet is not None
    assert (worksheet.version, worksheet.causes) == (3, ["boundary"])
    assert Decision.objects.count() == 2


def test_a_decision_about_nothing_is_refused_with_a_sentence(
    as_sam: Browser, meeting: Meeting
) -> None:
    page = as_sam.post(f"/meetings/{meeting.id}/decide/", {"text": "Rest"}, follow=True)
    assert "anything else can stand in the notes" in text(page)
    assert not Decision.objects.exists()


def test_the_next_meeting_begins_with_what_was_decided_last_time(
    as_sam: Browser, meeting: Meeting, alice: Membership, sam: Membership, episode: RuptureEpisode
) -> None:
    as_sam.post(f"/meetings/{meeting.id}/decide/", {"episode": episode.id, "text": "Go slower."})
    later = plan_meeting(
        supervisee=alice, starts_at=meeting.starts_at + timedelta(days=14), duration_min=50, by=sam
    )
    page = text(as_sam.get(f"/meetings/{later.id}/"))
    assert "From last time" in page
    assert "Go slower." in page


def test_of_two_writers_the_second_sees_both_texts_and_decides(
    as_sam: Browser, as_alice: Browser, meeting: Meeting
) -> None:
    url = f"/meetings/{meeting.id}/"
    as_sam.post(url, {"version": "1", "notes": "Pace"})
    page = text(as_alice.post(url, {"version": "1", "notes": "Endings", "wish": "Fees"}))
    assert "Not saved yet: the notes were changed meanwhile. They now read: “Pace”" in page
    assert "Endings</textarea>" in page
    meeting.refresh_from_db()
    assert (meeting.notes, meeting.wish) == ("Pace", "")
    as_alice.post(url, {"version": "2", "notes": "Pace, endings", "wish": "Fees"})
    meeting.refresh_from_db()
    assert (meeting.notes, meeting.wish) == ("Pace, endings", "Fees")
    assert "From Alice Moreau" in text(as_sam.get(url))


def test_what_is_written_for_a_meeting_is_sealed_and_survives_new_keys(
    alice: Membership, meeting: Meeting
) -> None:
    write_meeting(meeting=meeting, opened_version=1, notes="Pace", wish="Fees", by=alice)
    for _ in range(2):
        with connection.cursor() as cursor:
            cursor.execute("SELECT notes, wish FROM supervision_meeting")
            notes, wish = map(bytes, cursor.fetchone())
        assert b"Pace" not in notes
        assert b"Fees" not in wish
        meeting = Meeting.objects.get()
        assert (meeting.notes, meeting.wish) == ("Pace", "Fees")
        list(rotate(meeting.practice_id))
        fresh = Meeting.objects.values_list("notes", flat=True).get()
        assert fresh.raw != notes, "sealed anew"


def test_the_wish_is_the_supervisees_own(as_sam: Browser, meeting: Meeting) -> None:
    as_sam.post(f"/meetings/{meeting.id}/", {"version": "1", "notes": "x", "wish": "mine"})
    meeting.refresh_from_db()
    assert (meeting.notes, meeting.wish) == ("x", "")


def test_strangers_managers_and_former_supervisors_reach_no_meeting(
    as_charlie: Browser,
    as_mona: Browser,
    as_sam: Browser,
    as_alice: Browser,
    sam: Membership,
    meeting: Meeting,
) -> None:
    for path in ("", "send/", "decide/"):
        status = as_charlie.post(f"/meetings/{meeting.id}/{path}").status_code
        assert status == (403 if path == "send/" else 404)
        assert as_mona.post(f"/meetings/{meeting.id}/{path}").status_code == 403
    sam.supervisions_given.update(starts_on="2020-01-01", ends_on="2020-02-01")
    assert as_sam.get(f"/meetings/{meeting.id}/").status_code == 404
    assert as_alice.get(f"/meetings/{meeting.id}/").status_code == 200, "it is hers still"


def test_who_is_a_supervisor_no_more_reaches_no_meeting_as_a_therapist(
    as_sam: Browser, sam: Membership, meeting: Meeting, episode: RuptureEpisode
) -> None:
    episode.shared_at = timezone.now()
    episode.save()
    assert as_sam.get(f"/meetings/{meeting.id}/").status_code == 200
    Membership.objects.filter(id=sam.id).update(roles=["therapist"])
    assert as_sam.get(f"/meetings/{meeting.id}/").status_code == 404
    assert not RuptureEpisode.objects.for_supervisor(sam).exists()
    assert "FE-0007" not in text(as_sam.get("/caseload/"))


def test_a_decision_is_read_as_long_as_the_supervisee_treats_the_client(
    as_sam: Browser, as_alice: Browser, meeting: Meeting, episode: RuptureEpisode
) -> None:
    as_sam.post(f"/meetings/{meeting.id}/decide/", {"episode": episode.id, "text": "Go slower."})
    decision = Decision.objects.get()
    treatment = episode.treatment
    treatment.ends_on = timezone.localdate()
    treatment.save()
    for browser in (as_sam, as_alice):
        page = text(browser.get(f"/meetings/{meeting.id}/"))
        assert "Go slower." not in page
        assert all("went to another therapist" in line for line in re.findall("FE-0007.*", page))
        assert browser.post(f"/decisions/{decision.id}/done/").status_code == 404


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
