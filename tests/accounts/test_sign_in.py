"""Signing in: by email address in any case, and one sentence for whatever does not fit."""

import pytest
from django.test import Client as Browser

from apps.accounts.models import Membership
from tests.factories import PASSWORD
from tests.feedback.test_client_form import shown

URL = "/sign-in/"
REFUSED = "Email address and password do not belong together."


def enter(browser: Browser, email: str, password: str = PASSWORD, **also: str) -> object:
    return browser.post(URL, {"username": email, "password": password, **also})


def test_a_member_signs_in_whatever_the_case_of_the_address(
    client: Browser, alice: Membership
) -> None:
    response = enter(client, alice.user.email.upper())  # type: ignore[union-attr]
    assert response.status_code == 302  # type: ignore[attr-defined]
    assert client.get("/caseload/").status_code == 200


@pytest.mark.parametrize(("email", "password"), [("", "wrong"), ("nobody@x.example", PASSWORD)])
def test_what_is_wrong_is_not_told_apart(
    client: Browser, alice: Membership, email: str, password: str
) -> None:
    page = enter(client, email or alice.user.email, password)  # type: ignore[union-attr]
    assert REFUSED in shown(page)
    assert "sessionid" not in client.cookies


def test_a_closed_account_does_not_sign_in(client: Browser, alice: Membership) -> None:
    alice.user.is_active = False  # type: ignore[union-attr]
    alice.user.save()  # type: ignore[union-attr]
    assert REFUSED in shown(enter(client, alice.user.email))  # type: ignore[union-attr]


def test_the_way_on_stays_in_the_house(client: Browser, alice: Membership) -> None:
    email = alice.user.email  # type: ignore[union-attr]
    assert enter(client, email, next="/sessions/log/")["Location"] == "/sessions/log/"  # type: ignore[index]
    elsewhere = enter(Browser(), email, next="https://evil.example/")
    assert elsewhere["Location"] == "/"  # type: ignore[index]


def test_a_form_from_elsewhere_is_refused_with_what_to_do(alice: Membership) -> None:
    page = enter(Browser(enforce_csrf_checks=True), alice.user.email)  # type: ignore[union-attr]
    assert page.status_code == 403  # type: ignore[attr-defined]
    assert "This page was open for too long" in shown(page)
