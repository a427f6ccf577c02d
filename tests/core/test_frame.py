"""What stands around every page."""

import re

import pytest
from django.db import OperationalError
from django.test import Client as Browser
from django.urls import reverse
from psycopg.errors import DeadlockDetected

from apps.accounts.context_processors import NAVIGATION, navigation
from apps.accounts.models import Membership, Role
from apps.accounts.permissions import ROLE_PERMISSIONS, Permission
from apps.clients.models import Treatment
from tests.architecture.matrix.routes import ROUTES
from tests.conftest import signed_in
from tests.factories import TreatmentFactory

PLACES = {
    permission: ROLE_PERMISSIONS[role]
    for role in (Role.MANAGER, Role.SUPERVISOR, Role.THERAPIST)
    for permission in ROLE_PERMISSIONS[role]
}
# Reached from the menu of the person, or files.
ELSEWHERE = {"offer", "erasures", "holds", "left_notes", "take_export", "portable_copy"}


def current(page: str) -> str:
    """Label of the entry of the navigation that is marked as where one is; '' for none."""
    _, _, rest = page.partition('aria-current="page"')
    return rest.partition("</a>")[0].rpartition(">")[2].strip()


def test_a_clients_page_belongs_to_the_caseload(as_alice: Browser, alice: Membership) -> None:
    treatment: Treatment = TreatmentFactory.create(therapist=alice)
    page = as_alice.get(reverse("client", args=[treatment.client_id])).content.decode()
    assert current(page) == "Caseload"


def labels(page: str) -> list[str]:
    """Entries of the navigation, in their order."""
    nav = page.partition('<nav class="rp-nav"')[2].partition("</nav>")[0]
    return [entry.rpartition(">")[2].strip() for entry in nav.split("</a>")[:-1]]


def test_each_role_finds_its_places_in_the_navigation(
    as_alice: Browser, as_sam: Browser, as_mona: Browser, alice: Membership
) -> None:
    episode = TreatmentFactory.create(therapist=alice, falling=True).episodes.get()
    page = as_alice.get(reverse("repair", args=[episode.id])).content.decode()
    assert labels(page) == ["Caseload", "Diary", "Repairs", "Meetings"]
    assert current(page) == "Repairs"
    page = as_sam.get(reverse("supervision")).content.decode()
    assert labels(page) == ["Supervision", "Meetings"]
    for route, label in (("practice", "Practice"), ("people", "People")):
        page = as_mona.get(reverse(route)).content.decode()
        assert labels(page) == ["Practice", "People", "Delivery", "Rule changes"]
        assert current(page) == label


def test_each_page_of_the_daily_work_has_a_place_in_the_navigation() -> None:
    for name, row in ROUTES.items():
        if "GET" not in row.methods or row.who not in PLACES:
            continue
        entries = navigation(PLACES[row.who], here=name)
        assert any(each.current for each in entries) == (name not in ELSEWHERE), name
    flags = navigation(PLACES[Permission.VIEW_CASELOAD], here="caseload", query="status=flags")
    assert [str(item.label) for item in flags if item.current] == ["Repairs"]


def test_who_does_everything_has_a_bar_that_fits_a_phone() -> None:
    everything = navigation(frozenset(Permission), here="people")
    assert [str(item.label) for item in everything] == [
        "Caseload", "Diary", "Repairs", "Supervision", "Meetings", "Practice",
    ]  # fmt: skip
    assert [str(item.label) for item in everything if item.current] == ["Practice"]


def test_help_says_who_sees_what_and_names_the_keys_that_pages_have(
    as_alice: Browser, as_mona: Browser
) -> None:
    page = as_alice.get(reverse("help")).content.decode()
    assert "own process notes, which nobody else reads while they work here" in page
    for entry in navigation(frozenset(Permission), here=None):
        assert entry.shortcut != "l", "logs a session"
    assert len({entry.shortcut for entry in NAVIGATION}) == len(NAVIGATION)
    for key, label in (("c", "Caseload"), ("r", "Repairs"), ("l", "Log session")):
        assert f'data-shortcut="g {key}"' in page
        assert re.search(rf"<kbd>g</kbd> <kbd>{key}</kbd></td>\s*<td>{label}</td>", page)
    assert "<kbd>l</kbd>" not in as_mona.get(reverse("help")).content.decode()


def test_a_page_says_who_sees_it_and_an_error_does_not(as_alice: Browser) -> None:
    page = as_alice.get(reverse("diary")).content.decode()
    assert "On your phone the calendar shows codes, never initials." in page
    assert "Who sees this page" not in as_alice.get("/no-such-page/").content.decode()


def test_a_page_that_was_not_found_leads_home(as_sam: Browser) -> None:
    page = as_sam.get("/no-such-page/")
    assert page.status_code == 404
    assert f'href="{reverse("home")}"' in page.content.decode()
    assert as_sam.get(reverse("home"), follow=True).status_code == 200


def test_the_theme_stays_and_leads_back(as_alice: Browser, alice: Membership) -> None:
    response = as_alice.post(reverse("theme"), {"theme": "dark", "next": "/caseload/?q=x"})
    assert response.url == "/caseload/?q=x"
    assert 'data-bs-theme="dark"' in as_alice.get(response.url).content.decode()


def test_a_theme_leads_to_no_other_house(as_alice: Browser, alice: Membership) -> None:
    for elsewhere in ("https://example.org/", "//example.org/", "javascript:alert(1)"):
        response = as_alice.post(reverse("theme"), {"theme": "plaid", "next": elsewhere})
        assert response.url == "/"
    assert alice.user
    alice.user.refresh_from_db()
    assert alice.user.theme == "auto"


def test_a_page_that_answers_a_post_leads_home_after_a_change_of_theme(
    as_alice: Browser, alice: Membership
) -> None:
    treatment = TreatmentFactory.create(therapist=alice, falling=True)
    url = reverse("record_outcome", args=[treatment.episodes.get().id])
    page = as_alice.post(url, {}).content.decode()
    assert f'name="next" value="{reverse("home")}"' in page


def test_a_page_that_fails_gives_back_what_was_typed(
    alice: Membership, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(**_kwargs: object) -> None:
        raise RuntimeError

    monkeypatch.setattr("apps.ruptures.services.record_outcome", fail)
    browser = signed_in(alice)
    browser.raise_request_exception = False
    episode = TreatmentFactory.create(therapist=alice, falling=True).episodes.get()
    sent = {"outcome": "not_a_rupture", "reason": "A sentence that took a while."}
    response = browser.post(reverse("record_outcome", args=[episode.id]), sent)
    assert response.status_code == 500
    assert sent["reason"] in response.content.decode()


def test_of_several_who_wait_for_each_other_one_is_told_and_gets_back_what_was_typed(
    alice: Membership, monkeypatch: pytest.MonkeyPatch
) -> None:
    """PostgreSQL ends one of them; nothing of what that one did stays."""

    def meets_others(**_kwargs: object) -> None:
        raise OperationalError from DeadlockDetected()

    monkeypatch.setattr("apps.ruptures.services.record_outcome", meets_others)
    episode = TreatmentFactory.create(therapist=alice, falling=True).episodes.get()
    sent = {"outcome": "not_a_rupture", "reason": "A sentence that took a while."}
    response = signed_in(alice).post(reverse("record_outcome", args=[episode.id]), sent)
    assert response.status_code == 409
    page = response.content.decode()
    assert "nothing of yours was saved. Do it once more." in page
    assert sent["reason"] in page


def test_the_words_of_another_site_stand_on_no_page_of_ours(db: None) -> None:
    stranger = Browser(enforce_csrf_checks=True)
    for url in (reverse("add_client"), "/nowhere/"):
        page = stranger.post(url, {"approach": "Call this number at once."})
        assert page.status_code in {403, 404}
        assert "Call this number" not in page.content.decode()
