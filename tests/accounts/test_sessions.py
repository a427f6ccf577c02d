"""How sessions end, and what becomes of the text somebody was writing."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import time_machine
from django.contrib.sessions.backends.db import SessionStore as DatabaseStore
from django.contrib.sessions.models import Session
from django.test import Client as Browser
from django.urls import reverse
from django.utils import timezone

from apps.accounts import services, sign_in_services
from apps.accounts.drafts import LONGEST, MOST, kept_in
from apps.accounts.models import Membership, Role
from apps.accounts.sessions import SessionStore
from apps.accounts.sign_in import PRACTICE, SEARCHED, SEEN
from apps.core import tenancy
from tests.accounts.conftest import enrol, enter, goes_on, is_in, shown
from tests.conftest import signed_in, work_in
from tests.factories import PASSWORD, MembershipFactory, TherapySessionFactory, TreatmentFactory

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


TEXT = "She said the summary felt rushed. Ask about it first."


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


# ── Several tabs at a time ───────────────────────────────────────────────────────────────────


# ── Several practices ────────────────────────────────────────────────────────────────────────


@pytest.fixture
def elsewhere(alice: Membership, dora: Membership) -> Membership:
    """alice's place in dora's practice, which comes second by name."""
    with tenancy.practice(dora.practice_id):
        dora.practice.name = "Zephyr"
        dora.practice.save()
    place: Membership = MembershipFactory.create(
        practice=dora.practice, user=alice.user, name="Alice M.", roles=[Role.MANAGER]
    )
    return place


def switch(browser: Browser, to: Membership) -> int:
    return browser.post("/switch-practice/", {"practice": str(to.practice_id)}).status_code


def test_a_person_switches_between_their_practices(
    as_alice: Browser, alice: Membership, elsewhere: Membership
) -> None:
    page = shown(as_alice.get("/account/password/"))
    enrol(alice)
    page = shown(as_alice.get("/account/"))
    assert alice.practice.name in page
    assert "Switch to Zephyr" in page
    assert switch(as_alice, elsewhere) == 302
    page = shown(as_alice.get("/account/"))
    assert f"Switch to {alice.practice.name}" in page
    assert as_alice.get(reverse("people")).status_code == 200, "a manager there"
    assert switch(as_alice, alice) == 302
    assert as_alice.get(reverse("people")).status_code == 403, "a therapist here"


def by_the_switcher(browser: Browser, here: Membership, there: Membership) -> Callable[[], Any]:
    switch(browser, here)
    return lambda: browser.post("/switch-practice/", {"practice": there.practice_id}, follow=True)


def by_a_kept_form(browser: Browser, here: Membership, there: Membership) -> Callable[[], Any]:
    """It was kept for a proof in `there`."""
    switch(browser, there)
    kept = kept_at(browser.post(reverse("invite_member"), {"name": TEXT}))
    switch(browser, here)
    return lambda: browser.get(kept, follow=True)


@pytest.mark.parametrize("door", [by_the_switcher, by_a_kept_form])
def test_what_was_to_be_said_of_one_practice_is_said_in_no_other(
    as_alice: Browser, alice: Membership, elsewhere: Membership, door: Any
) -> None:
    session = TherapySessionFactory.create(
        treatment__therapist=alice, attendance="", treatment__client__code="FE-0412",
        starts_at=timezone.now() - timedelta(hours=2),
    )  # fmt: skip
    go = door(as_alice, alice, elsewhere)
    said = as_alice.post(f"/sessions/{session.id}/quick/", {"how": "no_show"})
    assert said.status_code == 302
    page = go()
    assert page.status_code == 200
    assert f"Switch to {alice.practice.name}" in shown(page)
    assert "FE-0412" not in shown(page)
    assert ("You work in Zephyr again" in shown(page)) is (door is by_a_kept_form)


@pytest.mark.parametrize("door", [by_the_switcher, by_a_kept_form])
def test_what_was_looked_for_in_one_practice_is_looked_for_in_no_other(
    as_alice: Browser, alice: Membership, elsewhere: Membership, door: Any
) -> None:
    with tenancy.practice(elsewhere.practice_id):
        Membership.objects.filter(id=elsewhere.id).update(roles=[Role.THERAPIST, Role.MANAGER])
        TreatmentFactory.create(therapist=elsewhere, client__code="ZE-0101")
    go = door(as_alice, alice, elsewhere)
    TreatmentFactory.create(therapist=alice, client__code="FE-0412")
    found = as_alice.post("/caseload/", {"q": "FE-0412"})["Location"]
    assert "FE-0412" in shown(as_alice.get(found))
    go()
    page = shown(as_alice.get(found))
    assert "ZE-0101" in page
    assert "FE-0412" not in page


def test_nobody_switches_to_a_practice_that_is_not_theirs(
    as_alice: Browser, dora: Membership
) -> None:
    assert switch(as_alice, dora) == 404
    assert as_alice.post("/switch-practice/", {"practice": "x"}).status_code == 404
    assert as_alice.get("/switch-practice/").status_code == 405


def test_a_planted_practice_in_the_session_opens_nothing(
    as_alice: Browser, alice: Membership, dora: Membership
) -> None:
    session = as_alice.session
    session["practice_id"] = str(dora.practice_id)
    session.save()
    assert alice.name in shown(as_alice.get("/caseload/"))


def test_a_place_that_is_closed_can_be_worked_in_no_more(
    as_alice: Browser, alice: Membership, elsewhere: Membership
) -> None:
    switch(as_alice, elsewhere)
    work_in(elsewhere.practice_id)
    elsewhere.is_active = False
    elsewhere.save()
    work_in(alice.practice_id)
    assert as_alice.get(reverse("people")).status_code == 403, "back in the first practice"
    assert switch(as_alice, elsewhere) == 404


def test_what_was_typed_for_one_practice_is_given_back_in_that_one(
    as_alice: Browser, alice: Membership, elsewhere: Membership
) -> None:
    switch(as_alice, elsewhere)
    kept = send_too_late(as_alice, reverse("practice"))
    assert enter(as_alice, alice, next=kept)["Location"] == kept
    page = shown(as_alice.get(kept, follow=True))
    assert TEXT in page
    assert "You work in Zephyr again" in page
    assert f"Switch to {alice.practice.name}" in page, "so does the form that sends it again"
    switch(as_alice, elsewhere)
    kept = send_too_late(as_alice, reverse("practice"))
    work_in(elsewhere.practice_id)
    Membership.objects.filter(id=elsewhere.id).update(is_active=False)
    work_in(alice.practice_id)
    enter(as_alice, alice)
    page = shown(as_alice.get(kept, follow=True))
    assert TEXT not in page, "no place of theirs by now"
    assert "you have no place in that practice any more" in page


def test_a_form_of_before_a_switch_is_refused_with_what_was_typed(
    alice: Membership, elsewhere: Membership
) -> None:
    """Two tabs: in the second they switch, the first is sent."""
    browser = Tab(signed_in(alice))
    first_tab = browser.token()
    sent = {"practice": str(elsewhere.practice_id), "csrfmiddlewaretoken": first_tab}
    assert browser.post("/switch-practice/", sent).status_code == 302
    path, fields = reverse("practice"), {"name": TEXT, "phone": "020 7946 0000"}
    refused = browser.post(path, fields | {"csrfmiddlewaretoken": first_tab})
    assert f"You work in {elsewhere.practice} now." in refused.content.decode()
    assert refused.status_code == 403
    assert TEXT in shown(refused)
    sent = fields | {"csrfmiddlewaretoken": browser.token()}
    assert browser.post(path, sent).status_code == 302


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


def test_a_page_of_before_a_switch_that_loads_slowly_lets_no_form_of_it_through(
    as_alice: Browser, elsewhere: Membership
) -> None:
    """Its answer comes after the switch, with the cookies of before."""
    tab = Tab(as_alice)
    opened = tab.token()
    before = as_alice.cookies.output(header="", sep=";")
    tab.switch(elsewhere)
    tab.cookies.load(before)
    refused = tab.send(opened, to="practice")
    assert refused.status_code == 403
    assert TEXT in shown(refused)


def test_a_request_of_before_a_switch_that_ends_after_it_lets_no_form_into_the_other_practice(
    as_alice: Browser, elsewhere: Membership
) -> None:
    """Nor does it take the switch back, or say there what it was to say."""
    tab = Tab(as_alice)
    before = tab.token()
    under_way = tab.session
    under_way[SEEN] -= 1
    under_way[SEARCHED] = "FE-0412"
    tab.switch(elsewhere)
    opened = tab.token()
    under_way.save()
    assert tab.session[PRACTICE] == str(elsewhere.practice_id)
    assert SEARCHED not in tab.session
    refused = tab.send(before, to="practice")
    assert refused.status_code == 403
    assert TEXT in shown(refused)
    assert tab.send(opened, to="practice").status_code == 302


def test_what_is_looked_for_while_one_switches_is_looked_for_in_no_other_practice(
    as_alice: Browser, elsewhere: Membership
) -> None:
    tab = Tab(as_alice)
    tab.token()
    switches = tab.session
    assert SEARCHED not in switches
    as_alice.post("/caseload/", {"q": "FE-0412"})
    assert as_alice.session[SEARCHED] == "FE-0412"
    switches[PRACTICE] = str(elsewhere.practice_id)
    switches.save()
    assert SEARCHED not in as_alice.session


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


def test_a_practice_that_is_joined_meanwhile_does_not_become_the_one_at_work(
    client: Browser, dora: Membership, alice: Membership
) -> None:
    enter(client, dora)
    home = client.session["practice_id"]
    assert home == str(dora.practice_id)
    MembershipFactory.create(practice=alice.practice, user=dora.user, roles=[Role.THERAPIST])
    assert f"Switch to {alice.practice.name}" in shown(client.get("/account/"))


def test_the_day_is_noted_where_one_works_and_nowhere_else(
    client: Browser, alice: Membership, elsewhere: Membership
) -> None:
    enter(client, alice)
    alice.refresh_from_db()
    assert alice.last_sign_in_on == timezone.localdate()
    work_in(elsewhere.practice_id)
    elsewhere.refresh_from_db()
    assert elsewhere.last_sign_in_on is None
