"""Every page of a client in every language at 375 px, also with text twice as large."""

from mimetypes import guess_type
from pathlib import Path

import pytest
from django.conf import settings
from django.contrib.staticfiles import finders
from playwright.sync_api import Browser, Page, Route

from apps.feedback.specimens import specimens

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("journeys")]

ORIGIN = "http://rapport.example"
HTML = "text/html; charset=utf-8"
WIDTH = 375


def static(route: Route) -> None:
    """What a page loads, from the folders it is served from; nothing leaves this process."""
    name = route.request.url.removeprefix(f"{ORIGIN}{settings.STATIC_URL}")
    path = Path(str(finders.find(name)))
    route.fulfill(path=path, content_type=guess_type(path.name)[0] or "")


def show(page: Page, html: str) -> None:
    page.route(f"{ORIGIN}/", lambda route: route.fulfill(body=html, content_type=HTML))
    page.goto(f"{ORIGIN}/")
    page.unroute(f"{ORIGIN}/")


def widths(page: Page) -> list[int]:
    """How wide the page is: with text as it is, and with text of 200 %."""
    found = []
    for size in ("100%", "200%"):
        page.evaluate("size => { document.documentElement.style.fontSize = size }", size)
        found.append(page.evaluate("document.documentElement.scrollWidth"))
    return found


def test_nothing_of_a_client_scrolls_sideways_in_any_language(chromium: Browser) -> None:
    page = chromium.new_page(viewport={"width": WIDTH, "height": 800})
    page.route(f"{ORIGIN}/static/**", static)
    wrong = []
    for language, _name in settings.LANGUAGES:
        for specimen in specimens(language):
            if specimen.is_page:
                show(page, specimen.content)
                found = widths(page)
                wrong += [f"{language}, {specimen.name}: {found}"] if max(found) > WIDTH else []
    page.close()
    assert not wrong, "\n".join(wrong)
