"""The manager tends the people: the list, who may, and inviting."""

import re
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest
from django.test import Client as Browser
from django.urls import reverse

from apps.accounts import services
from apps.accounts.links import make_token
from apps.accounts.models import AccountLink, Membership, Practice, Role, Supervision
from tests.accounts.conftest import enrol, noted, sent, shown
from tests.factories import (
    PASSWORD,
    ClientFactory,
    MembershipFactory,
    SupervisionFactory,
    TreatmentFactory,
)

# ── The page ─────────────────────────────────────────────────────────────────────────────────


def test_the_page_lists_everybody_with_roles_second_factor_and_state(
    manager: Browser, mona: Membership, sam: Membership, alice: Membership, practice: Practice
) -> None:
    enrol(alice)
    services.deactivate_member(member=MembershipFactory(practice=practice, name="Left"), by=mona)
    manager.post(reverse("invite_member"), sent())
    page = shown(manager.get(reverse("people")))
    for word in ("Alice Moreau", "Sam Okafor", "Mona Haddad", "Practice manager", "App code"):
        assert word in page
    for state in ("Active", "Closed", "Invited ", "Not set up", "Current", "No end date"):
        assert state in page


def test_the_page_shows_nothing_of_clients(
    manager: Browser, alice: Membership, practice: Practice
) -> None:
    client = ClientFactory.create(practice=practice, initials="Q. Z.")
    TreatmentFactory.create(therapist=alice, client=client, falling=True)
    for name in ("people", "invite_member", "add_supervision"):
        page = shown(manager.get(reverse(name)))
        assert client.code not in page
        assert "Q. Z." not in page


def test_the_page_costs_the_same_however_many_work_here(
    manager: Browser,
    practice: Practice,
    alice: Membership,
    django_assert_max_num_queries: Any,
    django_assert_num_queries: Any,
) -> None:
    manager.get(reverse("people"))
    with django_assert_max_num_queries(20) as first:
        manager.get(reverse("people"))
    for _ in range(5):
        supervisor = MembershipFactory.create(practice=practice, roles=[Role.SUPERVISOR])
        SupervisionFactory.create(supervisor=supervisor, supervisee=alice)
        enrol(supervisor)
    with django_assert_num_queries(len(first)):
        manager.get(reverse("people"))


# ── Who may ──────────────────────────────────────────────────────────────────────────────────

PAGES = ["people", "invite_member", "add_supervision"]
OF_A_PERSON = ["member", "invite_again", "deactivate_member", "reactivate_member", "hand_over"]
POST_ONLY = ["invite_again", "deactivate_member", "reactivate_member"]


@pytest.mark.parametrize("name", [*PAGES, *OF_A_PERSON, "end_supervision"])
@pytest.mark.parametrize("who", ["alice", "sam"])
def test_only_managers_tend_people(
    name: str,
    who: str,
    alice: Membership,
    sam: Membership,
    sign_in: Callable[[Membership], Browser],
) -> None:
    browser = sign_in({"alice": alice, "sam": sam}[who])
    supervision = Supervision.objects.get()
    address = {
        **{page: reverse(page) for page in PAGES},
        **{page: reverse(page, args=[alice.id]) for page in OF_A_PERSON},
        "end_supervision": reverse("end_supervision", args=[supervision.id]),
    }[name]
    assert browser.get(address).status_code == 403
    assert browser.post(address, sent()).status_code == 403


def told(response: Any) -> str:
    """The page without what differs from one request to the next."""
    return re.sub(r'(?<=csrfmiddlewaretoken" value=")\w+', "", shown(response))


@pytest.mark.parametrize("name", OF_A_PERSON)
def test_people_of_other_practices_are_strangers(
    manager: Browser, dora: Membership, name: str
) -> None:
    missing = uuid4()
    there = manager.post(reverse(name, args=[dora.id]))
    nowhere = manager.post(reverse(name, args=[missing]))
    assert there.status_code == nowhere.status_code == 404
    assert told(there).replace(str(dora.id), "") == told(nowhere).replace(str(missing), "")


def test_links_of_other_practices_are_strangers(manager: Browser, dora: Membership) -> None:
    other = MembershipFactory.create(practice=dora.practice, roles=[Role.SUPERVISOR])
    link = SupervisionFactory.create(supervisor=other, supervisee=dora)
    assert manager.get(reverse("end_supervision", args=[link.id])).status_code == 404


@pytest.mark.parametrize("name", POST_ONLY)
def test_what_changes_something_is_never_done_by_looking(
    manager: Browser, alice: Membership, name: str
) -> None:
    assert manager.get(reverse(name, args=[alice.id])).status_code == 405


def test_the_list_is_only_looked_at(manager: Browser) -> None:
    assert manager.post(reverse("people")).status_code == 405
    assert manager.put(reverse("invite_member")).status_code == 405


# ── Inviting ─────────────────────────────────────────────────────────────────────────────────


def test_a_manager_invites_somebody(manager: Browser, mona: Membership) -> None:
    response = manager.post(reverse("invite_member"), sent(roles=["therapist", "supervisor"]))
    assert response["Location"] == reverse("people")
    nina = Membership.objects.get(name="Nina Berg")
    assert nina.roles == ["therapist", "supervisor"]
    assert not nina.is_active
    assert nina.links.get().purpose == AccountLink.Purpose.INVITATION
    assert [entry.object_id for entry in noted("invite member", mona)] == [nina.id]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"name": ""}, "Say who it is."),
        ({"email": "nina"}, "This is no email address"),
        ({"email": ""}, "give an address"),
        ({"email": "\u017fam@fernbank.example"}, "Before the @ only letters without accents"),
        ({"email": "nina@" + ".".join(["x" * 60] * 4) + ".example"}, "at most 254 characters"),
        ({"roles": []}, "Tick at least one role."),
        ({"roles": ["king"]}, "king is not one of the available choices"),
    ],
)
def test_an_invitation_that_cannot_be_sent_says_why_and_keeps_the_rest(
    manager: Browser, change: dict[str, Any], says: str
) -> None:
    page = manager.post(reverse("invite_member"), sent(**change))
    assert page.status_code == 200
    assert says in shown(page)
    assert not AccountLink.objects.exists()
    if "name" not in change:
        assert 'value="Nina Berg"' in shown(page)


def test_an_address_that_is_on_the_list_is_not_invited_again(
    manager: Browser, alice: Membership
) -> None:
    page = manager.post(reverse("invite_member"), sent(email=alice.user.email.upper()))  # type: ignore[union-attr]
    assert "on the list already" in shown(page)


def test_a_fresh_invitation_is_sent_only_to_those_who_have_not_joined(
    manager: Browser, mona: Membership, alice: Membership
) -> None:
    manager.post(reverse("invite_member"), sent())
    nina = Membership.objects.get(name="Nina Berg")
    manager.post(reverse("invite_again", args=[nina.id]), {"email": "nina@fernbank.example"})
    assert nina.links.count() == 2
    manager.post(reverse("invite_again", args=[alice.id]), {"email": "else@fernbank.example"})
    assert not alice.links.exists()
    assert alice.user == Membership.objects.get(id=alice.id).user


@pytest.fixture
def imported(practice: Practice) -> Membership:
    """A therapist whom an import made, with a client."""
    member = MembershipFactory.create(practice=practice, name="Nina Berg", user=None)
    TreatmentFactory.create(therapist=member)
    return member


def test_whom_an_import_made_is_invited_to_the_place_with_its_clients(
    manager: Browser, mona: Membership, imported: Membership, client: Browser
) -> None:
    assert "Came with an import" in shown(manager.get(reverse("member", args=[imported.id])))
    response = manager.post(
        reverse("invite_again", args=[imported.id]), {"email": "Nina@X.example"}
    )
    assert response["Location"] == reverse("people")
    assert [entry.object_id for entry in noted("invite member", mona)] == [imported.id]
    imported.refresh_from_db()
    assert not imported.is_active, "an address is believed once somebody answers from it"
    assert "Invited " in shown(manager.get(reverse("people")))
    address = reverse("account_link", args=[make_token(imported.links.get())])
    client.post(address, {"password": PASSWORD, "again": PASSWORD})
    imported.refresh_from_db()
    assert imported.is_active
    assert imported.user
    assert imported.user.email == "nina@x.example"
    code = imported.treatments.get().client.code
    assert code in shown(client.get("/caseload/"))


def test_a_wrong_address_is_put_right_with_the_next_invitation(
    manager: Browser, imported: Membership
) -> None:
    address = reverse("invite_again", args=[imported.id])
    manager.post(address, {"email": "wrong@x.example"})
    before = imported.links.get()
    manager.post(reverse("deactivate_member", args=[imported.id]))
    assert 'value="wrong@x.example"' in shown(manager.get(reverse("member", args=[imported.id])))
    manager.post(address, {"email": "nina@x.example"})
    imported.refresh_from_db()
    before.refresh_from_db()
    assert imported.user
    assert imported.user.email == "nina@x.example"
    assert before.used_at, "the link to the wrong address is void"


@pytest.mark.parametrize(
    ("email", "says"),
    [("", "give an address"), ("nina", "no email address"), ("taken", "on the list already")],
)
def test_an_imported_place_that_cannot_be_offered_stays_as_it_is(
    manager: Browser, imported: Membership, alice: Membership, email: str, says: str
) -> None:
    taken = alice.user.email.upper()  # type: ignore[union-attr]
    page = manager.post(
        reverse("invite_again", args=[imported.id]), {"email": taken if email == "taken" else email}
    )
    assert page.status_code == 200
    assert says in shown(page)
    imported.refresh_from_db()
    assert (imported.user, imported.is_active) == (None, True)
    assert not AccountLink.objects.exists()
