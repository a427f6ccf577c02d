"""Asking for support about an episode, and offering it."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client as Browser
from django.utils import timezone

from apps.accounts import notices
from apps.accounts.models import Membership, Role, Supervision
from apps.accounts.services import start_supervision
from apps.core.models import AuditEntry
from apps.ruptures.models import RuptureEpisode
from apps.ruptures.repair import Sheet, StepEntry, save_worksheet, set_sharing
from apps.ruptures.services import record_outcome
from apps.supervision.models import SupportMessage
from apps.supervision.services import write_support
from tests.factories import MembershipFactory, SupervisionFactory, TreatmentFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def episode(alice: Membership) -> RuptureEpisode:
    """Possible, not marked and not shared: nobody but alice sees it."""
    treatment = TreatmentFactory.create(therapist=alice, client__code="FE-0007", falling=True)
    treatment.episodes.update(marked_at=None, shared_at=None)
    return treatment.episodes.get()


def test_a_supervisor_who_treats_clients_supervises_neither_themselves_nor_who_has_another_one(
    alice: Membership, sam: Membership, charlie: Membership, episode: RuptureEpisode
) -> None:
    SupervisionFactory.create(supervisor=sam, supervisee=charlie)
    Membership.objects.filter(id=alice.id).update(roles=[Role.THERAPIST, Role.SUPERVISOR])
    alice.refresh_from_db()
    TreatmentFactory.create(therapist=charlie, falling=True)
    RuptureEpisode.objects.update(shared_at=episode.opened_at)
    assert not RuptureEpisode.objects.for_supervisor(alice).exists()
    assert RuptureEpisode.objects.for_supervisor(sam).count() == 2


def write(browser: Browser, episode: RuptureEpisode, text: str = "How would you open it?") -> Any:
    return browser.post(f"/episodes/{episode.id}/support/", {"text": text})


def test_asking_shares_the_episode_and_tells_the_supervisor(
    as_alice: Browser, as_sam: Browser, alice: Membership, episode: RuptureEpisode
) -> None:
    assert as_sam.get(f"/supervision/{episode.id}/").status_code == 404
    assert write(as_alice, episode)["Location"] == f"/episodes/{episode.id}/repair/"
    start = as_sam.get("/supervision/").content.decode()
    assert "Alice Moreau wrote about FE-0007." in start
    assert "Asked for you" in start
    page = as_sam.get(f"/supervision/{episode.id}/").content.decode()
    assert "How would you open it?" in page
    entry = AuditEntry.objects.get(action="write support")
    assert (entry.actor_id, entry.client_ids) == (alice.id, [episode.treatment.client_id])


def test_an_answer_goes_to_the_therapist_and_ends_the_asking(
    as_alice: Browser, as_sam: Browser, episode: RuptureEpisode
) -> None:
    write(as_alice, episode)
    assert write(as_sam, episode, "Name your own part first.")["Location"] == (
        f"/supervision/{episode.id}/"
    )
    assert "Sam Okafor wrote about FE-0007." in as_alice.get("/caseload/").content.decode()
    assert (
        "Name your own part first."
        in as_alice.get(f"/episodes/{episode.id}/repair/").content.decode()
    )
    assert "Asked for you, " not in as_sam.get("/supervision/").content.decode()


def test_the_queue_can_be_narrowed_to_what_was_asked(
    as_alice: Browser, as_sam: Browser, alice: Membership, episode: RuptureEpisode
) -> None:
    TreatmentFactory.create(therapist=alice, client__code="FE-0008", falling=True)
    write(as_alice, episode)
    both = as_sam.get("/supervision/").context["page"].queue
    asked = as_sam.get("/supervision/", {"why": "asked"}).context["page"].queue
    assert {each.code for each in both} == {"FE-0007", "FE-0008"}
    assert [each.code for each in asked] == ["FE-0007"]


def test_where_nobody_supervises_nothing_is_sent_or_shared(
    as_alice: Browser, episode: RuptureEpisode
) -> None:
    page = as_alice.post(f"/episodes/{episode.id}/support/", {"text": "Hello?"}, follow=True)
    assert "Nobody is recorded as your supervisor today" in page.content.decode()
    assert not SupportMessage.objects.exists()
    episode.refresh_from_db()
    assert episode.shared_at is None


def test_about_a_closed_episode_nothing_more_is_written(
    as_alice: Browser, sam: Membership, alice: Membership, episode: RuptureEpisode
) -> None:
    record_outcome(episode=episode, outcome=RuptureEpisode.Outcome.REPAIRED, by=alice)
    page = as_alice.post(f"/episodes/{episode.id}/support/", {"text": "Late"}, follow=True)
    assert "This episode is closed" in page.content.decode()
    assert not SupportMessage.objects.exists()


def test_an_empty_message_is_none(
    as_alice: Browser, sam: Membership, episode: RuptureEpisode
) -> None:
    page = as_alice.post(f"/episodes/{episode.id}/support/", {"text": " "}, follow=True)
    assert "Write a few words first." in page.content.decode()
    assert not SupportMessage.objects.exists()


def test_others_reach_nothing_and_a_supervision_that_ended_has_ended(
    as_alice: Browser,
    as_charlie: Browser,
    as_sam: Browser,
    as_mona: Browser,
    sam: Membership,
    episode: RuptureEpisode,
) -> None:
    write(as_alice, episode)
    assert write(as_charlie, episode).status_code == 404
    assert write(as_mona, episode).status_code == 403
    assert as_sam.get(f"/episodes/{episode.id}/support/").status_code == 405
    sam.supervisions_given.update(starts_on="2020-01-01", ends_on="2020-02-01")
    assert write(as_sam, episode).status_code == 404
    assert "wrote about" not in as_sam.get("/supervision/").content.decode()


def test_who_supervises_next_reads_no_words_that_were_meant_for_the_one_before(
    sign_in: Callable[[Membership], Browser],
    alice: Membership,
    sam: Membership,
    episode: RuptureEpisode,
) -> None:
    set_sharing(episode=episode, share=True, share_notes=True, by=alice)
    sheet = Sheet(steps={"notice": StepEntry("Noted for Sam.")})
    save_worksheet(episode=episode, sheet=sheet, opened_version=0, by=alice)
    write_support(episode=episode, text="Written to Sam.", by=alice)
    week_ago = timezone.now() - timedelta(days=7)
    episode.support_messages.update(sent_at=week_ago)
    RuptureEpisode.objects.update(notes_shared_at=week_ago)
    pam = MembershipFactory.create(practice=alice.practice, roles=[Role.SUPERVISOR])
    SupervisionFactory.create(supervisor=pam, supervisee=alice, starts_on=timezone.localdate())
    write_support(episode=episode, text="Written to both.", by=alice)
    for member, words in ((sam, True), (pam, False)):
        page = sign_in(member).get(f"/supervision/{episode.id}/").content.decode()
        assert ("Noted for Sam." in page, "Written to Sam." in page) == (words, words)
        assert "Written to both." in page
    support_messages = episode.support_messages.exclude(sent_at=week_ago)
    support_messages.delete()
    for member, asked in ((sam, True), (pam, False)):
        queue = sign_in(member).get("/supervision/").content.decode()
        assert ("Asked for you, " in queue) == asked
    Supervision.objects.filter(supervisor=sam).update(ends_on=timezone.localdate() - timedelta(1))
    repair = sign_in(alice).get(f"/episodes/{episode.id}/repair/").context["page"]
    assert not repair.notes_readers
    episode.refresh_from_db()
    set_sharing(episode=episode, share=True, share_notes=True, by=alice)
    page = sign_in(pam).get(f"/supervision/{episode.id}/").content.decode()
    assert "Noted for Sam." in page, "shared anew, with her"


def test_what_was_shared_with_one_supervisor_is_not_shared_with_the_next(
    sign_in: Callable[[Membership], Browser],
    alice: Membership,
    sam: Membership,
    episode: RuptureEpisode,
) -> None:
    """Neither seen nor heard of, and no page says so, until it is shared anew."""
    RuptureEpisode.objects.update(marked_at=None, acknowledged_at=timezone.now())
    episode.refresh_from_db()
    set_sharing(episode=episode, share=True, share_notes=False, by=alice)
    RuptureEpisode.objects.update(shared_at=timezone.now() - timedelta(days=40))
    pam = MembershipFactory.create(practice=alice.practice, name="Pam Next", roles=["supervisor"])
    SupervisionFactory.create(
        supervisor=pam, supervisee=alice, starts_on=timezone.localdate(), created_at=timezone.now()
    )
    record = f"/episodes/{episode.id}/repair/"

    def sees() -> list[int]:
        page = f"/supervision/{episode.id}/"
        return [sign_in(member).get(page).status_code for member in (sam, pam)]

    assert sees() == [200, 404]
    assert "You shared it, so Sam sees it too" in sign_in(alice).get(record).content.decode()
    client_page = f"/clients/{episode.treatment.client_id}/"
    assert "Share with Pam" in sign_in(alice).get(client_page).content.decode()
    RuptureEpisode.objects.update(marked_at=timezone.now())
    assert sees() == [200, 200]
    assert "It is marked, so Pam, Sam sees" in sign_in(alice).get(record).content.decode()
    shared = [
        "Shared by Alice" in sign_in(member).get("/supervision/").content.decode()
        for member in (sam, pam)
    ]
    assert shared == [True, False]
    RuptureEpisode.objects.update(marked_at=None)
    episode.refresh_from_db()
    set_sharing(episode=episode, share=False, share_notes=False, by=alice)
    assert [len(notices.unread(member)) for member in (sam, pam)] == [1, 0]
    set_sharing(episode=episode, share=True, share_notes=False, by=alice)
    RuptureEpisode.objects.update(shared_at=timezone.now() - timedelta(days=40))
    sign_in(alice).post(f"/episodes/{episode.id}/share/")
    assert sees() == [200, 200]
    Supervision.objects.filter(supervisor=pam).update(created_at=timezone.now())
    assert sees() == [200, 404]
    episode.refresh_from_db()
    write_support(episode=episode, text="What do you both think?", by=alice)
    assert sees() == [200, 200], "who is asked can see what it is about"
    episode.refresh_from_db()
    RuptureEpisode.objects.update(shared_at=timezone.now() - timedelta(days=40))
    episode.refresh_from_db()
    record_outcome(
        episode=episode, outcome=RuptureEpisode.Outcome.NOT_A_RUPTURE, reason="No.", by=alice
    )
    gone = [
        [each for each in notices.unread(member) if "you could see" in each.said.text]
        for member in (sam, pam)
    ]
    assert [bool(each) for each in gone] == [True, False]


@pytest.mark.parametrize("days", [0, 60])
def test_a_first_day_in_the_past_opens_no_words_of_before_the_link_was_made(
    sign_in: Callable[[Membership], Browser],
    alice: Membership,
    sam: Membership,
    mona: Membership,
    episode: RuptureEpisode,
    days: int,
) -> None:
    set_sharing(episode=episode, share=True, share_notes=True, by=alice)
    sheet = Sheet(steps={"notice": StepEntry("Noted for Sam.")})
    save_worksheet(episode=episode, sheet=sheet, opened_version=0, by=alice)
    write_support(episode=episode, text="I cannot work with Pam.", by=alice)
    pam = MembershipFactory.create(practice=alice.practice, roles=[Role.SUPERVISOR])
    first = timezone.localdate() - timedelta(days=days)
    start_supervision(supervisor=pam, supervisee=alice, starts_on=first, by=mona)
    write_support(episode=episode, text="Written to both.", by=alice)
    page = sign_in(pam).get(f"/supervision/{episode.id}/").content.decode()
    assert "Noted for Sam." not in page
    assert "I cannot work with Pam." not in page
    assert "Written to both." in page


def test_messages_are_ciphertext_in_the_database(
    as_alice: Browser, sam: Membership, episode: RuptureEpisode
) -> None:
    write(as_alice, episode, "qxqsecretqxq")
    with connection.cursor() as cursor:
        cursor.execute("SELECT text FROM supervision_supportmessage")
        assert b"qxqsecretqxq" not in bytes(cursor.fetchone()[0])


def test_every_current_supervisor_is_told(
    as_alice: Browser,
    alice: Membership,
    sam: Membership,
    episode: RuptureEpisode,
    sign_in: Callable[[Membership], Browser],
) -> None:
    from tests.factories import SupervisionFactory

    second = MembershipFactory.create(practice=alice.practice, roles=[Role.SUPERVISOR])
    SupervisionFactory.create(supervisor=second, supervisee=alice)
    write(as_alice, episode)
    for supervisor in (sam, second):
        assert "wrote about FE-0007" in sign_in(supervisor).get("/supervision/").content.decode()
