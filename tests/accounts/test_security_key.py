"""A security key as the second step: the real browser, a virtual key, our own script and policy."""

from collections.abc import Iterator

import pytest
from allauth.mfa.models import Authenticator
from django.db import connections
from playwright.sync_api import Page, Route, sync_playwright
from pytest_django import Settings
from pytest_django.live_server_helper import LiveServer

from apps.accounts.models import Membership
from tests.factories import PASSWORD
from tests.journeys.conftest import FLAGS, find_chromium

KEY = {
    "protocol": "ctap2",
    "transport": "usb",
    "hasUserVerification": True,
    "isUserVerified": True,
    "automaticPresenceSimulation": True,
}
COMPLAINTS = {"error", "warning"}
pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def page(
    transactional_db: None, monkeypatch: pytest.MonkeyPatch, live_server: LiveServer
) -> Iterator[Page]:
    """A page with a security key plugged in, in a browser of its own.

    Started for this test and ended with it: while Playwright runs, Django takes its thread for an
    asynchronous one.
    """
    monkeypatch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "true")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_chromium(), args=FLAGS)
        context = browser.new_context()
        page = context.new_page()
        page.set_default_timeout(15_000)
        devices = context.new_cdp_session(page)
        devices.send("WebAuthn.enable")
        devices.send("WebAuthn.addVirtualAuthenticator", {"options": KEY})
        yield page
        browser.close()
        connections.close_all()


def sign_in(page: Page, server: LiveServer, member: Membership) -> None:
    assert member.user
    page.goto(f"{server.url}/sign-in/")
    page.locator("input[name=username]").fill(member.user.email)
    page.locator("input[type=password]").fill(PASSWORD)
    page.get_by_role("button", name="Continue").click()


def test_a_key_is_added_and_then_asked_for(
    page: Page, live_server: LiveServer, alice: Membership, settings: Settings
) -> None:
    settings.MFA_REQUIRED = True
    said: list[str] = []
    asked: list[str] = []
    page.on(
        "console",
        lambda message: said.append(message.text) if message.type in COMPLAINTS else None,
    )
    page.on("request", lambda request: asked.append(request.url))
    late: list[Route] = []
    page.route("**/js/security-key*.js", lambda route: late.append(route), times=1)
    sign_in(page, live_server, alice)
    page.get_by_role("link", name="Use a security key").click()
    page.locator("input[type=password]").fill(PASSWORD)
    # The script is late: a click before it would send the form without the key's answer.
    with page.expect_request("**/js/security-key*.js"):
        page.get_by_role("button", name="Continue").click()
    add = page.get_by_role("button", name="Add this key")
    assert add.is_disabled()
    late[0].continue_()
    add.click()
    page.get_by_role("heading", name="Recovery codes").wait_for()
    assert Authenticator.objects.get(user=alice.user, type="webauthn").wrap().name == "Security key"
    page.goto(f"{live_server.url}/sign-out/")
    page.get_by_role("button", name="Sign out").click()
    sign_in(page, live_server, alice)
    page.get_by_role("heading", name="Is it you?").wait_for()
    page.get_by_role("button", name="Use a security key").click()
    page.wait_for_url(f"{live_server.url}/caseload/")
    assert not said, "neither the policy nor the script complained"
    assert {url.split("/")[2] for url in asked if not url.startswith("data:")} == {
        live_server.url.split("/")[2]
    }
