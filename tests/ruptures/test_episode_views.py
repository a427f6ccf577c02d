"""What a therapist does with an episode: acknowledge, share, causes, outcome."""

import re
from collections.abc import Callable
from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest
from django.test import Client as Browser
from django.urls import reverse
from django.utils import timezone

from apps.accounts.models import Membership, Role
from apps.core.models import AuditEntry
from apps.ruptures.models import RuptureEpisode
from apps.ruptures.repair import latest_worksheet, sheet_of
from apps.ruptures.services import record_outcome
from tests.factories import TreatmentFactory

pytestmark = pytest.mark.django_db
ACTIONS: dict[str, tuple[dict[str, Any], str]] = {
    "acknowledge_episode": ({}, "acknowledge episode"),
    "share_episode": ({}, "share episode"),
    "set_sharing": ({"share": "on"}, "set sharing"),
    "set_causes": ({"causes": ["values", "boundary"]}, "save worksheet"),
    "record_outcome": ({"outcome": "repaired", "reason": ""}, "record outcome"),
}
every_action = pytest.mark.parametrize("action", ACTIONS)


@pytest.fixture
def episode(alice: Membership) -> RuptureEpisode:
    return TreatmentFactory.create(therapist=alice, falling=True).episodes.get()


def act(browser: Browser, episode: RuptureEpisode, action: str, **changes: Any) -> Any:
    return browser.post(reverse(action, args=[episode.id]), {**ACTIONS[action][0], **changes})


@every_action
def test_it_leads_back_to_the_client_and_leaves_one_audit_entry(
    episode: RuptureEpisode, alice: Membership, as_alice: Browser, action: str
) -> None:
    client_id = episode.treatment.client_id
    response = act(as_alice, episode, action)
    assert response.headers["Location"] == reverse("client", args=[client_id])
    entry = AuditEntry.objects.get(action=ACTIONS[action][1])
    assert (entry.actor_id, entry.client_ids) == (alice.id, [client_id])
    assert (entry.object_id, entry.object_type) == (episode.id, "ruptures.RuptureEpisode")


@every_action
def test_twice_equals_once(episode: RuptureEpisode, as_alice: Browser, action: str) -> None:
    act(as_alice, episode, action)
    once = RuptureEpisode.objects.values().get()
    assert act(as_alice, episode, action).status_code == 302
    assert RuptureEpisode.objects.values().get() == once
    assert AuditEntry.objects.filter(action=ACTIONS[action][1]).count() == 1


@every_action
def test_a_stranger_finds_nothing(
    episode: RuptureEpisode, as_charlie: Browser, as_dora: Browser, action: str
) -> None:
    before = RuptureEpisode.objects.values().get()
    assert act(as_charlie, episode, action).status_code == 404
    assert act(as_dora, episode, action).status_code == 404
    assert RuptureEpisode.objects.values().get() == before


@every_action
def test_a_supervisor_and_a_manager_may_not(
    episode: RuptureEpisode, as_sam: Browser, as_mona: Browser, action: str
) -> None:
    before = RuptureEpisode.objects.values().get()
    assert act(as_sam, episode, action).status_code == 403
    assert act(as_mona, episode, action).status_code == 403
    assert RuptureEpisode.objects.values().get() == before


@every_action
def test_a_supervisor_who_treats_clients_acts_on_their_own_only(
    episode: RuptureEpisode, sam: Membership, as_sam: Browser, action: str
) -> None:
    sam.roles = [Role.SUPERVISOR, Role.THERAPIST]
    sam.save()
    assert act(as_sam, episode, action).status_code == 404


@every_action
def test_looking_changes_nothing(episode: RuptureEpisode, as_alice: Browser, action: str) -> None:
    assert as_alice.get(reverse(action, args=[episode.id])).status_code == 405


def test_acknowledging_notes_the_time(episode: RuptureEpisode, as_alice: Browser) -> None:
    act(as_alice, episode, "acknowledge_episode")
    episode.refresh_from_db()
    assert episode.acknowledged_at
    assert not episode.outcome


def test_a_page_of_before_acknowledges_no_fall_that_came_since(
    episode: RuptureEpisode, as_alice: Browser
) -> None:
    falls = (None, timezone.now() - timedelta(hours=2), timezone.now() - timedelta(hours=1))
    for before, now in pairwise(falls):
        RuptureEpisode.objects.update(fell_again_at=now, last_fell_at=now)
        act(as_alice, episode, "acknowledge_episode", fall=before.isoformat() if before else "")
        episode.refresh_from_db()
        assert not episode.seen_at
    for url in (reverse("caseload"), reverse("client", args=[episode.treatment.client_id])):
        page = as_alice.get(url).content.decode()
        assert f'name="fall" value="{episode.fall}"' in page
        assert "Ratings fell again after that page was opened" in page or url != "/caseload/"
    act(as_alice, episode, "acknowledge_episode", fall=episode.fall)
    episode.refresh_from_db()
    assert episode.seen_at


def test_acknowledging_on_the_caseload_stays_there(
    episode: RuptureEpisode, as_alice: Browser
) -> None:
    response = act(as_alice, episode, "acknowledge_episode", next="/caseload/?found=1")
    assert response.headers["Location"] == "/caseload/?found=1"


def test_nobody_is_led_to_another_house(episode: RuptureEpisode, as_alice: Browser) -> None:
    response = act(as_alice, episode, "acknowledge_episode", next="https://evil.example/")
    assert response.headers["Location"] == reverse("client", args=[episode.treatment.client_id])


def test_causes_are_replaced_by_what_is_ticked(episode: RuptureEpisode, as_alice: Browser) -> None:
    act(as_alice, episode, "set_causes")
    assert sheet_of(latest_worksheet(episode)).causes == ("values", "boundary")
    act(as_alice, episode, "set_causes", causes=[])
    assert sheet_of(latest_worksheet(episode)).causes == ()


def test_a_cause_from_elsewhere_is_refused(episode: RuptureEpisode, as_alice: Browser) -> None:
    response = as_alice.post(
        reverse("set_causes", args=[episode.id]), {"causes": ["her fault"]}, follow=True
    )
    assert "tick causes from the list only" in response.content.decode()
    assert latest_worksheet(episode) is None


@pytest.mark.parametrize("action", [name for name in ACTIONS if name != "record_outcome"])
def test_a_closed_episode_says_so_and_stays_as_it_is(
    episode: RuptureEpisode, alice: Membership, as_alice: Browser, action: str
) -> None:
    record_outcome(episode=episode, outcome=episode.Outcome.REPAIRED, by=alice)
    before = RuptureEpisode.objects.values().get()
    response = as_alice.post(reverse(action, args=[episode.id]), ACTIONS[action][0], follow=True)
    assert "This episode is closed" in response.content.decode()
    assert RuptureEpisode.objects.values().get() == before
    assert latest_worksheet(episode) is None


def test_a_page_of_before_records_no_outcome_of_a_fall_that_came_since(
    episode: RuptureEpisode, as_alice: Browser
) -> None:
    RuptureEpisode.objects.update(last_fell_at=timezone.now())
    page = act(as_alice, episode, "record_outcome", reason="We talked.").content.decode()
    episode.refresh_from_db()
    assert not episode.outcome
    assert "Ratings fell again after you opened this page" in page
    assert "We talked." in page
    assert f'name="fall" value="{episode.fall}"' in page
    page_of_before = episode.fall
    RuptureEpisode.objects.update(last_fell_at=None)
    act(as_alice, episode, "record_outcome", fall=page_of_before)
    episode.refresh_from_db()
    assert episode.outcome, "the later fall was corrected away: nothing came that was not seen"


@pytest.mark.parametrize("outcome", ["repaired", "settled_lower", "ended_unrepaired"])
def test_an_outcome_needs_no_reason(
    episode: RuptureEpisode, as_alice: Browser, outcome: str
) -> None:
    act(as_alice, episode, "record_outcome", outcome=outcome)
    episode.refresh_from_db()
    assert episode.outcome == outcome
    assert episode.outcome_at
    assert episode.acknowledged_at


def test_not_a_rupture_keeps_its_reason(episode: RuptureEpisode, as_alice: Browser) -> None:
    act(as_alice, episode, "record_outcome", outcome="not_a_rupture", reason=" She was ill. ")
    episode.refresh_from_db()
    assert (episode.outcome, episode.outcome_reason) == ("not_a_rupture", "She was ill.")


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ({"outcome": "", "reason": "We talked."}, "Choose how it ended."),
        ({"outcome": "not_a_rupture", "reason": "  "}, "Say in a few words why"),
        ({"outcome": "superseded", "reason": "We talked."}, "superseded is not one"),
        (
            {"outcome": "moved", "reason": "She asked for a woman."},
            "A move has a page of its own",
        ),
        ({"outcome": "repaired", "reason": "x" * 501}, "at most 500 characters"),
    ],
)
def test_a_form_with_errors_comes_back_as_it_was_typed(
    episode: RuptureEpisode, as_alice: Browser, typed: dict[str, str], said: str
) -> None:
    response = act(as_alice, episode, "record_outcome", **typed)
    page = response.content.decode()
    assert response.status_code == 200
    assert said in page
    assert typed["reason"].strip() in page
    assert "Why this was opened" in page
    episode.refresh_from_db()
    assert not episode.outcome
    assert AuditEntry.objects.filter(action="view repair record").count() == 1


def test_a_chosen_outcome_stays_chosen_when_the_reason_is_missing(
    episode: RuptureEpisode, as_alice: Browser
) -> None:
    page = act(as_alice, episode, "record_outcome", outcome="not_a_rupture").content.decode()
    assert re.search(r'value="not_a_rupture"\s[^>]*checked', page)


def test_a_recorded_outcome_is_not_replaced(episode: RuptureEpisode, as_alice: Browser) -> None:
    act(as_alice, episode, "record_outcome")
    act(as_alice, episode, "record_outcome", outcome="ended_unrepaired")
    episode.refresh_from_db()
    assert episode.outcome == "repaired"


def test_the_service_keeps_what_was_recorded_first(
    episode: RuptureEpisode, alice: Membership
) -> None:
    for outcome in (episode.Outcome.REPAIRED, episode.Outcome.ENDED_UNREPAIRED):
        record_outcome(episode=episode, outcome=outcome, by=alice)
    episode.refresh_from_db()
    assert episode.outcome == "repaired"


def test_strangers_are_asked_to_sign_in(
    episode: RuptureEpisode, sign_in: Callable[[Membership], Browser]
) -> None:
    assert act(Browser(), episode, "share_episode").headers["Location"].startswith("/sign-in/")
