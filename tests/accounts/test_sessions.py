"""How sessions end."""

from collections.abc import Callable
from datetime import timedelta

import time_machine
from django.test import Client as Browser
from django.utils import timezone

from apps.accounts import services, sign_in_services
from apps.accounts.models import Membership, Role
from tests.accounts.conftest import enrol, goes_on, is_in, shown
from tests.factories import PASSWORD

ROLES = {"roles": [Role.THERAPIST]}


def test_a_session_ends_after_half_an_hour_without_a_click(as_alice: Browser) -> None:
    with time_machine.travel(timezone.now(), tick=False) as clock:
        assert goes_on(as_alice)
        clock.shift(timedelta(minutes=29))
        assert goes_on(as_alice)
        clock.shift(timedelta(minutes=29))
        assert goes_on(as_alice), "a click starts the half hour anew"
        clock.shift(timedelta(minutes=31))
        response = as_alice.get("/account/")
    assert response["Location"] == "/sign-in/?next=/account/"
    assert "You were signed out after 30 minutes" in shown(as_alice.get("/sign-in/"))
    assert not is_in(as_alice)


def test_a_session_ends_after_twelve_hours_however_busy(as_alice: Browser) -> None:
    with time_machine.travel(timezone.now(), tick=False) as clock:
        for _ in range(24):
            clock.shift(timedelta(minutes=29, seconds=59))
            assert goes_on(as_alice)
        clock.shift(timedelta(minutes=2))
        assert not goes_on(as_alice)
    assert "You were signed out after 12 hours" in shown(as_alice.get("/sign-in/"))


def test_a_new_password_ends_the_other_sessions(
    alice: Membership, sign_in: Callable[[Membership], Browser]
) -> None:
    here, there = sign_in(alice), sign_in(alice)
    new = "another long enough passphrase"
    sent = {"oldpassword": PASSWORD, "password1": new, "password2": new}
    assert here.post("/account/password/", sent).status_code == 302
    assert goes_on(here)
    assert not goes_on(there)


def test_a_change_of_the_second_step_ends_the_other_sessions(
    alice: Membership,
    sign_in: Callable[[Membership], Browser],
    proven: Callable[[Membership], Browser],
) -> None:
    here, there = proven(alice), sign_in(alice)
    enrol(alice)
    assert here.post("/account/codes/new/").status_code == 302
    assert goes_on(here)
    assert not goes_on(there)
    there = sign_in(alice)
    assert here.post("/account/app/remove/").status_code == 302
    assert goes_on(here)
    assert not goes_on(there)


def test_a_change_of_roles_ends_every_session(
    alice: Membership, mona: Membership, as_alice: Browser
) -> None:
    assert goes_on(as_alice)
    services.change_roles(member=alice, roles=[Role.SUPERVISOR], by=mona)
    response = as_alice.get("/account/")
    assert response["Location"].startswith("/sign-in/")
    assert "your roles have changed" in shown(as_alice.get("/sign-in/"))


def test_a_closed_place_ends_every_session_and_opening_it_revives_none(
    alice: Membership, mona: Membership, as_alice: Browser
) -> None:
    services.deactivate_member(member=alice, by=mona)
    assert not goes_on(as_alice)
    services.reactivate_member(member=alice, by=mona)
    assert not goes_on(as_alice)


def test_a_reset_password_ends_every_session(alice: Membership, as_alice: Browser) -> None:
    assert alice.user_id
    sign_in_services.mail_password_reset(user_id=alice.user_id)
    link = alice.links.get()
    sign_in_services.reset_password(link_id=link.id, password="another long enough passphrase")
    assert not goes_on(as_alice)


def test_signing_out_needs_a_press_of_a_button(as_alice: Browser) -> None:
    assert "Sign out?" in shown(as_alice.get("/sign-out/"))
    assert is_in(as_alice)
    assert as_alice.post("/sign-out/")["Location"] == "/sign-in/"
    assert not is_in(as_alice)
