"""A change of how somebody signs in is noticed, whatever the page answers, and ends what was begun.

Half a sign-in, a proof, a mailed link for a new password; and a proof is that of one browser.
"""

import re
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from allauth.mfa.models import Authenticator
from allauth.mfa.totp.internal import auth as totp
from django.conf import settings
from django.core.exceptions import ValidationError
from django.test import Client as Browser
from django.urls import reverse

from apps.accounts import services, sign_in, sign_in_services
from apps.accounts.links import make_token
from apps.accounts.models import Membership, Practice, Role
from tests.accounts.conftest import address_of, code_of, enrol, enter, goes_on, is_in, noted
from tests.architecture.matrix.building import taken_back
from tests.architecture.matrix.routes import ROUTES, urls
from tests.at_once import at_once
from tests.conftest import signed_in
from tests.factories import PASSWORD

NEW = "another long enough passphrase"
BY_SCRIPT: dict[str, Any] = {
    "HTTP_X_REQUESTED_WITH": "XMLHttpRequest",
    "HTTP_ACCEPT": "application/json",
}
HEADERS: tuple[dict[str, Any], ...] = ({}, BY_SCRIPT, {"CONTENT_TYPE": "application/json"})


# ── However it is asked for ──────────────────────────────────────────────────────────────────


def ask(key: str, method: str, address: str, headers: dict[str, Any]) -> tuple[Any, ...]:
    """How a page answers, in a browser with this session; what it changed is taken back."""
    browser = Browser()
    browser.cookies[settings.SESSION_COOKIE_NAME] = key
    with taken_back():
        answer = browser.generic(method, address, **headers)
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


def add_key(member: Membership) -> Authenticator:
    return Authenticator.objects.create(user=member.user, type="webauthn", data={"name": "Key"})


def ways_to_remove(browser: Browser) -> list[str]:
    return re.findall(r"/account/keys/[^/]+/remove/", browser.get("/account/").text)


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
    add_key(member)
    return ways_to_remove(browser)[0], {}


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
    here.post(address, sent, **BY_SCRIPT)
    assert len(noted("change own sign-in", alice)) == 1
    assert goes_on(here)
    assert not goes_on(there)


def test_the_address_of_a_key_counts_no_second_steps_and_is_of_its_owner_alone(
    alice: Membership, dora: Membership, proven: Callable[[Membership], Browser]
) -> None:
    """Their numbers are those of all practices."""
    browser, keys = proven(alice), [add_key(alice), add_key(alice)]
    first, second = ways_to_remove(browser)
    assert not any(re.search(rf"/{key.pk}/", first + second) for key in keys)
    add_key(dora)
    [foreign] = ways_to_remove(proven(dora))
    for address in (foreign, *(f"/account/keys/{each}/remove/" for each in (keys[0].pk, 0, "x"))):
        assert browser.get(address).status_code == browser.post(address).status_code == 404
    for _ in range(2):
        browser.post(first)
    assert ways_to_remove(browser) == [second], "sent twice, it removes no other"


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("change", [a_password, a_first_app])
def test_of_two_windows_that_change_it_at_once_one_does_and_the_other_has_ended(
    alice: Membership,
    proven: Callable[[Membership], Browser],
    change: Callable[[Browser, Membership], tuple[str, dict[str, str]]],
) -> None:
    windows = [proven(alice), proven(alice)]
    forms = [change(each, alice) for each in windows]
    ways = [partial(browser.post, *form) for browser, form in zip(windows, forms, strict=True)]
    assert [each.status_code for each in at_once(*ways)] == [302, 302]
    assert sorted(goes_on(each) for each in windows) == [False, True]
    assert len(noted("change own sign-in", alice)) == 1


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


# ── What began before ────────────────────────────────────────────────────────────────────────

SECOND_STEP = "/sign-in/second-step/"
Change = Callable[[Membership, Membership, str], None]


def new_password_here(alice: Membership, mona: Membership, code: str) -> None:
    browser = signed_in(alice)
    assert browser.post(*a_password(browser, alice)).status_code == 302


def new_password_by_mail(alice: Membership, mona: Membership, code: str) -> None:
    assert alice.user
    sign_in_services.mail_password_reset(user_id=alice.user.id)
    sign_in_services.reset_password(link_id=alice.links.latest("created_at").id, password=NEW)


def other_codes(alice: Membership, mona: Membership, code: str) -> None:
    browser = signed_in(alice)
    browser.post("/sign-in/again/code/", {"code": code})
    assert browser.post("/account/codes/new/").status_code == 302


def second_step_taken_away(alice: Membership, mona: Membership, code: str) -> None:
    sign_in_services.reset_second_step(member=alice, by=mona)


def other_roles(alice: Membership, mona: Membership, code: str) -> None:
    services.change_roles(member=alice, roles=[Role.SUPERVISOR], by=mona)


def place_closed(alice: Membership, mona: Membership, code: str) -> None:
    services.deactivate_member(member=alice, by=mona)


CHANGES: list[Change] = [
    new_password_here,
    new_password_by_mail,
    other_codes,
    second_step_taken_away,
    other_roles,
    place_closed,
]


@pytest.mark.parametrize("change", CHANGES)
def test_what_is_half_done_ends_when_what_it_began_with_changes(
    alice: Membership, mona: Membership, change: Change
) -> None:
    """A second step that is asked for, by code or key; a proof; a mailed link."""
    first, second, third, *_ = enrol(alice)
    by_app, by_code, by_key, proven = Browser(), Browser(), Browser(), signed_in(alice)
    for browser in (by_app, by_code, by_key):
        assert enter(browser, alice)["Location"] == SECOND_STEP
    assert "mfa.webauthn.state" in by_key.get(SECOND_STEP).wsgi_request.session
    proven.post("/sign-in/again/code/", {"code": first})
    assert proven.get("/account/codes/new/").status_code == 200
    assert alice.user
    sign_in_services.mail_password_reset(user_id=alice.user.id)
    link = reverse("account_link", args=[make_token(alice.links.get())])
    assert Browser().get(link).status_code == 200

    kept = totp.decrypt(Authenticator.objects.get(type="totp").data["secret"])
    change(alice, mona, second)

    [counter, *_] = totp.yield_hotp_counters_from_time()
    code = totp.format_hotp_value(totp.hotp_value(kept, counter))
    for browser, sent in (
        (by_app, {"code": code}),
        (by_code, {"code": third}),
        (by_key, {"credential": "{}"}),
    ):
        assert browser.post(SECOND_STEP, sent)["Location"] == "/sign-in/"
        assert browser.get("/sign-in/").status_code == 200, "and from there it begins anew"
        assert not is_in(browser)
    assert not goes_on(proven)
    assert Browser().get(link).status_code == 410
    assert Browser().post(link, {"password": NEW * 2, "again": NEW * 2}).status_code == 410


def test_a_sign_in_that_ends_as_the_password_changes_goes_no_further(
    client: Browser, alice: Membership, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second step was looked at already when the first came to nothing."""
    enrol(alice)
    enter(client, alice)
    monkeypatch.setattr(sign_in, "forget_first_step", lambda request: None)
    assert alice.user
    sign_in_services.end_sessions(user=alice.user)
    client.post(SECOND_STEP, {"code": code_of(alice)})
    assert not goes_on(client)


def test_an_invitation_stays_open_when_a_sign_in_elsewhere_changes(
    practice: Practice, mona: Membership, dora: Membership
) -> None:
    """It asks for a yes; who gives it still signs in with what holds by then."""
    assert dora.user
    place = services.invite_member(
        practice=practice, name="Dora", email=dora.user.email, roles=[Role.THERAPIST], by=mona
    )
    sign_in_services.end_sessions(user=dora.user)
    link, browser = reverse("account_link", args=[make_token(place.links.get())]), Browser()
    assert browser.post(link)["Location"] == "/sign-in/"
    assert not is_in(browser)


# ── Proving again who one is ─────────────────────────────────────────────────────────────────


def by_password(alice: Membership, monkeypatch: pytest.MonkeyPatch) -> tuple[str, str, str]:
    return "/sign-in/again/", "password", PASSWORD


def by_recovery_code(alice: Membership, monkeypatch: pytest.MonkeyPatch) -> tuple[str, str, str]:
    first, *_ = enrol(alice)
    return "/sign-in/again/code/", "code", first


def by_security_key(alice: Membership, monkeypatch: pytest.MonkeyPatch) -> tuple[str, str, str]:
    """Whose answer is right where it says so."""
    key = Authenticator.objects.create(user=alice.user, type="webauthn", data={"name": "Key"})

    def answered(user: object, said: dict[str, bool]) -> Authenticator:
        if not said.get("right"):
            raise ValidationError("wrong")
        return key

    monkeypatch.setattr("allauth.mfa.webauthn.internal.auth.complete_authentication", answered)
    monkeypatch.setattr(
        "allauth.mfa.webauthn.internal.auth.parse_authentication_response", lambda said: said
    )
    return "/sign-in/again/key/", "credential", '{"right": true}'


@pytest.mark.parametrize("way", [by_password, by_recovery_code, by_security_key])
def test_a_copy_of_a_session_gets_nothing_of_its_owners_proof(
    alice: Membership,
    monkeypatch: pytest.MonkeyPatch,
    way: Callable[[Membership, pytest.MonkeyPatch], tuple[str, str, str]],
) -> None:
    address, field, right = way(alice, monkeypatch)
    owner, thief = signed_in(alice), Browser()
    name = settings.SESSION_COOKIE_NAME
    thief.cookies[name] = owner.cookies[name].value
    owner.post(address, {field: "{}"})
    assert owner.cookies[name].value == thief.cookies[name].value, "nothing is proven"
    assert owner.post(address, {field: right}).status_code == 302
    assert owner.get("/account/codes/").status_code == 200, "only after a proof"
    assert not goes_on(thief)


@pytest.mark.parametrize("change", [no_app_any_more, new_codes])
def test_what_waits_for_a_proof_is_kept_nowhere_and_asked_again(
    alice: Membership, change: Callable[[Browser, Membership], tuple[str, dict[str, str]]]
) -> None:
    browser = signed_in(alice)
    address, sent = change(browser, alice)
    steps = set(Authenticator.objects.values_list("id", flat=True))
    way = browser.post(address, sent | {"typed": "words"})["Location"]
    assert "words" not in str(browser.session.items())
    recovery = Authenticator.objects.get(type="recovery_codes").wrap().get_unused_codes()[0]
    assert browser.post(way, {"code": recovery})["Location"] == address
    assert browser.get(address).status_code == 200
    assert set(Authenticator.objects.values_list("id", flat=True)) == steps
