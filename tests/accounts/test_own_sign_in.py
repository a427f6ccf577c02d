"""A change of how somebody signs in is noticed, whatever the page answers."""

from collections.abc import Callable
from typing import Any

import pytest
from allauth.mfa.models import Authenticator
from allauth.mfa.totp.internal import auth as totp
from django.conf import settings
from django.test import Client as Browser

from apps.accounts.models import Membership
from tests.accounts.conftest import address_of, enrol, enter, noted
from tests.architecture.matrix.building import taken_back
from tests.architecture.matrix.routes import ROUTES, urls
from tests.factories import PASSWORD

NEW = "another long enough passphrase"
BY_SCRIPT = {"HTTP_X_REQUESTED_WITH": "XMLHttpRequest", "HTTP_ACCEPT": "application/json"}
HEADERS: tuple[dict[str, str], ...] = ({}, BY_SCRIPT, {"CONTENT_TYPE": "application/json"})


def goes_on(browser: Browser) -> bool:
    return browser.get("/account/").status_code == 200


# ── However it is asked for ──────────────────────────────────────────────────────────────────


def ask(key: str, method: str, address: str, headers: dict[str, str]) -> tuple[Any, ...]:
    """How a page answers, in a browser with this session; what it changed is taken back."""
    browser = Browser()
    browser.cookies[settings.SESSION_COOKIE_NAME] = key
    with taken_back():
        answer = browser.generic(method, address, **headers)  # type: ignore[arg-type]
    return answer.status_code, answer.get("Location"), answer["Content-Type"]


def test_pages_of_the_account_answer_by_a_page_or_a_redirect_whatever_a_header_asks_for(
    alice: Membership, proven: Callable[[Membership], Browser]
) -> None:
    proven_before, half_way = proven(alice), Browser()
    enrol(alice)
    enter(half_way, alice)
    patterns = dict(urls())
    for name in (name for name, row in ROUTES.items() if row.account):
        address = address_of(patterns[name])
        for browser in (proven_before, half_way):
            key = browser.cookies[settings.SESSION_COOKIE_NAME].value
            for method in ("GET", "POST"):
                answers = {ask(key, method, address, headers) for headers in HEADERS}
                assert len(answers) == 1, f"{method} {address}"
                assert answers.pop()[2] == "text/html; charset=utf-8"


def a_password(browser: Browser, member: Membership) -> tuple[str, dict[str, str]]:
    sent = {"oldpassword": PASSWORD, "password1": NEW, "password2": NEW}
    return "/account/password/", sent


def a_first_app(browser: Browser, member: Membership) -> tuple[str, dict[str, str]]:
    browser.get("/account/app/add/")
    secret = browser.session["mfa.totp.secret"]
    [counter, *_] = totp.yield_hotp_counters_from_time()
    return "/account/app/add/", {"code": totp.format_hotp_value(totp.hotp_value(secret, counter))}


def no_app_any_more(browser: Browser, member: Membership) -> tuple[str, dict[str, str]]:
    enrol(member)
    return "/account/app/remove/", {}


def no_key_any_more(browser: Browser, member: Membership) -> tuple[str, dict[str, str]]:
    key = Authenticator.objects.create(user=member.user, type="webauthn", data={"name": "Key"})
    return f"/account/keys/{key.id}/remove/", {}


def new_codes(browser: Browser, member: Membership) -> tuple[str, dict[str, str]]:
    enrol(member)
    return "/account/codes/new/", {}


@pytest.mark.parametrize(
    "change", [a_password, a_first_app, no_app_any_more, no_key_any_more, new_codes]
)
def test_each_change_is_noted_and_ends_the_other_sessions_however_it_is_asked_for(
    alice: Membership,
    sign_in: Callable[[Membership], Browser],
    proven: Callable[[Membership], Browser],
    change: Callable[[Browser, Membership], tuple[str, dict[str, str]]],
) -> None:
    here, there = proven(alice), sign_in(alice)
    address, sent = change(here, alice)
    here.post(address, sent, **BY_SCRIPT)  # type: ignore[arg-type]
    assert len(noted("change own sign-in", alice)) == 1
    assert goes_on(here)
    assert not goes_on(there)


def test_what_changes_nothing_ends_no_session(
    alice: Membership,
    sign_in: Callable[[Membership], Browser],
    proven: Callable[[Membership], Browser],
) -> None:
    here, there = proven(alice), sign_in(alice)
    address, sent = a_password(here, alice)
    assert here.post(address, sent | {"oldpassword": NEW}).status_code == 200
    enrol(alice)
    assert here.post("/account/app/add/", {"code": "000000"}).status_code == 302, "there is one"
    assert goes_on(there)
    assert not noted("change own sign-in", alice)
