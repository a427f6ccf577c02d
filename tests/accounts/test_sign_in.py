"""Signing in: password, second step, recovery codes, and what keeps the step from being skipped."""

import os
import subprocess
import sys
from collections.abc import Callable
from datetime import timedelta

import pytest
import time_machine
from allauth.mfa.models import Authenticator
from django.contrib.auth.hashers import identify_hasher
from django.test import Client as Browser
from django.urls import URLPattern, URLResolver, get_resolver, reverse
from django.utils import timezone

from apps.accounts import sign_in_services
from apps.accounts.links import make_token
from apps.accounts.middleware import ENROLMENT
from apps.accounts.models import AccountLink, Membership
from apps.core.models import AuditEntry
from tests.accounts.conftest import address_of, code_of, enrol, enter, is_in, shown, wrong_code_of
from tests.factories import PASSWORD

REFUSED = "Email address and password do not belong together."
SECOND_STEP = "/sign-in/second-step/"


def test_a_member_signs_in_whatever_the_case_of_the_address(
    client: Browser, alice: Membership
) -> None:
    alice.user.email = alice.user.email.upper()  # type: ignore[union-attr]
    assert enter(client, alice).status_code == 302
    assert is_in(client)


@pytest.mark.parametrize("password", ["wrong", PASSWORD + " "])
def test_a_wrong_password_and_an_unknown_address_are_not_told_apart(
    client: Browser, alice: Membership, password: str
) -> None:
    wrong = client.post("/sign-in/", {"username": alice.user.email, "password": password})  # type: ignore[union-attr]
    unknown = client.post("/sign-in/", {"username": "nobody@x.example", "password": PASSWORD})
    assert REFUSED in shown(wrong)
    assert REFUSED in shown(unknown)
    assert not is_in(client)


@pytest.mark.parametrize(
    ("page", "field"), [("/sign-in/", "username"), ("/sign-in/forgotten/", "email")]
)
def test_a_stranger_gets_back_no_more_than_an_address_can_be_long(
    client: Browser, db: None, page: str, field: str
) -> None:
    """Each sign comes back as six: what nobody reads would fill the proxy's memory."""
    long = '"' * 100_000
    answer = client.post(page, {field: long, "password": "x", "next": f"/{long}"})
    assert answer.status_code == 200
    assert answer.content.count(b"&quot;") == 254


def test_a_closed_account_does_not_sign_in(client: Browser, alice: Membership) -> None:
    alice.user.is_active = False  # type: ignore[union-attr]
    alice.user.save()  # type: ignore[union-attr]
    assert REFUSED in shown(enter(client, alice))
    assert not is_in(client)


def test_somebody_without_a_place_in_a_practice_does_not_sign_in(
    client: Browser, alice: Membership
) -> None:
    alice.is_active = False
    alice.save()
    assert "You have no place in a practice at present." in shown(enter(client, alice))
    assert not is_in(client)


def test_the_way_on_stays_in_the_house(client: Browser, alice: Membership) -> None:
    assert enter(client, alice, next="/account/")["Location"] == "/account/"
    assert enter(Browser(), alice, next="https://evil.example/")["Location"] == "/"
    assert enter(Browser(), alice, next="//evil.example/")["Location"] == "/"


def test_nobody_signs_up(client: Browser, db: None) -> None:
    assert client.get("/sign-up/").status_code == 404
    assert "sign up" not in shown(client.get("/sign-in/")).lower()


def test_the_session_key_changes_with_the_sign_in(client: Browser, alice: Membership) -> None:
    session = client.session
    session["planted"] = True
    session.save()
    before = session.session_key
    enter(client, alice)
    assert client.session.session_key != before


def test_passwords_are_kept_as_argon2id(alice: Membership) -> None:
    assert identify_hasher(alice.user.password).algorithm == "argon2"  # type: ignore[union-attr]
    assert "$argon2id$" in alice.user.password  # type: ignore[union-attr]


def test_a_code_of_the_app_is_the_second_step(client: Browser, alice: Membership) -> None:
    enrol(alice)
    assert enter(client, alice)["Location"] == SECOND_STEP
    assert not is_in(client)
    assert client.post(SECOND_STEP, {"code": wrong_code_of(alice)}).status_code == 200
    assert not is_in(client)
    assert client.post(SECOND_STEP, {"code": code_of(alice)}).status_code == 302
    assert is_in(client)


def test_a_security_key_is_asked_for_where_there_is_one(client: Browser, alice: Membership) -> None:
    enrol(alice)
    enter(client, alice)
    assert "Use a security key" not in shown(client.get(SECOND_STEP))


def test_a_code_works_once(client: Browser, alice: Membership) -> None:
    enrol(alice)
    with time_machine.travel(timezone.now(), tick=False):
        code = code_of(alice)
        enter(client, alice)
        client.post(SECOND_STEP, {"code": code})
        assert is_in(client)
        second = Browser()
        enter(second, alice)
        assert "That code does not fit." in shown(second.post(SECOND_STEP, {"code": code}))
        assert not is_in(second)


def test_an_incomplete_code_says_how_many_digits_are_wanted(
    client: Browser, alice: Membership
) -> None:
    enrol(alice)
    enter(client, alice)
    page = client.post(SECOND_STEP, {"code": "41830"})
    assert "Enter all six digits" in shown(page)


def test_a_recovery_code_works_once(client: Browser, alice: Membership) -> None:
    first, *_ = enrol(alice)
    enter(client, alice)
    client.post(SECOND_STEP, {"code": f"{first[:4]} {first[4:]}"})
    assert is_in(client)
    second = Browser()
    enter(second, alice)
    second.post(SECOND_STEP, {"code": first})
    assert not is_in(second)


def test_secrets_of_the_second_step_are_sealed_in_the_database(alice: Membership) -> None:
    codes = enrol(alice)
    stored = str(list(Authenticator.objects.values_list("data", flat=True)))
    secret = Authenticator.objects.get(type="totp").data["secret"]
    assert secret.startswith("gAAAA")
    assert not any(code in stored for code in codes)


def every_name(patterns: list[URLPattern | URLResolver]) -> list[tuple[str, URLPattern]]:
    found = []
    for each in patterns:
        if isinstance(each, URLResolver):
            found += every_name(each.url_patterns)
        else:
            found.append((each.name or "", each))
    return found


OPEN_TO_ALL = {"health"}


@pytest.mark.parametrize(
    ("name", "pattern"),
    [
        each
        for each in every_name(get_resolver().url_patterns)
        if getattr(each[1].callback, "login_required", True) and each[0] not in ENROLMENT
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
@pytest.mark.parametrize("method", ["get", "post"])
def test_without_a_second_step_every_page_leads_to_setting_one_up(
    as_mona: Browser, second_step_required: None, name: str, pattern: URLPattern, method: str
) -> None:
    response = getattr(as_mona, method)(address_of(pattern))
    assert response.status_code == 302
    assert response["Location"] == "/account/"


def test_without_a_second_step_one_can_set_it_up_or_leave(
    as_alice: Browser, second_step_required: None
) -> None:
    page = as_alice.get("/account/")
    assert "Set up a second step" in shown(page)
    assert as_alice.get("/account/app/add/")["Location"].startswith("/sign-in/again/")
    as_alice.post("/sign-in/again/", {"password": PASSWORD})
    page = as_alice.get("/account/app/add/")
    assert "Set up an app" in shown(page)
    assert page.status_code == 200
    as_alice.post("/sign-out/")
    assert not is_in(as_alice)


def test_where_no_second_step_is_required_the_account_page_keeps_the_way_around(
    as_alice: Browser,
) -> None:
    page = shown(as_alice.get("/account/"))
    assert "Set up an app" in page
    assert "Caseload" in page
    assert "Recovery codes" not in page, "they replace a second step"


def test_setting_up_an_app_opens_the_house_and_shows_the_recovery_codes(
    as_alice: Browser, alice: Membership, second_step_required: None
) -> None:
    as_alice.post("/sign-in/again/", {"password": PASSWORD})
    as_alice.get("/account/app/add/")
    secret = as_alice.session["mfa.totp.secret"]
    from allauth.mfa.totp.internal import auth as totp

    code = totp.format_hotp_value(totp.hotp_value(secret, int(timezone.now().timestamp()) // 30))
    response = as_alice.post("/account/app/add/", {"code": code})
    assert response["Location"] == "/account/codes/"
    codes = shown(as_alice.get("/account/codes/"))
    assert codes.count("rp-code") == 10
    assert as_alice.get("/account/").status_code == 200
    assert "App on the phone" in shown(as_alice.get("/account/"))
    assert AuditEntry.objects.filter(action="change own sign-in", actor_id=alice.id).exists()


def test_a_password_reset_skips_no_second_step(client: Browser, alice: Membership) -> None:
    enrol(alice)
    assert alice.user_id
    sign_in_services.mail_password_reset(user_id=alice.user_id)
    link = AccountLink.objects.get(membership=alice)
    address = reverse("account_link", args=[make_token(link)])
    new = "another long enough passphrase"
    response = client.post(address, {"password": new, "again": new})
    assert response["Location"] == "/sign-in/"
    assert not is_in(client)
    assert enter(client, alice).status_code == 200, "the old password is gone"
    assert enter(client, alice, new)["Location"] == SECOND_STEP
    assert not is_in(client)


def test_the_second_step_cannot_be_reached_without_the_first(
    client: Browser, alice: Membership
) -> None:
    enrol(alice)
    assert client.get(SECOND_STEP)["Location"] == "/sign-in/"
    assert client.post(SECOND_STEP, {"code": code_of(alice)})["Location"] == "/sign-in/"
    assert not is_in(client)


def test_half_a_sign_in_runs_out(client: Browser, alice: Membership) -> None:
    enrol(alice)
    with time_machine.travel(timezone.now(), tick=False) as clock:
        enter(client, alice)
        clock.shift(timedelta(minutes=16))
        client.post(SECOND_STEP, {"code": code_of(alice)})
    assert not is_in(client)


def test_production_refuses_to_start_without_the_second_step() -> None:
    production = {
        "RAPPORT_ENVIRONMENT": "production",
        "SECRET_KEY": "x" * 60,
        "ENCRYPTION_KEYS": "A" * 43 + "=",
        "ALLOWED_HOSTS": "rapport.example.org",
        "BASE_URL": "https://rapport.example.org",
        "EMAIL_URL": "smtp://127.0.0.1:25",
        "DEFAULT_FROM_EMAIL": "forms@example.org",
        "RAPPORT_MFA_REQUIRED": "false",
    }
    start = subprocess.run(
        [sys.executable, "-c", "import config.settings"],
        env=os.environ | production,
        capture_output=True,
        text=True,
        check=False,
    )
    assert start.returncode != 0
    assert "RAPPORT_MFA_REQUIRED=false lets staff sign in with a password alone" in start.stderr


def test_a_form_from_elsewhere_is_refused_with_what_to_do(alice: Membership) -> None:
    page = enter(Browser(enforce_csrf_checks=True), alice)
    assert page.status_code == 403
    assert "This page was open for too long" in shown(page)


def test_every_page_on_the_way_in_keeps_the_content_policy(
    as_alice: Browser, proven: Callable[[Membership], Browser], alice: Membership
) -> None:
    browser = proven(alice)
    for address in ("/account/", "/account/keys/add/", "/account/app/add/", "/account/password/"):
        page = browser.get(address)
        assert page.status_code == 200
        policy = page["Content-Security-Policy"]
        assert "script-src 'self'" in policy
        assert "unsafe" not in policy
        assert "no-store" in page["Cache-Control"]
