"""Guessing grows slower, nobody is locked out, and without counters nobody signs in."""

from contextlib import AbstractContextManager, suppress
from datetime import timedelta
from functools import partial

import pytest
import time_machine
from django.conf import settings
from django.core.cache import cache, caches
from django.core.cache.backends.base import BaseCache
from django.core.exceptions import ValidationError
from django.http import HttpRequest
from django.test import Client as Browser
from django.utils import timezone
from pytest_django import Settings

from apps.accounts import sign_in, sign_in_services, throttle
from apps.accounts.models import Membership, User
from apps.core.cached import keyed
from tests.accounts.conftest import code_of, enrol, enter, is_in, shown, wrong_code_of
from tests.factories import PASSWORD

TOO_EARLY = "Too many attempts."
AT_THE_ADDRESS = "sign-ins failed at your internet address"
CHANGE = "/account/password/"
SECOND_STEP = "/sign-in/second-step/"


@pytest.fixture
def three_an_hour(settings: Settings) -> None:
    """An address has three failures, not a hundred."""
    few = {"password_failed": "3/h/ip"}  # pragma: allowlist secret
    settings.ACCOUNT_RATE_LIMITS = settings.ACCOUNT_RATE_LIMITS | few


def fail(account: str, times: int = 1, *, browser: str = "") -> None:
    for _ in range(times):
        with throttle.attempt(account, browser=browser):
            pass


def succeed(account: str, *, browser: str = "") -> None:
    with throttle.attempt(account, browser=browser) as attempt:
        attempt.succeeded = True


def test_ten_wrong_passwords_are_free_and_the_eleventh_has_to_wait(
    client: Browser, alice: Membership
) -> None:
    with time_machine.travel(timezone.now(), tick=False) as clock:
        for _ in range(10):
            assert TOO_EARLY not in shown(enter(client, alice, "wrong"))
        assert TOO_EARLY in shown(enter(client, alice, PASSWORD)), "the right one waits too"
        assert not is_in(client)
        clock.shift(timedelta(seconds=31))
        enter(client, alice, PASSWORD)
        assert is_in(client)


def test_the_pause_grows_and_never_becomes_a_lock() -> None:
    with time_machine.travel(timezone.now(), tick=False) as clock:
        fail("alice", 10)
        for pause in (30, 60, 120, 240, 300, 300):
            clock.shift(pause - 1)
            with pytest.raises(ValidationError):
                fail("alice")
            clock.shift(2)
            fail("alice")


def test_what_is_refused_does_not_count() -> None:
    with time_machine.travel(timezone.now(), tick=False) as clock:
        fail("alice", 10)
        for _ in range(20):
            with pytest.raises(ValidationError):
                fail("alice")
        clock.shift(31)
        fail("alice")
        clock.shift(61)
        fail("alice")


def test_a_right_answer_and_a_quarter_of_an_hour_forget_the_wrong_ones() -> None:
    with time_machine.travel(timezone.now(), tick=False) as clock:
        fail("alice", 9, browser="hers")
        succeed("alice", browser="hers")
        fail("alice", 10, browser="hers")
        clock.shift(15 * 60 + 1)
        fail("alice", 10, browser="hers")
        with pytest.raises(ValidationError):
            fail("alice", browser="hers")


@pytest.mark.parametrize("earlier", [0, 8, 9, 10, 11])
@pytest.mark.parametrize(("before", "after"), [(0, 0), (6, 0), (6, 6), (14, 2)])
def test_a_right_answer_changes_nothing_for_who_guesses_in_browsers_that_are_not_known(
    earlier: int, before: int, after: int
) -> None:
    """Else they read that the owner has signed in, and that there is one. It comes so many minutes
    after the wrong ones, and before the next."""

    def guesses(account: str, *, owner: bool) -> list[bool]:
        """Which of those that follow have to wait."""
        refused = []
        with time_machine.travel(timezone.now(), tick=False) as clock:
            for failures in range(earlier):
                clock.shift(throttle.pause_after(failures) + 1)
                fail(account)
            clock.shift(timedelta(minutes=before))
            if owner:
                with suppress(ValidationError):
                    succeed(account)
            clock.shift(timedelta(minutes=after))
            for pause in [0] * 11 + [31, 0, 61, 0, 121, 0]:
                clock.shift(pause)
                try:
                    fail(account)
                except ValidationError:
                    refused.append(True)
                else:
                    refused.append(False)
        return refused

    assert guesses("alice", owner=True) == guesses("nobody", owner=False)


def test_nor_does_a_right_answer_while_others_have_to_wait_free_them() -> None:
    with time_machine.travel(timezone.now(), tick=False) as clock:
        fail("alice", 10)
        clock.shift(31)
        succeed("alice")
        succeed("alice")
        fail("alice")
        with pytest.raises(ValidationError):
            fail("alice")


@pytest.mark.parametrize(("counts", "earlier"), [("incr", 3), ("decr", 10)])
def test_a_right_answer_at_the_very_moment_of_another_attempt_is_no_server_error(
    monkeypatch: pytest.MonkeyPatch, counts: str, earlier: int
) -> None:
    """It takes the counters away while the other attempt is about to count."""
    fail("alice", earlier)
    backend = type(caches["default"])
    as_it_is = getattr(backend, counts)

    def forgotten_first(self: BaseCache, *args: object) -> int:
        monkeypatch.setattr(backend, counts, as_it_is)
        self.clear()
        counted: int = as_it_is(self, *args)
        return counted

    monkeypatch.setattr(backend, counts, forgotten_first)
    with suppress(ValidationError):
        fail("alice")
    fail("alice", 8)
    succeed("alice")


def test_one_account_does_not_slow_another(
    client: Browser, alice: Membership, sam: Membership
) -> None:
    for _ in range(11):
        enter(client, alice, "wrong")
    enter(client, sam)
    assert is_in(client)


def test_an_account_that_does_not_exist_slows_down_alike(client: Browser, db: None) -> None:
    for _ in range(10):
        client.post("/sign-in/", {"username": "nobody@x.example", "password": "x"})
    page = client.post("/sign-in/", {"username": "Nobody@X.example", "password": "x"})
    assert TOO_EARLY in shown(page)


def test_codes_are_guessed_as_slowly_as_passwords(client: Browser, alice: Membership) -> None:
    enrol(alice)
    with time_machine.travel(timezone.now(), tick=False) as clock:
        enter(client, alice)
        for _ in range(10):
            client.post(SECOND_STEP, {"code": wrong_code_of(alice)})
        page = client.post(SECOND_STEP, {"code": code_of(alice)})
        assert TOO_EARLY in shown(page)
        assert not is_in(client)
        clock.shift(31)
        client.post(SECOND_STEP, {"code": code_of(alice)})
        assert is_in(client)


def guess(member: Membership, times: int) -> None:
    """Wrong passwords, from browsers that nobody knows."""
    for _ in range(times):
        enter(Browser(), member, "wrong")


def test_strangers_who_guess_do_not_keep_the_owner_waiting(
    client: Browser, alice: Membership
) -> None:
    enter(client, alice)
    client.post("/sign-out/")
    guess(alice, 11)
    assert TOO_EARLY in shown(enter(Browser(), alice))
    enter(client, alice)
    assert is_in(client)
    assert TOO_EARLY in shown(enter(Browser(), alice)), "the owner's success frees no stranger"


def test_nor_do_strangers_who_have_the_password_at_the_second_step(alice: Membership) -> None:
    enrol(alice)
    known, stranger = Browser(), Browser()
    with time_machine.travel(timezone.now(), tick=False) as clock:
        enter(known, alice)
        known.post(SECOND_STEP, {"code": code_of(alice)})
        known.post("/sign-out/")
        clock.shift(31)  # a code works once
        enter(stranger, alice)
        for _ in range(10):
            stranger.post(SECOND_STEP, {"code": wrong_code_of(alice)})
        page = stranger.post(SECOND_STEP, {"code": code_of(alice)})
        assert TOO_EARLY in shown(page)
        enter(known, alice)
        known.post(SECOND_STEP, {"code": code_of(alice)})
        assert is_in(known)


@pytest.mark.parametrize("signs_in", [True, False])
def test_who_guesses_does_not_read_that_the_owner_signed_in_in_a_new_browser(
    alice: Membership, signs_in: bool
) -> None:
    guess(alice, 9)
    if signs_in:
        enter(Browser(), alice)
    pages = [shown(enter(Browser(), alice, "wrong")) for _ in range(3)]
    assert [TOO_EARLY in page for page in pages] == [False, True, True]


@pytest.mark.parametrize("signs_in", [True, False])
def test_nor_does_who_has_the_password_read_it_at_the_second_step(
    alice: Membership, signs_in: bool
) -> None:
    enrol(alice)
    stranger, owner = Browser(), Browser()
    with time_machine.travel(timezone.now(), tick=False):
        enter(stranger, alice)
        for _ in range(9):
            stranger.post(SECOND_STEP, {"code": wrong_code_of(alice)})
        if signs_in:
            enter(owner, alice)
            owner.post(SECOND_STEP, {"code": code_of(alice)})
            assert is_in(owner)
        pages = [
            shown(stranger.post(SECOND_STEP, {"code": wrong_code_of(alice)})) for _ in range(3)
        ]
    assert [TOO_EARLY in page for page in pages] == [False, True, True]


def test_slips_in_a_new_browser_keep_nobody_from_the_next_step_or_the_next_sign_in_there(
    client: Browser, alice: Membership
) -> None:
    enrol(alice)
    with time_machine.travel(timezone.now(), tick=False) as clock:
        for _ in range(10):
            enter(client, alice, "wrong")
        clock.shift(31)
        for _ in range(3):  # begun again: right passwords count for nothing
            assert TOO_EARLY not in shown(enter(client, alice))
        for _ in range(9):
            client.post(SECOND_STEP, {"code": wrong_code_of(alice)})
        client.post(SECOND_STEP, {"code": code_of(alice)})
        assert is_in(client)
        client.post("/sign-out/")
        clock.shift(31)  # a code works once
        for _ in range(9):
            enter(client, alice, "wrong")
        enter(client, alice)
        for _ in range(9):
            client.post(SECOND_STEP, {"code": wrong_code_of(alice)})
        client.post(SECOND_STEP, {"code": code_of(alice)})
        assert is_in(client)


def test_a_known_browser_has_ten_free_attempts_and_pauses_too(
    client: Browser, alice: Membership
) -> None:
    enter(client, alice)
    client.post("/sign-out/")
    for _ in range(10):
        assert TOO_EARLY not in shown(enter(client, alice, "wrong"))
    assert TOO_EARLY in shown(enter(client, alice))


def test_a_browser_is_known_for_the_account_that_signed_in_and_for_no_other(
    client: Browser, alice: Membership, sam: Membership
) -> None:
    enter(client, sam)
    client.post("/sign-out/")
    guess(alice, 10)
    assert TOO_EARLY in shown(enter(client, alice)), "sam's cookie says nothing of alice"


def test_browsers_are_known_no_more_once_the_sessions_of_the_account_have_ended(
    alice: Membership,
) -> None:
    """Else each sign-in of before would be ten guesses at what holds now."""
    before = [Browser(), Browser()]
    for browser in before:
        enter(browser, alice)
    sign_in_services.end_sessions(user=alice.user)  # type: ignore[arg-type]
    guess(alice, 10)
    for browser in before:
        assert TOO_EARLY in shown(enter(browser, alice))


def test_a_browser_that_signs_in_as_the_sessions_end_is_known_no_more(
    client: Browser, alice: Membership, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin, user = sign_in.begin_session, User.objects.get(id=alice.user_id)

    def meanwhile(request: HttpRequest, signed_in: User) -> None:
        begin(request, signed_in)
        sign_in_services.end_sessions(user=user)

    monkeypatch.setattr(sign_in, "begin_session", meanwhile)
    enter(client, alice)
    guess(alice, 10)
    assert TOO_EARLY in shown(enter(client, alice))


def test_where_the_owner_changes_the_password_strangers_still_keep_nobody_waiting(
    client: Browser, alice: Membership
) -> None:
    enter(client, alice)
    new = "another quiet lantern"
    client.post(CHANGE, {"oldpassword": PASSWORD, "password1": new, "password2": new})
    client.post("/sign-out/")
    guess(alice, 11)
    enter(client, alice, new)
    assert is_in(client)


@pytest.mark.parametrize("made_up", ["", "x", "number:stamp:signature"])
def test_a_browser_does_not_make_itself_known(
    client: Browser, alice: Membership, made_up: str
) -> None:
    guess(alice, 10)
    client.cookies[settings.KNOWN_BROWSER_COOKIE_NAME] = made_up
    assert TOO_EARLY in shown(enter(client, alice))


def test_a_password_without_the_second_step_makes_no_browser_known(
    client: Browser, alice: Membership
) -> None:
    enrol(alice)
    enter(client, alice)
    assert settings.KNOWN_BROWSER_COOKIE_NAME not in client.cookies
    client.post(SECOND_STEP, {"code": code_of(alice)})
    cookie = client.cookies[settings.KNOWN_BROWSER_COOKIE_NAME]
    assert cookie["httponly"]
    assert alice.user
    assert alice.user.email not in cookie.value
    assert str(alice.user.pk) not in cookie.value


def test_a_password_shown_again_is_guessed_at_as_slowly(as_alice: Browser) -> None:
    for _ in range(10):
        as_alice.post("/sign-in/again/", {"password": "wrong"})  # pragma: allowlist secret
    assert TOO_EARLY in shown(as_alice.post("/sign-in/again/", {"password": PASSWORD}))


def test_the_present_password_is_guessed_at_as_slowly_where_it_is_changed(
    as_alice: Browser, alice: Membership
) -> None:
    new = dict.fromkeys(("password1", "password2"), "another quiet lantern")
    for _ in range(10):
        sent = new | {"oldpassword": "wrong"}  # pragma: allowlist secret
        assert TOO_EARLY not in shown(as_alice.post(CHANGE, sent))
    assert TOO_EARLY in shown(as_alice.post(CHANGE, new | {"oldpassword": PASSWORD}))
    with time_machine.travel(timezone.now() + timedelta(seconds=31), tick=False):
        as_alice.post(CHANGE, new | {"oldpassword": PASSWORD})
    assert alice.user is not None
    alice.user.refresh_from_db()
    assert alice.user.check_password("another quiet lantern")


def fail_with_many_accounts(browser: Browser, times: int = 3) -> None:
    for number in range(times):
        sent = {"username": f"nobody{number}@x.example", "password": "x"}
        assert AT_THE_ADDRESS not in shown(browser.post("/sign-in/", sent))


def test_an_address_has_a_hundred_failures_an_hour(client: Browser, alice: Membership) -> None:
    with time_machine.travel(timezone.now(), tick=False) as clock:
        fail_with_many_accounts(client, 100)
        page = shown(enter(client, alice))
        assert AT_THE_ADDRESS in page
        assert "Wait up to an hour" in page
        elsewhere = Browser(REMOTE_ADDR="192.0.2.7")
        enter(elsewhere, alice)
        assert is_in(elsewhere)
        clock.shift(timedelta(hours=1, seconds=1))
        enter(client, alice)
        assert is_in(client)


def test_what_is_refused_for_its_address_counts_for_no_account(
    client: Browser, alice: Membership, three_an_hour: None
) -> None:
    fail_with_many_accounts(client)
    for _ in range(20):
        assert AT_THE_ADDRESS in shown(enter(client, alice, "wrong"))
    elsewhere = Browser(REMOTE_ADDR="192.0.2.7")
    enter(elsewhere, alice)
    assert is_in(elsewhere)


def test_signing_in_uses_up_nothing_of_an_address_that_a_clinic_shares(
    alice: Membership, three_an_hour: None
) -> None:
    for _ in range(5):
        browser = Browser()
        enter(browser, alice)
        assert is_in(browser)
    guess(alice, 3)
    assert AT_THE_ADDRESS in shown(enter(Browser(), alice))


def test_many_guesses_at_once_from_one_address_gain_nothing(
    client: Browser, alice: Membership, three_an_hour: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those that are looked at meanwhile are counted already, and what is refused is not."""
    attempt, pages = throttle.attempt, list[str]()
    depth = iter(range(5))

    def guess_meanwhile(account: str, browser: str) -> AbstractContextManager[throttle.Attempt]:
        if next(depth, None) is not None:
            pages.append(shown(enter(Browser(), alice, "wrong")))
        return attempt(account, browser=browser)

    monkeypatch.setattr(throttle, "attempt", guess_meanwhile)
    enter(client, alice, "wrong")
    assert [AT_THE_ADDRESS in page for page in pages] == [True, False, False]
    monkeypatch.undo()
    assert AT_THE_ADDRESS in shown(enter(Browser(), alice))


def test_strangers_at_the_same_address_do_not_keep_the_owner_out_of_a_known_browser(
    client: Browser, alice: Membership, sam: Membership, three_an_hour: None
) -> None:
    enter(client, alice)
    client.post("/sign-out/")
    stranger = Browser()
    fail_with_many_accounts(stranger)
    assert AT_THE_ADDRESS in shown(enter(client, sam)), "known for alice alone"
    enter(client, alice)
    assert is_in(client)
    again = client.post("/sign-in/again/", {"password": PASSWORD, "next": "/"})
    assert again.status_code == 302
    client.post("/sign-out/")
    for _ in range(10):
        assert TOO_EARLY not in shown(enter(client, alice, "wrong"))
    assert TOO_EARLY in shown(enter(client, alice)), "its own ten, and pauses, hold"


def test_nor_out_of_their_second_step_or_of_a_proof(
    client: Browser, alice: Membership, three_an_hour: None
) -> None:
    with time_machine.travel(timezone.now(), tick=False) as clock:
        enrol(alice)
        enter(client, alice)
        client.post(SECOND_STEP, {"code": code_of(alice)})
        client.post("/sign-out/")
        fail_with_many_accounts(Browser())
        clock.shift(timedelta(minutes=1))
        enter(client, alice)
        client.post(SECOND_STEP, {"code": code_of(alice)})
        assert is_in(client)
        clock.shift(timedelta(minutes=1))
        proof = client.post("/sign-in/again/code/", {"code": code_of(alice), "next": "/"})
        assert proof.status_code == 302


def test_a_right_code_forgets_no_failures_of_its_address(
    client: Browser, alice: Membership, sam: Membership, three_an_hour: None
) -> None:
    with time_machine.travel(timezone.now(), tick=False) as clock:
        enrol(alice)
        enter(client, alice)
        client.post(SECOND_STEP, {"code": code_of(alice)})
        fail_with_many_accounts(Browser())
        clock.shift(timedelta(minutes=1))
        proof = client.post("/sign-in/again/code/", {"code": code_of(alice), "next": "/"})
        assert proof.status_code == 302
        assert AT_THE_ADDRESS in shown(enter(Browser(), sam))


def test_nor_do_they_keep_the_owner_from_choosing_a_new_password_there(
    client: Browser, alice: Membership
) -> None:
    ask = partial(client.post, "/sign-in/forgotten/")
    enter(client, alice)
    client.post("/sign-out/")
    stranger = Browser()
    for number in range(20):
        stranger.post("/sign-in/forgotten/", {"email": f"nobody{number}@x.example"})
    refused = stranger.post("/sign-in/forgotten/", {"email": "nobody@x.example"})
    assert refused.status_code == 429
    assert "Wait up to an hour" in shown(refused)
    assert alice.user
    sent = {"email": alice.user.email}
    assert ask(sent).status_code == 200
    assert ask({"email": "nobody@x.example"}).status_code == 429


def test_the_counters_work_in_the_real_cache(valkey: None) -> None:
    fail("alice", 10)
    with pytest.raises(ValidationError):
        fail("alice")
    for browser in ("", "his"):
        fail("sam", 9, browser=browser)
        succeed("sam", browser=browser)
        fail("sam", 10 if browser else 1, browser=browser)
        with pytest.raises(ValidationError):
            fail("sam", browser=browser)


def test_production_counts_in_the_cache_that_all_processes_share() -> None:
    from config import settings as written

    assert written.CACHES["default"]["BACKEND"].endswith("RedisCache")
    assert written.CACHES["default"]["LOCATION"] == written.REDIS_URL


def test_without_counters_nobody_signs_in(
    client: Browser, alice: Membership, settings: Settings
) -> None:
    settings.CACHES = {
        "default": {
            "BACKEND": "django.core.cache.backends.redis.RedisCache",
            "LOCATION": "unix:///nowhere/valkey.sock",
            "KEY_FUNCTION": "apps.core.cached.keyed",
        }
    }
    page = enter(client, alice)
    assert page.status_code == 503
    assert "Try again in a minute." in shown(page)
    assert not is_in(client)


def test_nothing_that_tells_a_person_is_in_the_cache(valkey: None) -> None:
    fail("alice@fernbank.example")
    keys = cache._cache.get_client().keys("*")  # type: ignore[attr-defined]
    assert keys
    assert not [key for key in keys if b"alice" in key]


def test_nobody_without_the_key_tries_which_name_it_is(settings: Settings) -> None:
    named = keyed("sign-in:failures:alice@fernbank.example", "rapport", 1)
    settings.SECRET_KEY += ", of another house"
    assert keyed("sign-in:failures:alice@fernbank.example", "rapport", 1) != named
