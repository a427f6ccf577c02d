"""Chromium speaks to our own address alone, and no page has an error or breaks its own policy."""

import subprocess
import sys
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page

from tests.journeys.conftest import Rapport, sign_in

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("journeys")]

LINK = """
from apps.feedback.messages import link_to
from apps.feedback.models import FeedbackRequest
print(link_to(FeedbackRequest.objects.filter(state="open").latest("due_at")))
"""


class Watch:
    """Everything that one page asks for, and everything it complains about."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.requests: list[str] = []
        self.complaints: list[str] = []
        page.context.on("request", lambda request: self.requests.append(request.url))
        page.on(
            "console",
            lambda message: (
                self.complaints.append(f"{page.url}: {message.text}")
                if message.type in {"error", "warning"}
                else None
            ),
        )
        page.on("pageerror", lambda error: self.complaints.append(f"{page.url}: {error}"))

    def strangers(self, rapport: Rapport) -> list[str]:
        """Requests that went anywhere else; data: is no request to anybody."""
        home = urlsplit(rapport.address).netloc
        addresses = (urlsplit(url) for url in self.requests)
        return [
            each.geturl() for each in addresses if each.netloc != home and each.scheme != "data"
        ]

    def visit(self, rapport: Rapport, *paths: str) -> None:
        for path in paths:
            self.page.goto(f"{rapport.address}{path}", wait_until="networkidle")


@pytest.mark.parametrize(
    ("name", "paths"),
    [
        ("hana", ("/caseload/", "/caseload/?status=possible", "/sessions/log/", "/clients/add/")),
        ("miriam", ("/supervision/",)),
        ("ines", ("/practice/",)),
    ],
)
def test_every_request_of_a_member_goes_to_our_own_address(
    name: str, paths: tuple[str, ...], chromium: Browser, rapport: Rapport
) -> None:
    page = sign_in(chromium, rapport, name)
    watch = Watch(page)
    watch.visit(rapport, *paths)
    page.goto(f"{rapport.address}{paths[0]}")
    for link in page.locator("main a[href^='/clients/'], main a[href^='/supervision/']").all()[:1]:
        watch.visit(rapport, link.get_attribute("href") or "/")
    assert len(watch.requests) > len(paths)
    assert not watch.strangers(rapport)
    assert not watch.complaints, "\n".join(watch.complaints)
    page.context.close()


def test_a_clients_pages_ask_nobody_else(chromium: Browser, rapport: Rapport) -> None:
    link = subprocess.run(
        [sys.executable, "manage.py", "shell", "--no-imports", "-c", LINK],
        cwd=rapport.folder,
        env=rapport.environment,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
    page = chromium.new_context(viewport={"width": 375, "height": 800}).new_page()
    watch = Watch(page)
    watch.visit(rapport, urlsplit(link).path, "/sign-in/")
    assert watch.requests
    assert not watch.strangers(rapport)
    assert not watch.complaints, "\n".join(watch.complaints)
    page.context.close()


def test_the_watch_sees_a_stranger_and_a_breach(chromium: Browser, rapport: Rapport) -> None:
    page = chromium.new_context().new_page()
    watch = Watch(page)
    watch.visit(rapport, "/sign-in/")
    page.evaluate(
        "() => { const i = new Image(); i.src = 'https://tracker.invalid/x.png';"
        " document.body.append(i) }"
    )
    page.wait_for_timeout(500)
    assert any("Content Security Policy" in each for each in watch.complaints)
    page.context.close()
