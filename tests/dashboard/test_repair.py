"""The repair record: the worksheet on its page, two writers, who reads the notes."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.http import HttpResponse
from django.test import Client as Browser
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from apps.accounts.models import Membership
from apps.alliance.models import AllianceRating
from apps.clients.models import Treatment
from apps.core.models import AuditEntry
from apps.ruptures.models import RuptureEpisode, Worksheet
from apps.ruptures.repair import (
    Sheet,
    StepEntry,
    latest_worksheet,
    save_worksheet,
    set_sharing,
    sheet_of,
)
from apps.ruptures.services import record_outcome
from tests.factories import MembershipFactory, SupervisionFactory, TreatmentFactory

pytestmark = pytest.mark.django_db

Words = Callable[[HttpResponse], str]
TYPED = {
    "version": "0",
    "kind": "withdrawal",
    "causes": ["expectations"],
    "next_action": "Come back to the sister",
    "note_open": "“How was it for you?”",
    "on_open": "2026-11-18",
}


@pytest.fixture
def episode(alice: Membership) -> RuptureEpisode:
    return TreatmentFactory.create(therapist=alice, falling=True).episodes.get()


def address(episode: RuptureEpisode) -> str:
    return reverse("repair", args=[episode.id])


def send(browser: Browser, episode: RuptureEpisode, **changes: Any) -> Any:
    return browser.post(address(episode), TYPED | changes)


def test_the_record_shows_why_the_steps_and_who_can_read(
    episode: RuptureEpisode, as_alice: Browser, words: Words
) -> None:
    page = words(as_alice.get(address(episode)))
    assert f"Client K. M. · {episode.treatment.client.code}" in page
    assert "Rated 70; usually 80–98, from 8 earlier ratings." in page
    assert "Only you can read the notes" in page
    assert "did something wrong" in page
    for step in ("Notice", "Open the conversation", "Discuss what led to it", "Follow up"):
        assert step in page


def test_saving_leads_back_and_shows_what_was_saved(
    episode: RuptureEpisode, as_alice: Browser, words: Words
) -> None:
    response = send(as_alice, episode)
    assert response.headers["Location"] == address(episode)
    page = words(as_alice.get(address(episode)))
    assert "“How was it for you?”" in page
    assert "Saved: Today, 12:24" in page
    assert "Ask for the hope behind it." in page, "prompts fit the cause"
    assert "invite what is hard to say" in page, "prompts fit the kind"
    assert "Next action Come back to the sister" in page, "history"


def test_the_loser_of_two_writers_sees_both_texts_and_may_save_then(
    episode: RuptureEpisode, as_alice: Browser, words: Words
) -> None:
    send(as_alice, episode)
    mine = {"note_open": "“Shall we look at last week?”", "kind": "both"}
    response = send(as_alice, episode, **mine)
    page = words(response)
    assert "Not saved yet: Alice Moreau has saved this worksheet since you opened it." in page
    assert "“Shall we look at last week?”" in page
    assert "Saved meanwhile: 18 Nov 2026 “How was it for you?”" in page
    assert "Saved meanwhile: Withdrawal" in page
    assert Worksheet.objects.count() == 1
    assert 'name="version" value="1"' in response.content.decode()
    assert send(as_alice, episode, **mine, version="1").status_code == 302
    assert sheet_of(latest_worksheet(episode)).step("open").note == "“Shall we look at last week?”"


def test_what_is_wrong_is_said_and_nothing_typed_is_lost(
    episode: RuptureEpisode, as_alice: Browser, words: Words
) -> None:
    page = words(send(as_alice, episode, on_open="31.31.2026", note_agree="x" * 5001))
    assert "at most 5000 characters" in page
    assert "Enter a valid date" in page
    assert "“How was it for you?”" in page
    assert "x" * 5001 in page
    assert not Worksheet.objects.exists()


def test_a_closed_episode_keeps_what_was_typed_on_the_page(
    episode: RuptureEpisode, alice: Membership, as_alice: Browser, words: Words
) -> None:
    record_outcome(episode=episode, outcome=RuptureEpisode.Outcome.REPAIRED, by=alice)
    page = words(send(as_alice, episode))
    assert "Not saved: the outcome of this episode is recorded." in page
    assert "“How was it for you?”" in page
    assert not Worksheet.objects.exists()


def test_a_closed_episode_is_there_for_reading(
    episode: RuptureEpisode, alice: Membership, as_alice: Browser, words: Words
) -> None:
    send(as_alice, episode)
    record_outcome(
        episode=episode,
        outcome=RuptureEpisode.Outcome.SETTLED_LOWER,
        reason="We agreed to slow down.",
        by=alice,
    )
    response = as_alice.get(address(episode))
    assert "“How was it for you?”" in words(response)
    assert "We agreed to slow down." in words(response)
    assert "Save steps" not in words(response)


def test_who_lost_the_client_meanwhile_can_copy_what_they_typed(
    episode: RuptureEpisode, as_alice: Browser, as_charlie: Browser, words: Words
) -> None:
    Treatment.objects.update(ends_on=timezone.localdate())
    response = send(as_alice, episode)
    assert response.status_code == 404
    assert "“How was it for you?”" in words(response)
    assert not Worksheet.objects.exists()
    strangers = send(as_charlie, episode)
    assert strangers.status_code == 404


@pytest.mark.parametrize("who", ["as_charlie", "as_dora"])
def test_a_stranger_finds_nothing(
    episode: RuptureEpisode, request: pytest.FixtureRequest, who: str
) -> None:
    browser = request.getfixturevalue(who)
    assert browser.get(address(episode)).status_code == 404
    assert send(browser, episode).status_code == 404


def test_a_supervisor_and_a_manager_may_not(
    episode: RuptureEpisode, as_sam: Browser, as_mona: Browser
) -> None:
    assert as_sam.get(address(episode)).status_code == 403
    assert as_mona.get(address(episode)).status_code == 403


def test_one_look_leaves_one_audit_entry(
    episode: RuptureEpisode, alice: Membership, as_alice: Browser
) -> None:
    before = AuditEntry.objects.count()
    as_alice.get(address(episode))
    assert AuditEntry.objects.count() == before + 1


def test_a_supervisor_sees_steps_and_causes_and_notes_only_while_shared(
    episode: RuptureEpisode, alice: Membership, as_alice: Browser, as_sam: Browser, words: Words
) -> None:
    send(as_alice, episode)
    theirs = reverse("supervised_episode", args=[episode.id])
    page = words(as_sam.get(theirs))
    assert "Unmet expectations" in page
    assert "How it showed: Withdrawal." in page
    assert "Opened (done) Yesterday" in page
    assert "“How was it for you?”" not in page
    assert "Come back to the sister" not in page
    set_sharing(episode=episode, share=True, share_notes=True, by=alice)
    page = words(as_sam.get(theirs))
    assert "“How was it for you?”" in page
    assert "Come back to the sister" in page
    set_sharing(episode=RuptureEpisode.objects.get(), share=False, share_notes=False, by=alice)
    assert "“How was it for you?”" not in words(as_sam.get(theirs))


def test_the_page_says_whom_the_notes_are_shared_with(
    episode: RuptureEpisode, sam: Membership, as_alice: Browser, words: Words
) -> None:
    sharing = reverse("set_sharing", args=[episode.id])
    as_alice.post(sharing, {"share": "on", "share_notes": "on"})
    assert "You and Sam can read the notes" in words(as_alice.get(address(episode)))
    as_alice.post(sharing, {"share": "on"})
    assert "Only you can read the notes" in words(as_alice.get(address(episode)))


def test_of_two_supervisors_the_page_names_who_reads_the_notes_and_saving_again_lets_both(
    episode: RuptureEpisode,
    alice: Membership,
    sam: Membership,
    sign_in: Callable[[Membership], Browser],
    words: Words,
) -> None:
    """Pam began after they were shared; then Sam's supervision ends, and begins again."""
    pam = MembershipFactory.create(practice=alice.practice, roles=["supervisor"], name="Pam Field")
    as_alice, as_sam, as_pam = (sign_in(each) for each in (alice, sam, pam))

    def read_by() -> list[bool]:
        theirs = reverse("supervised_episode", args=[episode.id])
        return ["Come back" in words(browser.get(theirs)) for browser in (as_sam, as_pam)]

    def said() -> str:
        return words(as_alice.get(address(episode)))

    send(as_alice, episode)
    set_sharing(episode=episode, share=True, share_notes=True, by=alice)
    week_ago = timezone.now() - timedelta(days=7)
    RuptureEpisode.objects.update(notes_shared_at=week_ago)
    today = timezone.localdate()
    SupervisionFactory.create(supervisor=pam, supervisee=alice, starts_on=today)
    assert read_by() == [True, False]
    assert "You and Sam can read the notes" in said()
    assert "Only Sam can read them now. Save again to share them with Pam, Sam." in said()
    sharing = reverse("set_sharing", args=[episode.id])
    as_alice.post(sharing, {"share": "on", "share_notes": "on"})
    assert read_by() == [True, True]
    assert "You and Pam, Sam can read the notes" in said()
    assert "Save again" not in said()
    RuptureEpisode.objects.update(notes_shared_at=week_ago)
    sam.supervisions_given.update(ends_on=today - timedelta(days=1))
    SupervisionFactory.create(supervisor=sam, supervisee=alice, starts_on=today)
    assert read_by() == [False, False]
    assert "Only you can read the notes" in said()


def test_a_boundary_issue_says_supervisor_first_also_where_only_the_client_ticked_it(
    episode: RuptureEpisode, as_alice: Browser, words: Words
) -> None:
    said = "A boundary issue may be part of this. Talk to your supervisor first."
    assert said not in words(as_alice.get(address(episode)))
    last = AllianceRating.objects.latest("answered_at")
    last.causes = ["boundary"]
    last.save()
    page = words(as_alice.get(address(episode)))
    assert said in page
    assert "The client ticked “Something felt too personal or crossed a line”." in page


def test_a_page_asks_as_often_for_forty_versions_as_for_two(
    episode: RuptureEpisode, alice: Membership, as_alice: Browser
) -> None:
    def queries() -> int:
        with CaptureQueriesContext(
            connection,
        ) as seen:
            as_alice.get(address(episode))
        return len(seen)

    for version in range(2):
        write(episode, version, alice)
    few = queries()
    for version in range(2, 40):
        write(episode, version, alice)
    assert queries() == few


def write(episode: RuptureEpisode, version: int, by: Membership) -> None:
    day = timezone.localdate() - timedelta(days=version)
    save_worksheet(
        episode=episode,
        sheet=Sheet(steps={"notice": StepEntry(f"Thought {version}", day)}),
        opened_version=version,
        by=by,
    )


def test_the_client_page_shows_the_next_action_and_leads_to_the_record(
    episode: RuptureEpisode, as_alice: Browser, words: Words
) -> None:
    send(as_alice, episode)
    response = as_alice.get(reverse("client", args=[episode.treatment.client_id]))
    assert "Next action Come back to the sister" in words(response)
    assert f'href="{address(episode)}#worksheet"' in response.content.decode()
    assert f'href="{address(episode)}#outcome"' in response.content.decode()
