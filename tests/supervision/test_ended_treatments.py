"""What a supervisor is told of treatments that ended: nothing is wiped by closing them."""

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
from apps.accounts.services import end_supervision, start_supervision
from apps.clients.models import Treatment
from apps.core.models import AuditEntry
from apps.endings.models import Ending
from apps.endings.services import close_treatment, hand_over, reopen_treatment
from apps.exchange.rights import erase_client
from apps.ruptures.repair import Sheet, save_worksheet, set_sharing
from apps.supervision.models import Meeting
from apps.supervision.services import decide, plan_meeting
from apps.therapy_sessions.models import TherapySession
from apps.therapy_sessions.services import save_process_note
from tests.conftest import signed_in
from tests.factories import TherapySessionFactory, TreatmentFactory

pytestmark = pytest.mark.django_db
SKIPPED = "not asked. “Crisis or emergency in the session”"


@pytest.fixture
def treatment(alice: Membership) -> Treatment:
    """With a marked episode, and a session after which the client was not asked."""
    treatment = TreatmentFactory.create(therapist=alice, client__code="FE-0007", falling=True)
    TherapySessionFactory.create(treatment=treatment, not_asked_reason="crisis")
    return treatment


def close(treatment: Treatment) -> Ending:
    return close_treatment(
        treatment=treatment, how="agreed", review="Mine alone.", by=treatment.therapist
    )


def agenda(browser: Browser, meeting: Meeting) -> str:
    page: Any = browser.get(f"/meetings/{meeting.id}/")
    return str(page.content.decode())


def test_closing_and_beginning_again_wipes_nothing_from_the_agenda_and_stands_on_it(
    as_sam: Browser, alice: Membership, sam: Membership, meeting: Meeting, treatment: Treatment
) -> None:
    decide(meeting=meeting, episode=treatment.episodes.get(), text="Go slower.", by=sam)
    reopen_treatment(ending=close(treatment), by=alice)
    page = agenda(as_sam, meeting)
    assert re.search(rf"FE-0007, [^:]*: {SKIPPED}", page)
    assert re.search("FE-0007: opened [^,]*, recorded as “Ended unrepaired”", page)
    assert re.search("FE-0007: treatment closed on ", page)
    assert re.search("FE-0007: begun again on [^,]*, with a new baseline", page)
    assert "Go slower." in page, "alice treats the client still"
    assert "Mine alone." not in page
    assert AuditEntry.objects.get(action="view meeting").client_ids == [treatment.client_id]


def test_the_first_of_several_treatments_of_one_day_was_not_begun_again(
    as_sam: Browser, alice: Membership, meeting: Meeting
) -> None:
    treatment = TreatmentFactory.create(
        therapist=alice, client__code="FE-0007", starts_on=timezone.localdate()
    )
    ending = close(treatment)
    for times in (1, 2, 3):
        treatment = reopen_treatment(ending=ending, by=alice)
        assert agenda(as_sam, meeting).count("FE-0007: begun again on") == times
        ending = close(treatment)
        assert agenda(as_sam, meeting).count("FE-0007: begun again on") == times
        assert agenda(as_sam, meeting).count("FE-0007: treatment closed on") == times + 1


def test_what_went_to_somebody_else_stands_on_the_agenda_of_who_gave_it_away(
    as_sam: Browser,
    charlie: Membership,
    mona: Membership,
    meeting: Meeting,
    treatment: Treatment,
) -> None:
    hand_over([treatment], to=charlie, by=mona)
    page = agenda(as_sam, meeting)
    assert re.search("FE-0007: went to another therapist", page)
    assert SKIPPED in page
    episode = reverse("supervised_episode", args=[treatment.episodes.get().id])
    assert as_sam.get(episode).status_code == 404, "no other page"


def test_a_session_that_had_begun_outlives_its_treatment_and_stands_on_the_agenda_at_once(
    as_sam: Browser,
    alice: Membership,
    charlie: Membership,
    mona: Membership,
    sam: Membership,
    meeting: Meeting,
) -> None:
    """Neither closing and beginning again nor a hand-over skips it, on the day of a meeting too."""
    closed, gone = [
        TreatmentFactory.create(therapist=alice, client__code=code) for code in ("FE-1", "FE-2")
    ]
    now = timezone.now()
    for treatment in (closed, gone):
        for start in (now - timedelta(minutes=1), now + timedelta(days=7)):
            TherapySessionFactory.create(treatment=treatment, starts_at=start, attendance="")
    reopen_treatment(ending=close(closed), by=alice)
    hand_over([gone], to=charlie, by=mona)
    Meeting.objects.filter(id=meeting.id).update(starts_at=now)
    later = plan_meeting(
        supervisee=alice, starts_at=now + timedelta(days=5), duration_min=50, by=sam
    )
    for each in (meeting, later):
        page = agenda(as_sam, each)
        for code in ("FE-1", "FE-2"):
            assert len(re.findall(f"{code}, [^:]*: planned, and not logged", page)) == 1, code
    assert closed.therapy_sessions.get().starts_at < timezone.now(), "plans are called off"


def test_what_was_planned_for_after_the_end_and_written_about_counts_as_nothing_forgotten(
    alice: Membership,
    charlie: Membership,
    mona: Membership,
    sam: Membership,
    meeting: Meeting,
) -> None:
    now = timezone.now()
    closed, gone = [
        TreatmentFactory.create(therapist=alice, client__code=code) for code in ("FE-1", "FE-2")
    ]
    for treatment in (closed, gone):
        planned = TherapySessionFactory.create(
            treatment=treatment, attendance="", starts_at=now + timedelta(days=1)
        )
        save_process_note(therapy_session=planned, text="Bring the letter", by=alice)
    close(closed)
    hand_over([gone], to=charlie, by=mona)
    with time_machine.travel(now + timedelta(days=1, hours=1)):
        page = agenda(signed_in(sam), meeting)
    assert "FE-1: treatment closed on" in page
    assert "not logged" not in page
    assert TherapySession.objects.filter(treatment__therapist=alice).count() == 2


def test_a_treatment_that_ended_before_the_last_meeting_or_the_supervision_is_not_listed(
    as_sam: Browser, alice: Membership, sam: Membership, meeting: Meeting, treatment: Treatment
) -> None:
    close(treatment)
    links = Supervision.objects.filter(supervisor=sam)
    links.update(starts_on=timezone.localdate() + timedelta(days=1))
    assert not agenda_lines(meeting)
    links.update(starts_on=timezone.localdate())
    assert agenda_lines(meeting) == [treatment]
    links.update(created_at=timezone.now() + timedelta(days=1))
    assert not agenda_lines(meeting), "a first day in the past reaches no further back"
    links.update(created_at=None)
    assert agenda_lines(meeting) == [treatment]
    Meeting.objects.filter(id=meeting.id).update(starts_at=timezone.now() + timedelta(days=1))
    later = plan_meeting(
        supervisee=alice, starts_at=timezone.now() + timedelta(days=9), duration_min=50, by=sam
    )
    assert "FE-0007" not in agenda(as_sam, later)


@pytest.mark.parametrize("in_terms", [False, True], ids=["one term", "two terms"])
def test_what_ends_on_the_last_day_of_a_term_stands_on_the_agenda_of_the_next(
    alice: Membership, sam: Membership, mona: Membership, treatment: Treatment, in_terms: bool
) -> None:
    now, today = timezone.now(), timezone.localdate()
    other = TreatmentFactory.create(therapist=alice, client__code="FE-0008", falling=True)
    episode = other.episodes.get()
    set_sharing(episode=episode, share=True, share_notes=True, by=alice)
    sheet = Sheet(next_action="Noted for Sam.")
    save_worksheet(episode=episode, sheet=sheet, opened_version=0, by=alice)
    plan_meeting(
        supervisee=alice, starts_at=now - timedelta(days=20), duration_min=50, by=sam
    )  # fmt: skip
    if in_terms:
        end_supervision(supervision=Supervision.objects.get(), ends_on=today, by=mona)
        start_supervision(
            supervisor=sam, supervisee=alice, starts_on=today + timedelta(days=1), by=mona
        )
    close(treatment)
    with time_machine.travel(now + timedelta(days=1), tick=False):
        [told] = notices.unread(sam)
        assert "Ended unrepaired" in told.said.text
        coming = plan_meeting(
            supervisee=alice, starts_at=timezone.now(), duration_min=50, by=sam
        )  # fmt: skip
        page = agenda(signed_in(sam), coming)
        for line in ("recorded as “Ended unrepaired”", "treatment closed on", SKIPPED):
            assert re.search(f"FE-0007[^.]*{line}", page), line
        shared = signed_in(sam).get(reverse("supervised_episode", args=[episode.id]))
        assert "Noted for Sam." in shared.content.decode()


def agenda_lines(meeting: Meeting) -> list[Treatment]:
    return list(meeting.treatments(since=timezone.now() - timedelta(days=28)))


def test_an_erased_client_is_on_no_agenda(
    as_sam: Browser, mona: Membership, meeting: Meeting, treatment: Treatment
) -> None:
    close(treatment)
    erase_client(client=treatment.client, by=mona)
    treatment.client.refresh_from_db()
    page = agenda(as_sam, meeting)
    assert SKIPPED not in page
    assert "treatment closed" not in page
    assert treatment.client.code not in page, "nor how a flag of theirs ended"


def test_an_agenda_costs_as_many_queries_for_one_ended_treatment_as_for_six(
    as_sam: Browser, alice: Membership, meeting: Meeting
) -> None:
    counts = []
    for more in (1, 5):
        for _ in range(more):
            treatment = TreatmentFactory.create(therapist=alice, falling=True)
            TherapySessionFactory.create(treatment=treatment, not_asked_reason="crisis")
            reopen_treatment(ending=close(treatment), by=alice)
        with CaptureQueriesContext(connection) as queries:
            as_sam.get(f"/meetings/{meeting.id}/")
        counts.append(len(queries))
    assert counts[0] == counts[1]
