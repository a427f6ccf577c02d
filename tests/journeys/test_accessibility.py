"""Every page and state by axe (WCAG 2.2 AA), light and dark, wide and narrow, nothing sideways."""

import subprocess
import sys
from collections.abc import Iterator

import pytest
from django.utils.timezone import localdate
from playwright.sync_api import Browser, Page

from tests.journeys.conftest import PASSPHRASE, Rapport, find_client, sign_in
from tests.journeys.looks import LOOKS, TWO_LOOKS, look_at

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("journeys")]

LINKS = """
from apps.feedback.messages import link_to
from apps.feedback.models import FeedbackRequest
for state in ("open", "answered", "expired"):
    print(link_to(FeedbackRequest.objects.filter(state=state).latest("due_at")))
"""


@pytest.fixture(scope="module")
def client_links(rapport: Rapport) -> list[str]:
    """The links of an open, an answered and an expired request of the demo."""
    said = subprocess.run(
        [sys.executable, "manage.py", "shell", "--no-imports", "-c", LINKS],
        cwd=rapport.folder,
        env=rapport.environment,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    return said.split()


@pytest.fixture
def hana(chromium: Browser, rapport: Rapport) -> Iterator[Page]:
    page = sign_in(chromium, rapport, "hana")
    yield page
    page.context.close()


def test_pages_of_a_therapist(hana: Page, rapport: Rapport) -> None:
    wrong = look_at(hana, "caseload")
    clients = [
        link.get_attribute("href")
        for link in hana.locator("table a.rp-row-link, table a[href*='/clients/']").all()
    ]
    assert len(clients) >= 10
    for n, href in enumerate(list(dict.fromkeys(clients))[:5]):
        hana.goto(f"{rapport.address}{href}")
        wrong += look_at(hana, f"client {hana.title()}", TWO_LOOKS if n else LOOKS)
    for path in (
        "/caseload/?status=possible",
        "/sessions/log/",
        "/clients/add/",
        f"{clients[0]}plan/",
        "/no-such-page/",
    ):
        hana.goto(f"{rapport.address}{path}")
        wrong += look_at(hana, path, TWO_LOOKS)
    find_client(hana, rapport, "nobody")
    wrong += look_at(hana, "nobody found", TWO_LOOKS)
    assert not wrong, "\n".join(wrong)


def test_pages_of_a_repair_and_an_ending(hana: Page, rapport: Rapport) -> None:
    """The record of a worked-out repair, the brief, the day sheet, and how a treatment ends."""
    find_client(hana, rapport, "T.A.")
    hana.locator("table a.rp-row-link").first.click()
    client = hana.url
    hana.get_by_role("link", name="Open the repair record").click()
    hana.locator("details").evaluate_all("all => all.forEach(one => { one.open = true })")
    wrong = look_at(hana, "repair record")
    hana.get_by_label("Open the conversation: day").evaluate("field => { field.type = 'text' }")
    hana.get_by_label("Open the conversation: day").fill("soon")
    hana.get_by_role("button", name="Save steps").click()
    wrong += look_at(hana, "repair record refused")
    for path in ("brief/", "move/", "close/"):
        hana.goto(f"{client}{path}")
        wrong += look_at(hana, path)
    hana.goto(f"{client}move/")
    hana.get_by_label("What the client needs now").fill("Somebody with time in the evening.")
    hana.get_by_label("What was tried").fill("Two repair conversations.")
    hana.get_by_role("button", name="Save and go on").click()
    wrong += look_at(hana, "move, consent")
    hana.get_by_label("Client agreed on").fill(localdate().isoformat())
    hana.get_by_label("How").select_option("in_room")
    hana.get_by_role("button", name="Save and go on").click()
    wrong += look_at(hana, "move, handover")
    for path in ("/day-sheet/", "/day-sheet/?day=2020-01-01", "/clients/ended/", "/account/offer/"):
        hana.goto(f"{rapport.address}{path}")
        wrong += look_at(hana, path)
    assert not wrong, "\n".join(wrong)


def test_forms_with_errors(hana: Page, rapport: Rapport) -> None:
    wrong = []
    for path, button in (("/clients/add/", "Add client"), ("/sessions/log/", "Save session")):
        hana.goto(f"{rapport.address}{path}")
        hana.locator("form[method=post]").last.evaluate("form => { form.noValidate = true }")
        hana.get_by_label("Minutes", exact=True).fill("1")
        hana.get_by_role("button", name=button).click()
        hana.locator("[aria-invalid=true]").first.wait_for()
        wrong += look_at(hana, f"{path} refused")
    assert not wrong, "\n".join(wrong)


def test_pages_of_a_supervisor_and_a_manager(chromium: Browser, rapport: Rapport) -> None:
    miriam = sign_in(chromium, rapport, "miriam")
    wrong = look_at(miriam, "supervision")
    miriam.get_by_role("link", name="Prepare").first.click()
    wrong += look_at(miriam, "supervised episode")
    ines = sign_in(chromium, rapport, "ines")
    wrong += look_at(ines, "practice")
    assert not wrong, "\n".join(wrong)


def test_pages_of_the_account_and_of_people(chromium: Browser, rapport: Rapport) -> None:
    ines = sign_in(chromium, rapport, "ines")
    wrong = []
    for path in (
        "/account/",
        "/account/weekly-mail/",
        "/practice/people/",
        "/practice/overview/",
        "/account/app/add/",
    ):
        ines.goto(f"{rapport.address}{path}")
        wrong += look_at(ines, path)  # the last one asks for the password once more
    ines.locator("input[type=password]").fill(PASSPHRASE)
    ines.get_by_role("button", name="Continue").click()
    ines.wait_for_url("**/account/app/add/")
    wrong += look_at(ines, "the app's first code")
    for path in ("/account/keys/add/", "/account/password/", "/practice/people/invite/"):
        ines.goto(f"{rapport.address}{path}")
        wrong += look_at(ines, path)
    assert not wrong, "\n".join(wrong)


def test_pages_without_a_sign_in(
    chromium: Browser, rapport: Rapport, client_links: list[str]
) -> None:
    page = chromium.new_context().new_page()
    wrong = []
    unknown = f"{rapport.address}/f/unknown/"
    for address in (f"{rapport.address}/sign-in/", *client_links, unknown):
        page.goto(address)
        wrong += look_at(page, page.title())
    page.goto(client_links[0])
    page.get_by_role("button", name="Send my answers").click()
    wrong += look_at(page, "empty form refused")
    for path in ("/styleguide/", "/dev/outbox/"):
        page.goto(f"{rapport.address}{path}")
        wrong += look_at(page, path)
    assert not wrong, "\n".join(wrong)
