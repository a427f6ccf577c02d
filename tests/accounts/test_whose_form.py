"""Whoever loads a page anew that answered a form sends that form again: it tells others nothing."""

from typing import Any
from unittest.mock import Mock

import pytest
from django.db import OperationalError
from django.test import Client as Browser
from django.urls import reverse

from apps.accounts.models import Membership
from tests.accounts.conftest import TEXT, Tab, enter, shown
from tests.conftest import signed_in

pytestmark = pytest.mark.django_db


def sign_in(browser: Browser, member: Membership) -> None:
    page = browser.get("/sign-in/")
    browser.cookies.load(page.cookies.output(header=""))
    sent = {"csrfmiddlewaretoken": str(page.context["csrf_token"])}
    assert enter(browser, member, **sent).status_code == 302


def test_what_was_typed_is_given_back_to_who_wrote_it_and_to_nobody_else_in_that_browser(
    alice: Membership, charlie: Membership
) -> None:
    """Signed out, the page that their form was answered by is loaded anew: by the client to whom
    the device was handed, by a colleague, and once they are back by themselves."""
    browser = Browser(enforce_csrf_checks=True)

    def token() -> str:
        return str(browser.get("/account/").context["csrf_token"])

    def sign_out() -> None:
        assert browser.post("/sign-out/", {"csrfmiddlewaretoken": token()}).status_code == 302

    def loads_anew() -> Any:
        answer = browser.post(reverse("add_client"), typed)
        assert answer.status_code == 403
        return shown(answer)

    sign_in(browser, alice)
    typed = {"not_asked_note": TEXT, "csrfmiddlewaretoken": token()}
    sign_out()
    browser.get("/sign-in/")
    assert TEXT not in loads_anew()
    sign_in(browser, charlie)
    assert TEXT not in loads_anew()
    sign_out()
    sign_in(browser, alice)
    assert TEXT in loads_anew()


@pytest.mark.parametrize("reads", [
    "apps.accounts.sessions.SessionStore.load", "django.contrib.auth.get_user",
])  # fmt: skip
def test_while_the_database_is_away_nobody_is_shown_what_may_be_anothers(
    monkeypatch: pytest.MonkeyPatch, alice: Membership, reads: str
) -> None:
    """A stranger has a session as well, and a fault comes before anything is looked at."""
    browser = Browser(enforce_csrf_checks=True, raise_request_exception=False)
    sign_in(browser, alice)
    token = str(browser.get("/account/").context["csrf_token"])
    monkeypatch.setattr(reads, Mock(side_effect=OperationalError))
    answer = browser.post(reverse("add_client"), {"reason": TEXT, "csrfmiddlewaretoken": token})
    assert answer.status_code == 500
    assert TEXT not in shown(answer)
    assert "load this page again" in shown(answer)


@pytest.mark.parametrize("token", ["", "a" * 64, "a" * 63 + "é", "a" * 65])
def test_a_made_up_token_is_nobodys(as_alice: Browser, token: str) -> None:
    strict = Browser(enforce_csrf_checks=True)
    strict.cookies = as_alice.cookies
    answer = strict.post(reverse("add_client"), {"reason": TEXT, "csrfmiddlewaretoken": token})
    assert answer.status_code == 403
    assert TEXT not in shown(answer)


def test_a_form_that_is_sent_after_the_session_is_forgotten_is_given_back_to_its_writer(
    as_alice: Browser, alice: Membership
) -> None:
    """Once they are signed in, in another tab; until then anybody may sit there."""
    tab = Tab(as_alice)
    opened = tab.token()
    as_alice.session.delete()
    refused = tab.send(opened)
    assert refused.status_code == 403
    assert TEXT not in shown(refused)
    assert "sign in in another tab, and load this page again" in shown(refused)
    tab.cookies = signed_in(alice).cookies
    assert TEXT in shown(tab.send(opened))
