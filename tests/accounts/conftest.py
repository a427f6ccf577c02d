"""Signing in by hand: password, second step, and the codes for it."""

import html
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from allauth.mfa.models import Authenticator
from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from allauth.mfa.totp.internal import auth as totp
from django.test import Client as Browser
from django.urls import URLPattern, reverse
from django.utils import timezone
from pytest_django import Settings

from apps.accounts.models import Membership
from apps.accounts.sign_in import SEEN
from apps.core.models import AuditEntry
from tests.factories import PASSWORD

ENROLLED = Authenticator.Type.TOTP
ARGUMENTS = {
    "uuid": "00000000-0000-4000-8000-000000000000",
    "int": "1",
    "string": "x",
}

TEXT = "She said the summary felt rushed. Ask about it first."


@pytest.fixture
def second_step_required(settings: Settings) -> None:
    settings.MFA_REQUIRED = True


def shown(response: Any) -> str:
    """The text of a page as a reader sees it."""
    return html.unescape(response.content.decode())


def address_of(pattern: URLPattern) -> str:
    """An address of the route, with ids that are nobody's."""
    kinds = {
        name: ARGUMENTS[type(converter).__name__.removesuffix("Converter").lower()]
        for name, converter in pattern.pattern.converters.items()
    }
    return reverse(pattern.name or "", kwargs=kinds)


def code_of(member: Membership, *, later: int = 0) -> str:
    """The code that the member's app shows now, or `later` periods from now."""
    secret = totp.decrypt(Authenticator.objects.get(user=member.user, type=ENROLLED).data["secret"])
    return totp.format_hotp_value(totp.hotp_value(secret, int(time.time()) // 30 + later))


def wrong_code_of(member: Membership) -> str:
    right = code_of(member)
    return f"{(int(right) + 1) % 10**6:06}"


def enrol(member: Membership) -> list[str]:
    """Set up an app for the member; returns the recovery codes."""
    totp.TOTP.activate(member.user, totp.generate_totp_secret())  # type: ignore[arg-type]
    return RecoveryCodes.activate(member.user).generate_codes()  # type: ignore[arg-type]


def enter(browser: Browser, member: Membership, password: str = PASSWORD, **also: str) -> Any:
    assert member.user
    sent = {"username": member.user.email, "password": password, **also}
    return browser.post("/sign-in/", sent)


def is_in(browser: Browser) -> bool:
    return "_auth_user_id" in browser.session


def goes_on(browser: Browser) -> bool:
    """Whether the session is still good for a page."""
    return browser.get("/account/").status_code == 200


@pytest.fixture
def proven(sign_in: Callable[[Membership], Browser]) -> Callable[[Membership], Browser]:
    """Signed in, and the password shown once more just now."""

    def proven(member: Membership) -> Browser:
        browser = sign_in(member)
        page = browser.post("/sign-in/again/", {"password": PASSWORD})
        assert page.status_code == 302
        return browser

    return proven


@pytest.fixture
def manager(mona: Membership, proven: Callable[[Membership], Browser]) -> Browser:
    """mona, who has just shown that it is her."""
    return proven(mona)


def sent(**changes: Any) -> dict[str, Any]:
    person = {"name": "Nina Berg", "email": "nina@fernbank.example", "roles": ["therapist"]}
    return person | changes


def noted(action: str, by: Membership) -> list[AuditEntry]:
    return list(AuditEntry.objects.filter(action=action, actor_id=by.id))


def link(supervisee: Membership, supervisor: Membership, **changes: Any) -> dict[str, Any]:
    fields = {
        "supervisee": supervisee.id,
        "supervisor": supervisor.id,
        "starts_on": timezone.localdate().isoformat(),
        "ends_on": "",
    }
    return fields | changes


def kept_at(response: Any) -> str:
    """The page that gives back what was sent, from the `next` of the answer."""
    [address] = parse_qs(urlsplit(response["Location"]).query)["next"]
    assert address.startswith("/kept/?draft=")
    return address


def send_too_late(browser: Browser, path: str) -> str:
    """Send a form an hour after the last click; where it is kept."""
    session = browser.session
    session[SEEN] -= 60 * 60
    session.save()
    response = browser.post(path, {"name": TEXT, "roles": ["therapist", "supervisor"]})
    assert response["Location"].startswith("/sign-in/?next=")
    assert "What you were writing is kept." in shown(browser.get("/sign-in/"))
    return kept_at(response)


class Tab(Browser):
    """A window of a browser that checks where forms come from."""

    def __init__(self, browser: Browser) -> None:
        super().__init__(enforce_csrf_checks=True)
        self.cookies = browser.cookies

    def token(self) -> str:
        return str(self.get("/account/").context["csrf_token"])

    def switch(self, to: Membership) -> None:
        sent = {"practice": str(to.practice_id), "csrfmiddlewaretoken": self.token()}
        assert self.post("/switch-practice/", sent).status_code == 302

    def send(self, token: str, *, to: str = "add_client") -> Any:
        sent = {"name": TEXT, "phone": "020 7946 0000", "csrfmiddlewaretoken": token}
        return self.post(reverse(to), sent)
