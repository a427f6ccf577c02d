"""Roles and places: when a change holds, and what is noted."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.test import Client as Browser
from django.urls import reverse
from django.utils import timezone

from apps.accounts.models import Membership, Practice, Role, Supervision
from apps.accounts.services import accept_invitation
from tests.accounts.conftest import enrol, noted, sent, shown
from tests.factories import MembershipFactory


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


def test_who_has_left_and_works_elsewhere_is_invited_back_and_signed_out_of_nothing(
    manager: Browser, mona: Membership, dora: Membership
) -> None:
    assert dora.user is not None
    enrol(dora)
    left = MembershipFactory.create(
        practice=mona.practice,
        user=dora.user,
        name="Dora Lind",
        is_active=False,
        last_sign_in_on=timezone.localdate() - timedelta(days=900),
    )
    page = shown(manager.post(reverse("reactivate_member", args=[left.id]), follow=True))
    assert "An invitation is on its way: Dora Lind decides." in page
    assert "App code" not in page
    left.refresh_from_db()
    dora.user.refresh_from_db()
    assert (left.is_active, dora.user.sessions_ended) == (False, 0)
    [link] = left.links.filter(used_at=None)
    accept_invitation(link_id=link.id, password="")
    left.refresh_from_db()
    assert left.is_active


def test_a_place_that_was_never_taken_is_not_opened_for_somebody(
    manager: Browser, mona: Membership
) -> None:
    manager.post(reverse("invite_member"), sent())
    nina = Membership.objects.get(name="Nina Berg")
    manager.post(reverse("reactivate_member", args=[nina.id]))
    nina.refresh_from_db()
    assert not nina.is_active


def test_changing_roles_and_opening_places_ask_who_it_is(
    as_mona: Browser, alice: Membership, sam: Membership
) -> None:
    of_alice = ("member", "invite_again", "deactivate_member", "reactivate_member", "hand_over")
    link = Supervision.objects.get()
    for address in (
        *(reverse(name, args=[alice.id]) for name in of_alice),
        reverse("end_supervision", args=[link.id]),
        reverse("decide_rule"),
    ):
        sent = {"roles": ["manager"], "ends_on": link.starts_on.isoformat()}
        assert as_mona.post(address, sent)["Location"].startswith("/sign-in/again/"), address
    alice.refresh_from_db()
    assert (alice.roles, alice.is_active) == ([Role.THERAPIST], True)
    assert Supervision.objects.get().ends_on is None


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
