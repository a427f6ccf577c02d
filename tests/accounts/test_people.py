"""The manager tends the people: who may, what happens, what is noted, and when it holds."""

import re
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Any
from uuid import uuid4

import pytest
import time_machine
from django.test import Client as Browser
from django.urls import reverse
from django.utils import timezone

from apps.accounts import notices, services
from apps.accounts.links import make_token
from apps.accounts.models import AccountLink, Membership, Practice, Role, Supervision
from apps.accounts.oneself import NotOneself, gives_access_from, must_ask_another
from apps.clients.models import Client
from apps.core.models import AuditEntry
from apps.endings.services import hand_over as hand_over_to
from apps.ruptures.models import RuptureEpisode
from tests.accounts.conftest import enrol, shown
from tests.factories import (
    PASSWORD,
    ClientFactory,
    MembershipFactory,
    SupervisionFactory,
    TreatmentFactory,
)

TODAY = timezone.localdate


@pytest.fixture
def manager(mona: Membership, proven: Callable[[Membership], Browser]) -> Browser:
    """mona, who has just shown that it is her."""
    return proven(mona)


def sent(**changes: Any) -> dict[str, Any]:
    person = {"name": "Nina Berg", "email": "nina@fernbank.example", "roles": ["therapist"]}
    return person | changes


def noted(action: str, by: Membership) -> list[AuditEntry]:
    return list(AuditEntry.objects.filter(action=action, actor_id=by.id))


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


# ── Roles and places ─────────────────────────────────────────────────────────────────────────


def test_roles_hold_at_the_next_request(
    manager: Browser, mona: Membership, alice: Membership, sign_in: Callable[[Membership], Browser]
) -> None:
    browser = sign_in(alice)
    assert browser.get("/caseload/").status_code == 200
    response = manager.post(reverse("member", args=[alice.id]), {"roles": ["supervisor"]})
    assert response["Location"] == reverse("people")
    assert browser.get("/caseload/").status_code == 302, "the session is over"
    assert sign_in(Membership.objects.get(id=alice.id)).get("/caseload/").status_code == 403
    assert [entry.object_id for entry in noted("change roles", mona)] == [alice.id]


@pytest.mark.parametrize("roles", [[], ["king"]])
def test_roles_that_are_none_are_refused(
    manager: Browser, alice: Membership, roles: list[str]
) -> None:
    assert manager.post(reverse("member", args=[alice.id]), {"roles": roles}).status_code == 200
    alice.refresh_from_db()
    assert alice.roles == [Role.THERAPIST]


def test_the_last_manager_stays(manager: Browser, mona: Membership, practice: Practice) -> None:
    page = manager.post(reverse("member", args=[mona.id]), {"roles": ["therapist"]})
    assert "Nobody else manages this practice." in shown(page)
    manager.post(reverse("deactivate_member", args=[mona.id]))
    mona.refresh_from_db()
    assert mona.is_active
    MembershipFactory.create(practice=practice, roles=[Role.MANAGER])
    manager.post(reverse("deactivate_member", args=[mona.id]))
    mona.refresh_from_db()
    assert not mona.is_active


def test_another_manager_decides_what_concerns_a_manager(
    manager: Browser, mona: Membership, practice: Practice, alice: Membership
) -> None:
    mona.roles = [Role.MANAGER, Role.SUPERVISOR, Role.THERAPIST]
    mona.save()
    treatment = TreatmentFactory.create(therapist=alice)
    other = MembershipFactory.create(practice=practice, name="Olga", roles=[Role.MANAGER])
    address = reverse("member", args=[mona.id])
    assert "Save roles" not in shown(manager.get(address))
    answer = manager.post(address, {"roles": ["manager"]})
    assert "Nobody changes their own roles." in shown(answer)
    assert "Nobody names themselves" in shown(manager.get(reverse("add_supervision")))
    hand_over = reverse("hand_over", args=[alice.id])
    assert "Another manager hands clients over to you" in shown(manager.get(hand_over))
    for page, fields in (
        (reverse("add_supervision"), link(alice, mona)),
        (hand_over, {"treatments": [treatment.id], "to": mona.id}),
    ):
        assert "Select a valid choice" in shown(manager.post(page, fields))
    mona.refresh_from_db()
    assert mona.roles == [Role.MANAGER, Role.SUPERVISOR, Role.THERAPIST]
    for act in (
        partial(services.change_roles, member=mona, roles=[Role.MANAGER]),
        partial(services.start_supervision, supervisor=mona, supervisee=alice, starts_on=TODAY()),
        partial(hand_over_to, [treatment], to=mona),
    ):
        with pytest.raises(NotOneself):
            act(by=mona)
    services.change_roles(member=mona, roles=[Role.MANAGER], by=other)
    mona.refresh_from_db()
    assert mona.roles == [Role.MANAGER]


def test_the_only_manager_waits_seven_days_for_clients_and_those_concerned_are_told_at_once(
    proven: Callable[[Membership], Browser],
    mona: Membership,
    alice: Membership,
    charlie: Membership,
) -> None:
    proven(mona).post(reverse("member", args=[mona.id]), {"roles": list(Role.values)})
    mona.refresh_from_db()
    assert mona.user
    mona.user.refresh_from_db()
    assert len(mona.roles) == 3, "the roles alone open nothing"
    manager = proven(mona)
    treatment = TreatmentFactory.create(therapist=alice)
    day = TODAY() + timedelta(days=7)
    early = (day - timedelta(days=1)).isoformat()
    page = manager.post(reverse("add_supervision"), link(charlie, mona, starts_on=early))
    assert "you can supervise from" in shown(page)
    with pytest.raises(ValueError, match="too soon"):
        services.start_supervision(supervisor=mona, supervisee=alice, starts_on=TODAY(), by=mona)
    manager.post(reverse("add_supervision"), link(charlie, mona, starts_on=day.isoformat()))
    hand_over = reverse("hand_over", args=[alice.id])
    manager.post(hand_over, {"treatments": [treatment.id], "to": mona.id})
    [to_charlie], [to_alice] = notices.unread(charlie), notices.unread(alice)
    assert to_charlie.said.text.startswith("Mona Haddad supervises you from")
    assert to_alice.said.text.startswith("Clients of yours go to Mona Haddad on")
    visible = Client.objects.visible_to
    assert visible(alice).exists()
    assert not visible(mona).exists()
    with time_machine.travel(timezone.now() + timedelta(days=7, minutes=1)):
        assert not visible(alice).exists()
        assert visible(mona).exists()
    hand_over_to(list(mona.treatments.all()), to=alice, by=mona)
    assert [each.ends_on for each in alice.treatments.all()] == [None], "given back in time"


def test_a_manager_of_less_than_seven_days_gives_access_from_the_day_they_are_over(
    practice: Practice,
    proven: Callable[[Membership], Browser],
    mona: Membership,
    alice: Membership,
    charlie: Membership,
) -> None:
    practice.created_at = timezone.now() - timedelta(days=30)
    practice.save()
    joined = timezone.now() - timedelta(days=6)
    olga = MembershipFactory.create(
        practice=practice, name="Olga Ruiz", roles=[Role.MANAGER], joined_at=joined
    )
    mona.roles = [Role.MANAGER, Role.SUPERVISOR, Role.THERAPIST]
    mona.save()
    as_olga = proven(olga)
    treatment = TreatmentFactory.create(therapist=alice)
    day = timezone.localdate(joined + timedelta(days=7))
    hand_over = reverse("hand_over", args=[alice.id])
    for page in (reverse("add_supervision"), hand_over):
        assert "access that you give begins on" in shown(as_olga.get(page))
    refused = as_olga.post(reverse("add_supervision"), link(alice, mona))
    assert "at the earliest" in shown(refused)
    with pytest.raises(ValueError, match="too soon"):
        services.start_supervision(supervisor=mona, supervisee=alice, starts_on=TODAY(), by=olga)
    as_olga.post(reverse("add_supervision"), link(charlie, mona, starts_on=day.isoformat()))
    assert Supervision.objects.get().starts_on == day
    as_olga.post(hand_over, {"treatments": [treatment.id], "to": mona.id})
    visible = Client.objects.visible_to
    assert visible(alice).exists()
    assert not visible(mona).exists()
    with time_machine.travel(joined + timedelta(days=7)):
        assert visible(mona).exists()
        assert gives_access_from(olga) == day
        assert must_ask_another(mona)
    assert not must_ask_another(mona), "whom she invited decides nothing about her yet"
    olga.practice.created_at = joined
    assert gives_access_from(olga) == TODAY(), "in a new practice everybody is new"


def test_the_only_manager_opens_no_supervision_of_before_by_becoming_a_supervisor_again(
    manager: Browser, mona: Membership, alice: Membership
) -> None:
    SupervisionFactory.create(supervisor=mona, supervisee=alice)
    address = reverse("member", args=[mona.id])
    page = manager.post(address, {"roles": ["manager", "supervisor"]})
    assert "Set the last day of those links first" in shown(page)
    assert not Supervision.objects.current(on=TODAY()).filter(supervisor=mona).exists()


def test_a_closed_place_holds_at_the_next_request_and_can_be_opened_again(
    manager: Browser, mona: Membership, alice: Membership, as_alice: Browser
) -> None:
    assert as_alice.get("/caseload/").status_code == 200
    manager.post(reverse("deactivate_member", args=[alice.id]))
    assert as_alice.get("/caseload/").status_code == 302
    manager.post(reverse("reactivate_member", args=[alice.id]))
    alice.refresh_from_db()
    assert alice.is_active
    assert len(noted("deactivate member", mona)) == len(noted("reactivate member", mona)) == 1


def test_a_place_that_was_never_taken_is_not_opened_for_somebody(
    manager: Browser, mona: Membership
) -> None:
    manager.post(reverse("invite_member"), sent())
    nina = Membership.objects.get(name="Nina Berg")
    manager.post(reverse("reactivate_member", args=[nina.id]))
    nina.refresh_from_db()
    assert not nina.is_active


def test_changing_roles_and_opening_places_ask_who_it_is(
    as_mona: Browser, alice: Membership
) -> None:
    for name in ("member", "invite_again", "reactivate_member", "hand_over"):
        response = as_mona.post(reverse(name, args=[alice.id]), {"roles": ["manager"]})
        assert response["Location"].startswith("/sign-in/again/"), name
    alice.refresh_from_db()
    assert alice.roles == [Role.THERAPIST]


# ── Supervision ──────────────────────────────────────────────────────────────────────────────


def link(supervisee: Membership, supervisor: Membership, **changes: Any) -> dict[str, Any]:
    fields = {
        "supervisee": supervisee.id,
        "supervisor": supervisor.id,
        "starts_on": TODAY().isoformat(),
        "ends_on": "",
    }
    return fields | changes


def test_a_manager_links_supervisor_and_supervisee(
    manager: Browser, mona: Membership, sam: Membership, charlie: Membership
) -> None:
    ends_on = TODAY() + timedelta(days=30)
    manager.post(reverse("add_supervision"), link(charlie, sam, ends_on=ends_on.isoformat()))
    made = Supervision.objects.get(supervisee=charlie)
    assert (made.supervisor, made.starts_on, made.ends_on) == (sam, TODAY(), ends_on)
    assert [entry.object_id for entry in noted("start supervision", mona)] == [made.id]


def test_a_link_that_makes_no_sense_is_refused_with_the_reason(
    manager: Browser, sam: Membership, alice: Membership, charlie: Membership, dora: Membership
) -> None:
    both = MembershipFactory.create(practice=sam.practice, roles=[Role.THERAPIST, Role.SUPERVISOR])
    yesterday = (TODAY() - timedelta(days=1)).isoformat()
    for fields, says in (
        (link(alice, sam), "an open link already"),
        (link(both, both), "Nobody supervises themselves"),
        (link(charlie, sam, ends_on=yesterday), "The last day comes before the first"),
        (link(charlie, alice), "Select a valid choice"),
        (link(dora, sam), "Select a valid choice"),
        (link(charlie, sam, starts_on="soon"), "This is no date"),
    ):
        page = manager.post(reverse("add_supervision"), fields)
        assert says in shown(page), says
    assert Supervision.objects.count() == 1


def test_a_link_that_ended_yesterday_opens_nothing_at_the_next_request(
    manager: Browser, mona: Membership, sam: Membership, alice: Membership
) -> None:
    TreatmentFactory.create(therapist=alice, falling=True)
    RuptureEpisode.objects.update(shared_at=timezone.now())
    assert RuptureEpisode.objects.for_supervisor(sam).exists()
    supervision = Supervision.objects.get()
    yesterday = TODAY() - timedelta(days=1)
    address = reverse("end_supervision", args=[supervision.id])
    assert "Sam Okafor supervises Alice Moreau" in shown(manager.get(address))
    manager.post(address, {"ends_on": yesterday.isoformat()})
    assert not RuptureEpisode.objects.for_supervisor(sam).exists()
    assert "Ended" in shown(manager.get(reverse("people")))
    assert [entry.object_id for entry in noted("end supervision", mona)] == [supervision.id]


def test_a_link_that_ended_is_not_opened_again_without_asking_who_it_is(
    manager: Browser, sam: Membership
) -> None:
    supervision = Supervision.objects.get()
    supervision.ends_on = TODAY() - timedelta(days=1)
    supervision.save()
    address = reverse("end_supervision", args=[supervision.id])
    later = (TODAY() + timedelta(days=900)).isoformat()
    assert "For a longer time, add a new link" in shown(manager.post(address, {"ends_on": later}))
    assert not Supervision.objects.current(on=TODAY()).exists()


def test_an_invited_person_loses_no_session_elsewhere_and_their_second_step_stays_theirs(
    manager: Browser, mona: Membership, dora: Membership
) -> None:
    assert dora.user is not None
    enrol(dora)
    manager.post(reverse("invite_member"), sent(email=dora.user.email))
    invited = Membership.objects.get(name="Nina Berg")
    assert invited.user == dora.user
    assert "App code" not in shown(manager.get(reverse("people")))
    manager.post(reverse("member", args=[invited.id]), {"roles": ["supervisor"]})
    manager.post(reverse("deactivate_member", args=[invited.id]))
    dora.user.refresh_from_db()
    assert dora.user.sessions_ended == 0


def test_a_link_ends_no_earlier_than_it_began(manager: Browser, sam: Membership) -> None:
    supervision = Supervision.objects.get()
    before = supervision.starts_on - timedelta(days=1)
    address = reverse("end_supervision", args=[supervision.id])
    for day, says in ((before.isoformat(), "The link began on"), ("", "required")):
        assert says in shown(manager.post(address, {"ends_on": day}))
    supervision.refresh_from_db()
    assert supervision.ends_on is None
