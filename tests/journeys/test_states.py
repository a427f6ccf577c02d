"""Every page of staff in states that are easily forgotten: long, empty, refused, offline, busy."""

import json
import subprocess
import sys
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.template.loader import render_to_string
from django.urls import resolve, reverse
from playwright.sync_api import Browser, Page, expect

from apps.accounts.models import Role
from apps.accounts.permissions import ROLE_PERMISSIONS
from tests.architecture.matrix.routes import PUBLIC, ROUTES, SIGNED_IN
from tests.journeys.conftest import PASSPHRASE, Rapport, sign_in
from tests.journeys.looks import TWO_LOOKS, look_at

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("journeys")]

MADE = """
import json
from datetime import timedelta
from django.utils import timezone
from apps.accounts.models import Membership, Role
from apps.accounts.services import add_member, create_practice
from apps.core import tenancy
from apps.endings.services import close_treatment
from apps.ruptures.models import RepairStep, RuptureEpisode
from apps.ruptures.repair import Sheet, StepEntry, save_worksheet, set_sharing
from apps.supervision.services import plan_meeting
from apps.therapy_sessions.services import save_process_note
from tests.factories import ClientFactory, TherapySessionFactory, TreatmentFactory, comment_on

LONG = "Donaudampfschifffahrtsgesellschaftskapit\u00e4n" * 6
TEXT = f"{LONG} \u05e9\u05dc\u05d5\u05dd \u05e2\u05d5\u05dc\u05dd. " * 30
now = timezone.now()
hana, miriam = (
    Membership.objects.select_related("practice").get(user__email=f"{name}@fernbank.example")
    for name in ("hana", "miriam")
)
with tenancy.practice(hana.practice_id):
    client = ClientFactory.create(
        practice=hana.practice, code="W" * 20, initials="\u05e9. \u05dc. \u05de."
    )
    treatment = TreatmentFactory.create(
        therapist=hana, client=client, approach="Psychodynamischtiefenpsychologischfundi",
        starts_on=(now - timedelta(weeks=405)).date(), pomps=[90, 80] * 198 + [90, 90, 30, 30],
    )
    episode = RuptureEpisode.objects.open().get(treatment=treatment)
    steps = {step: StepEntry(TEXT[:5000], now.date()) for step in RepairStep}
    sheet = Sheet(next_action=TEXT[:1000], steps=steps)
    save_worksheet(episode=episode, sheet=sheet, opened_version=0, by=hana)
    set_sharing(episode=episode, share=True, share_notes=True, by=hana)
    newest = treatment.therapy_sessions.latest("starts_at")
    comment_on(newest, TEXT[:5000])
    logged = TherapySessionFactory.create(treatment=treatment)
    save_process_note(therapy_session=logged, text=TEXT[:10000], by=hana)
    planned = TherapySessionFactory.create(
        treatment=treatment, starts_at=now + timedelta(minutes=30), attendance=""
    )
    meeting = plan_meeting(
        supervisee=hana, starts_at=now + timedelta(days=2), duration_min=50, by=miriam
    )
    ended = TreatmentFactory.create(
        therapist=hana, client=ClientFactory.create(practice=hana.practice, code="V" * 20)
    )
    close_treatment(treatment=ended, how="agreed", review=TEXT[:5000], by=hana)
    supervision = hana.supervisions_received.first()
empty = create_practice(
    name="A new practice", sender_name="New", country="GB", time_zone="Europe/London"
)
with tenancy.practice(empty.id):
    add_member(
        practice=empty, name="Noor Everything", roles=list(Role), email="noor@fernbank.example",
        password="quiet harbour lantern", by=None,  # pragma: allowlist secret
    )
print(json.dumps({
    "client_id": str(client.id), "episode_id": str(episode.id), "meeting_id": str(meeting.id),
    "session_id": str(planned.id), "logged_id": str(logged.id), "member_id": str(hana.id),
    "supervision_id": str(supervision.id),
}))
"""
# Pages of signing in stand in test_accessibility.py; these lead on or download, or take two people.
ELSEWHERE = {"kept_draft", "passed_on", "portable_copy", "left_notes", "take_export"}
PEOPLE = {"hana": Role.THERAPIST, "miriam": Role.SUPERVISOR, "ines": Role.MANAGER}


@pytest.fixture(scope="module")
def ids(rapport: Rapport) -> dict[str, str]:
    """Of hana's client with long words, a name from right to left, 400 sessions and long notes."""
    said = subprocess.run(
        [sys.executable, "manage.py", "shell", "--no-imports", "-c", MADE],
        cwd=rapport.folder,
        env=rapport.environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert said.returncode == 0, said.stderr[-2000:]
    made: dict[str, str] = json.loads(said.stdout.splitlines()[-1])
    return made


def pages_of(role: Role, ids: dict[str, str]) -> Iterator[tuple[str, str]]:
    """Name and address of each page that a person of one role may open."""
    of_clients = {"client_id", "session_id", "logged_id"}
    for name, route in ROUTES.items():
        opens = route.who == SIGNED_IN or route.who in ROLE_PERMISSIONS[role]
        is_page = "GET" in route.methods and 200 in route.reads and route.who != PUBLIC
        theirs = role == Role.THERAPIST or route.kwarg not in of_clients
        if not (opens and is_page and theirs) or route.account or name in ELSEWHERE:
            continue
        wanted = "logged_id" if name == "process_note" else route.kwarg
        yield name, reverse(name, kwargs={route.kwarg: ids[wanted]} if route.kwarg else {})


def go(page: Page, address: str) -> str:
    """Open an address, with the password once more where that is asked; the route it led to."""
    page.goto(address)
    if page.url.endswith("/sign-in/again/") or "/sign-in/again/?" in page.url:
        page.locator("input[type=password]").fill(PASSPHRASE)
        page.get_by_role("button", name="Continue").click()
        page.wait_for_url(address)
    return resolve(urlsplit(page.url).path).url_name or ""


@pytest.mark.parametrize("person", PEOPLE)
def test_every_page_holds_with_long_words_and_long_courses(
    chromium: Browser, rapport: Rapport, ids: dict[str, str], person: str
) -> None:
    page = sign_in(chromium, rapport, person)
    page.wait_for_load_state()
    pages = list(pages_of(PEOPLE[person], ids))
    if person == "hana":
        client = reverse("client", args=[ids["client_id"]])
        pages.append(("client", f"{client}?earlier=1"))
    assert len(pages) >= {"hana": 25, "miriam": 7, "ines": 12}[person]
    wrong = []
    for n, (name, address) in enumerate(pages):
        landed = go(page, f"{rapport.address}{address}")
        if landed != name or page.locator(".rp-err").count():
            wrong.append(f"{name} leads to {landed}: {page.title()}")
        # Wide and light, then narrow and dark, in turn: both are on each kind of page. Of all 400
        # sessions only the width is new.
        wrong += look_at(page, name, [] if "?" in address else [TWO_LOOKS[n % 2]])
    page.context.close()
    assert not wrong, "\n".join(wrong)


def test_a_new_practice_has_pages_that_say_how_to_begin(
    chromium: Browser, rapport: Rapport, ids: dict[str, str]
) -> None:
    """One person with every role: the fullest bar, and nothing in any list."""
    page = sign_in(chromium, rapport, "noor")
    expect(page.get_by_role("heading", name="Welcome to Rapport, Noor")).to_be_visible()
    expect(page.locator(".rp-nav__link")).to_have_count(6)
    wrong = look_at(page, "welcome", TWO_LOOKS)
    for name in (
        "diary",
        "supervision",
        "meetings",
        "practice",
        "delivery",
        "erasures",
        "log_session",
    ):
        page.goto(f"{rapport.address}{reverse(name)}")
        wrong += look_at(page, f"empty {name}", TWO_LOOKS[1:])
    page.context.close()
    assert not wrong, "\n".join(wrong)


def test_pages_of_what_went_wrong(chromium: Browser, rapport: Rapport) -> None:
    page = sign_in(chromium, rapport, "hana")
    page.goto(f"{rapport.address}/supervision/")
    wrong = look_at(page, "403", TWO_LOOKS)
    refused = ("not_taken", "accounts/stop_weekly_mail")
    for code in ("400", "403_csrf", "429", "500", "503", *refused):
        # On an address of its own house, so that its styles are found.
        page.goto(f"{rapport.address}/healthz/")
        page.set_content(render_to_string(f"{code}.html"))
        expect(page.get_by_role("heading", level=1)).to_be_visible()
        wrong += look_at(page, code, TWO_LOOKS[1:])
    page.context.close()
    assert not wrong, "\n".join(wrong)


@pytest.fixture
def hana(chromium: Browser, rapport: Rapport) -> Iterator[Page]:
    page = sign_in(chromium, rapport, "hana")
    yield page
    page.context.close()


def test_keys_lead_to_pages_rest_while_one_types_and_can_be_turned_off(
    hana: Page, rapport: Rapport
) -> None:
    expect(hana.get_by_role("heading", level=1, name="Caseload")).to_be_visible()
    hana.wait_for_load_state()
    hana.keyboard.press("/")
    expect(hana.get_by_role("searchbox")).to_be_focused()
    hana.keyboard.type("gd")
    expect(hana.get_by_role("searchbox")).to_have_value("gd")
    hana.keyboard.press("Tab")
    hana.evaluate("document.activeElement.blur()")
    hana.keyboard.type("gd")
    expect(hana.get_by_role("heading", level=1, name="Diary")).to_be_visible()
    hana.keyboard.press("d")
    hana.keyboard.press("Control+l")
    assert hana.url.endswith("/diary/")
    with hana.context.expect_page() as opened:
        hana.keyboard.press("?")
    opened.value.get_by_label("Use keys in this browser").uncheck()
    hana.goto(f"{rapport.address}/account/offer/")
    # What one tab writes into the browser's store reaches the other one a moment later.
    hana.wait_for_function("localStorage[`rapport.shortcuts-off`] !== undefined")
    addresses: list[str] = []
    hana.on("framenavigated", lambda frame: addresses.append(frame.url))
    hana.keyboard.type("gc")
    opened.value.get_by_label("Use keys in this browser").check()
    hana.wait_for_function("localStorage[`rapport.shortcuts-off`] === undefined")
    hana.keyboard.type("gd")
    expect(hana.get_by_role("heading", level=1, name="Diary")).to_be_visible()
    assert addresses == [f"{rapport.address}/diary/"]


def test_what_is_typed_stays_while_the_network_is_gone_and_is_sent_once_after(
    hana: Page, rapport: Rapport
) -> None:
    hana.goto(f"{rapport.address}/account/offer/")
    words = hana.get_by_role("textbox").last
    words.fill("Two places in spring.")
    hana.context.set_offline(True)
    hana.get_by_role("button", name="Save").click()
    expect(hana.get_by_text("You are offline. Nothing was sent")).to_be_visible()
    expect(words).to_have_value("Two places in spring.")
    hana.context.set_offline(False)
    expect(hana.get_by_text("You are offline. Nothing was sent")).to_be_hidden()
    sent: list[Any] = []
    hana.on("request", lambda request: sent.append(request) if request.method == "POST" else None)
    hana.get_by_role("button", name="Save").dblclick()
    expect(hana.get_by_text("Saved what you can offer.")).to_be_visible()
    assert len(sent) == 1
