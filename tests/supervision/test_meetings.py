"""Supervision meetings: planned, prepared, held."""

import re
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import partial
from typing import Any
from uuid import uuid4

import pytest
import time_machine
from django.db import connection
from django.test import Client as Browser
from django.utils import timezone

from apps.accounts import notices
from apps.accounts.models import Membership
from apps.accounts.services import deactivate_member
from apps.clients.rotation import rotate
from apps.core import tenancy
from apps.ruptures.models import RuptureEpisode
from apps.ruptures.repair import latest_worksheet
from apps.supervision.models import Decision, Meeting
from apps.supervision.services import plan_meeting, write_meeting
from tests.at_once import at_once, elsewhere, sent_during
from tests.conftest import signed_in
from tests.factories import SupervisionFactory

pytestmark = pytest.mark.django_db


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
    for browser in (as_alice, as_sam):
        browser.post(f"/decisions/{decision.id}/done/")
    decision.refresh_from_db()
    assert decision.done_at is not None
    for browser in (as_alice, as_sam):
        page = text(browser.get(f"/meetings/{meeting.id}/"))
        assert "Done: Alice Moreau, " in page, "who ticked it, and not who decided"


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


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("way", ["", "send/"])
def test_whose_place_is_closed_as_their_save_waits_writes_nothing(
    as_sam: Browser, sam: Membership, mona: Membership, meeting: Meeting, way: str
) -> None:
    def close() -> None:
        Meeting.objects.select_for_update().get(id=meeting.id)
        deactivate_member(member=sam, by=mona)

    form = {"version": meeting.version, "notes": "afterwards", "wish": ""}
    save = partial(as_sam.post, f"/meetings/{meeting.id}/{way}", form)
    assert sent_during(close, meeting.practice, save).status_code == 403
    with tenancy.practice(meeting.practice_id):
        meeting.refresh_from_db()
        assert (meeting.notes, meeting.agenda_sent_at) == ("", None)


@pytest.mark.django_db(transaction=True)
def test_nothing_that_refers_to_a_meeting_or_a_manager_waits_for_who_changes_them(
    alice: Membership, mona: Membership, meeting: Meeting, episode: RuptureEpisode
) -> None:
    """It would wait as it is stored, when nobody is asked any more whether they may."""
    ours = meeting.practice_id

    def refer() -> None:
        notices.tell(member=mona, kind="agenda", subject=meeting)
        words = {"text": "Go slower.", "written_by": alice}
        Decision.objects.create(practice_id=ours, meeting=meeting, episode=episode, **words)

    with ThreadPoolExecutor(1) as pool, tenancy.practice(ours):
        write_meeting(meeting=meeting, opened_version=1, notes="Pace", by=alice)
        deactivate_member(member=alice, by=mona)
        pool.submit(elsewhere, refer, practice_id=ours).result(timeout=20)


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


def test_a_week_after_a_meeting_what_both_wrote_stays_as_it_is(
    as_sam: Browser, alice: Membership, sam: Membership, meeting: Meeting, episode: RuptureEpisode
) -> None:
    """Whether or not they have met again."""
    address = f"/meetings/{meeting.id}/"
    as_sam.post(address, {"version": "1", "notes": "Call by Friday."})
    soon = meeting.starts_at + timedelta(minutes=35)
    plan_meeting(supervisee=alice, starts_at=soon, duration_min=50, by=sam)
    with time_machine.travel(meeting.starts_at + timedelta(days=7), tick=False) as clock:
        as_alice = signed_in(alice)
        page = text(as_alice.post(address, {"version": "2", "notes": "Nothing.", "wish": ""}))
        assert "Not saved: this meeting was a week ago" in page
        assert "Nothing.</textarea>" in page
        decision = {"episode": episode.id, "text": "No call."}
        refused = text(as_alice.post(f"{address}decide/", decision))
        assert "Not recorded: this meeting was a week ago" in refused
        assert "Record decision" not in text(as_alice.get(address))
        meeting.refresh_from_db()
        assert meeting.notes == "Call by Friday."
        assert not Decision.objects.exists()
        clock.shift(-timedelta(minutes=1))
        as_alice.post(address, {"version": "2", "notes": "Call by Friday; done.", "wish": ""})
    meeting.refresh_from_db()
    assert meeting.notes == "Call by Friday; done."


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


def test_what_both_wrote_stays_as_it_is_once_the_supervision_is_over(
    as_alice: Browser, as_sam: Browser, sam: Membership, meeting: Meeting
) -> None:
    page = f"/meetings/{meeting.id}/"
    as_sam.post(page, {"version": 1, "notes": "Agreed: refer on."})
    sam.supervisions_given.update(starts_on="2020-01-01", ends_on="2020-02-01")
    shown = as_alice.get(page).content.decode()
    assert "Agreed: refer on." in shown
    assert 'name="notes"' not in shown
    refused = as_alice.post(page, {"version": 2, "notes": "Nothing special."}).content.decode()
    assert "this supervision has ended" in refused
    assert "Nothing special." in refused
    meeting.refresh_from_db()
    assert meeting.notes == "Agreed: refer on."


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
