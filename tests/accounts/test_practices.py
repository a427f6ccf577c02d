"""Who works in several practices: what was typed, said or looked for in one stays there."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client as Browser
from django.urls import reverse
from django.utils import timezone

from apps.accounts.models import Membership, Role
from apps.accounts.sign_in import PRACTICE, SEARCHED, SEEN
from apps.core import tenancy
from tests.accounts.conftest import TEXT, Tab, enrol, enter, kept_at, send_too_late, shown
from tests.conftest import signed_in, work_in
from tests.factories import MembershipFactory, TherapySessionFactory, TreatmentFactory


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
