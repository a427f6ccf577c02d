"""What becomes of the text somebody was writing as their session ended, or before a proof of who
they are."""

from collections.abc import Callable
from datetime import timedelta

import pytest
import time_machine
from django.contrib.sessions.backends.db import SessionStore as DatabaseStore
from django.contrib.sessions.models import Session
from django.test import Client as Browser
from django.urls import reverse
from django.utils import timezone

from apps.accounts import services
from apps.accounts.drafts import LONGEST, MOST, kept_in
from apps.accounts.models import Membership, Role
from apps.accounts.sessions import SessionStore
from tests.accounts.conftest import TEXT, Tab, enrol, enter, is_in, kept_at, send_too_late, shown
from tests.factories import PASSWORD


def test_what_was_sent_too_late_is_given_back_after_signing_in(
    as_mona: Browser, mona: Membership
) -> None:
    path = reverse("invite_member")
    kept = send_too_late(as_mona, path)
    assert enter(as_mona, mona, next=kept)["Location"] == kept
    page = shown(as_mona.get(kept))
    assert TEXT in page
    assert f'action="{path}"' in page
    assert page.count('name="roles"') == 2
    assert 'value="supervisor"' in page
    assert TEXT in shown(as_mona.get(kept)), "looking changes nothing"


def test_a_session_that_is_not_sealed_is_nobodys(as_mona: Browser) -> None:
    row = Session.objects.get(session_key=as_mona.session.session_key)
    row.session_data = DatabaseStore().encode(as_mona.session._session)
    row.save()
    assert not is_in(as_mona)


def test_a_draft_lies_sealed_until_its_author_is_back(
    as_mona: Browser, mona: Membership, alice: Membership
) -> None:
    kept = send_too_late(as_mona, reverse("invite_member"))
    rows = Session.objects.values_list("session_data", flat=True)
    stored = " ".join(str(SessionStore().decode(row)) for row in rows)
    assert "draft" not in " ".join(rows)
    assert "draft" in stored
    assert "rushed" not in stored
    enter(as_mona, alice)
    assert TEXT not in shown(as_mona.get(kept, follow=True))
    as_mona.post("/sign-out/")
    enter(as_mona, mona)
    assert as_mona.get(kept).status_code == 302, "it was dropped when somebody else came"


def test_a_draft_goes_once_it_is_sent_or_thrown_away(as_mona: Browser, mona: Membership) -> None:
    path = reverse("invite_member")
    kept = send_too_late(as_mona, path)
    enter(as_mona, mona)
    assert TEXT in shown(as_mona.get(kept))
    as_mona.post(kept)
    assert as_mona.get(kept)["Location"] == "/"
    as_mona.post("/sign-in/again/", {"password": PASSWORD})
    kept = send_too_late(as_mona, path)
    enter(as_mona, mona)
    as_mona.post("/sign-in/again/", {"password": PASSWORD})
    id_ = kept.removeprefix("/kept/?draft=")
    assert f'name="draft" value="{id_}"' in shown(as_mona.get(kept))
    assert TEXT in shown(as_mona.post(path, {"name": TEXT, "draft": id_})), (
        "back on the form it came from"
    )
    assert as_mona.get(kept)["Location"] == "/"


def test_a_draft_runs_out(as_mona: Browser, mona: Membership) -> None:
    with time_machine.travel(timezone.now(), tick=False) as clock:
        kept = send_too_late(as_mona, reverse("invite_member"))
        clock.shift(timedelta(minutes=59))
        enter(as_mona, mona)
        assert as_mona.get(kept).status_code == 200
        clock.shift(timedelta(minutes=2))
        assert as_mona.get(kept)["Location"] == "/"


def test_a_text_survives_a_session_that_was_ended_from_outside(
    as_alice: Browser, alice: Membership, mona: Membership
) -> None:
    services.change_roles(member=alice, roles=[Role.THERAPIST], by=mona)
    response = as_alice.post(reverse("invite_member"), {"name": TEXT})
    enter(as_alice, alice)
    assert TEXT in shown(as_alice.get(kept_at(response)))


def test_passwords_and_codes_are_never_kept(as_alice: Browser, alice: Membership) -> None:
    with time_machine.travel(timezone.now() + timedelta(hours=1), tick=False):
        as_alice.post("/account/password/", {"oldpassword": PASSWORD, "password1": "x"})
    assert not kept_in(as_alice.session)


# ── Once more: who is it? ────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "name", ["invite_member", "add_supervision", "mfa_add_webauthn", "mfa_activate_totp"]
)
def test_roles_and_second_steps_ask_once_more_who_it_is(as_mona: Browser, name: str) -> None:
    path = reverse(name)
    assert as_mona.get(path)["Location"].startswith("/sign-in/again/?next=")
    as_mona.post("/sign-in/again/", {"password": PASSWORD})
    assert as_mona.get(path).status_code == 200


def test_the_proof_lasts_five_minutes(
    mona: Membership, proven: Callable[[Membership], Browser]
) -> None:
    with time_machine.travel(timezone.now(), tick=False) as clock:
        browser = proven(mona)
        clock.shift(timedelta(minutes=4, seconds=59))
        assert browser.get(reverse("invite_member")).status_code == 200
        clock.shift(timedelta(seconds=2))
        assert browser.get(reverse("invite_member")).status_code == 302


def test_somebody_with_a_second_step_proves_it_by_that(mona: Membership, as_mona: Browser) -> None:
    enrol(mona)
    response = as_mona.get(reverse("invite_member"))
    assert response["Location"].startswith("/sign-in/again/code/")
    as_mona.post("/sign-in/again/", {"password": PASSWORD})
    assert as_mona.get(reverse("invite_member")).status_code == 302


def test_what_was_sent_before_the_proof_is_given_back(mona: Membership, as_mona: Browser) -> None:
    response = as_mona.post(reverse("invite_member"), {"name": TEXT})
    assert response["Location"].startswith("/sign-in/again/?next=")
    kept = kept_at(response)
    response = as_mona.post("/sign-in/again/", {"password": PASSWORD, "next": kept})
    assert response["Location"] == kept
    assert TEXT in shown(as_mona.get(kept))


def test_a_proof_gives_back_what_its_own_window_sent_and_nothing_of_a_copy_of_the_session(
    mona: Membership, alice: Membership, as_mona: Browser
) -> None:
    copy = Browser()
    copy.cookies.load(as_mona.cookies.output(header="", sep=";"))
    close = reverse("deactivate_member", args=[alice.id])
    kept = kept_at(as_mona.post(close, {"action": "close_place"}))
    planted = kept_at(copy.post(reverse("invite_member"), {"name": TEXT, "roles": "manager"}))
    as_mona.post("/sign-in/again/", {"password": PASSWORD, "next": kept})
    page = shown(as_mona.get(kept))
    assert f"A form sent to {close} (close place)" in " ".join(page.split())
    for of_the_copy in (TEXT, planted, reverse("invite_member")):
        assert of_the_copy not in page
    assert as_mona.get("/kept/")["Location"] == "/", "none without its address"


def test_every_window_that_is_sent_after_a_session_has_ended_is_kept(
    as_mona: Browser, mona: Membership, alice: Membership
) -> None:
    kept = send_too_late(as_mona, reverse("practice"))
    sent = {"name": "What the second window said.", "action": "add"}
    second = kept_at(as_mona.post(reverse("invite_member"), sent))
    third = kept_at(as_mona.post(reverse("practice"), {"name": "The same page, once more."}))
    assert "/kept/" not in as_mona.get(reverse("people"))["Location"]
    enter(as_mona, mona)
    page = shown(as_mona.get(second))
    assert "What the second window said." in page
    assert TEXT not in page
    for other in (kept, third):
        assert f'href="{other}"' in page
    confirm = reverse("deactivate_member", args=[alice.id])
    for_a_proof = kept_at(as_mona.post(confirm, {}))
    assert kept not in shown(as_mona.get(for_a_proof)), "proven is this one alone"
    as_mona.post(reverse("practice"), {"name": "", "draft": third.removeprefix("/kept/?draft=")})
    assert TEXT in shown(as_mona.get(kept))
    assert as_mona.get(third)["Location"] == "/"


def test_a_second_window_is_kept_where_the_first_only_looked(
    as_alice: Browser, alice: Membership
) -> None:
    tab = Tab(as_alice)
    opened = tab.token()
    with time_machine.travel(timezone.now() + timedelta(hours=1), tick=False):
        assert tab.get("/caseload/").status_code == 302
        kept = kept_at(tab.send(opened))
        enter(as_alice, alice)
        assert TEXT in shown(as_alice.get(kept))


def test_who_shares_a_session_fills_it_with_no_more_than_a_few_forms(as_mona: Browser) -> None:
    for _ in range(MOST + 3):
        as_mona.post(reverse("invite_member"), {"name": TEXT})
    assert len(kept_in(as_mona.session)) == MOST
    third = f"{TEXT} " * (LONGEST // 3 // len(TEXT))
    addresses = [
        kept_at(as_mona.post(reverse("invite_member"), {"name": f"{third}{number}"}))
        for number in range(4)
    ]
    stored = Session.objects.get(session_key=as_mona.session.session_key).session_data
    assert len(stored) < 2 * LONGEST, "read, and written, at each click"
    as_mona.post("/sign-in/again/", {"password": PASSWORD, "next": addresses[-1]})
    shows = [as_mona.get(address).status_code == 200 for address in addresses]
    assert shows == [False, False, True, True], "the oldest made room"


@pytest.mark.parametrize("ended", [False, True])
def test_what_is_too_long_to_be_kept_is_given_back_to_its_writer_and_drives_nothing_out(
    as_mona: Browser, mona: Membership, ended: bool
) -> None:
    kept = kept_at(as_mona.post(reverse("invite_member"), {"name": TEXT}))
    if ended:
        kept = send_too_late(as_mona, reverse("practice"))
    before = kept_in(as_mona.session)
    long = f"{TEXT} " * (LONGEST // len(TEXT))
    answer = as_mona.post(reverse("invite_member"), {"name": long})
    assert answer.status_code == 409
    assert answer["Cache-Control"] == "no-store"
    page = shown(answer)
    assert (TEXT in page) is not ended, "somebody else may sit there by then"
    assert ("sign in in another tab, and load this page again" in page) is ended
    assert "too long to be kept" in page
    assert ('href="/sign-in/"' if ended else 'href="/sign-in/again/?next=%2F"') in page
    assert kept_in(as_mona.session) == before
    enter(as_mona, mona) if ended else None
    as_mona.post("/sign-in/again/", {"password": PASSWORD, "next": kept})
    assert TEXT in shown(as_mona.get(kept))


def test_what_is_too_old_to_be_given_back_goes_with_the_next_form(as_mona: Browser) -> None:
    for minutes, number in ((0, 1), (20, 2), (40, 3), (61, 3)):
        with time_machine.travel(timezone.now() + timedelta(minutes=minutes), tick=False):
            as_mona.post(reverse("invite_member"), {"name": TEXT})
            assert len(kept_in(as_mona.session)) == number


@pytest.mark.parametrize("ended_by", ["idle", "changed"])
def test_a_form_of_a_session_that_has_ended_is_kept_where_forms_are_checked(
    as_mona: Browser, mona: Membership, ended_by: str
) -> None:
    tab = Tab(as_mona)
    opened = tab.token()
    late = timedelta(hours=1) if ended_by == "idle" else timedelta()
    if ended_by == "changed":
        assert mona.user
        mona.user.set_password("another long enough passphrase")
        mona.user.save()
    with time_machine.travel(timezone.now() + late, tick=False):
        assert kept_at(tab.send(opened))
