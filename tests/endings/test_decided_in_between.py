"""What a practice decides while a move is arranged: a hand-over, the closing of a place."""

from collections.abc import Callable
from datetime import timedelta

import pytest
import time_machine
from django.test import Client as Browser
from django.urls import reverse
from django.utils import timezone
from django.utils.formats import date_format

from apps.accounts import notices
from apps.accounts.models import Membership, Practice, Role
from apps.accounts.services import change_roles, deactivate_member, reactivate_member
from apps.clients.models import Client, Treatment
from apps.endings.models import Move
from apps.endings.services import ChangedMeanwhile, call_off_move, hand_over
from apps.ruptures.transitions import move_episodes_on
from tests.accounts.conftest import proven, shown
from tests.conftest import signed_in, work_in
from tests.endings.test_calling_off import WHY, call_off, called_off, move, treatment
from tests.endings.test_move import FITS, address, consent, handover, walk
from tests.factories import MembershipFactory, TreatmentFactory

__all__ = ["move", "proven", "treatment"]

pytestmark = pytest.mark.django_db


def test_what_who_loses_a_client_arranged_for_later_takes_nobody_from_the_colleague(
    move: Move,
    alice: Membership,
    charlie: Membership,
    mona: Membership,
    proven: Callable[[Membership], Browser],
) -> None:
    """The manager reads so before, and who would have taken the client on is told."""
    dana = MembershipFactory.create(practice=mona.practice, name="Dana Roe")
    manager, to_hand_over = proven(mona), reverse("hand_over", args=[alice.id])
    day = date_format(move.moves_on, "j M Y")
    assert f"FE-0007, moves to Charlie Nowak on {day}" in shown(manager.get(to_hand_over))
    sent = {"treatments": [move.treatment_id], "to": dana.id}
    assert manager.post(to_hand_over, sent).status_code == 302
    move.refresh_from_db()
    assert move.called_off_to == charlie
    [told] = [each.said.text for each in notices.unread(charlie)]
    assert told == "The move of a client from Alice Moreau " + called_off(move).format("you")
    assert not any("was called off" in each.said.text for each in notices.unread(alice))
    for days in (0, 7, 30):
        with time_machine.travel(timezone.now() + timedelta(days=days)):
            visible = [Client.objects.visible_to(each).count() for each in (alice, dana, charlie)]
            assert visible == [0, 1, 0]
            assert not Move.objects.passed_on_to(charlie).exists()


@pytest.mark.parametrize("way", ["place", "role"])
def test_a_client_stays_whose_move_leads_to_somebody_who_treats_nobody_by_then(
    move: Move, alice: Membership, charlie: Membership, mona: Membership, way: str
) -> None:
    """Else nobody would treat them from that day on, and nobody would be told."""
    if way == "place":
        deactivate_member(member=charlie, by=mona)
    else:
        change_roles(member=charlie, roles=[Role.SUPERVISOR], by=mona)
    [told] = [each.said.text for each in notices.unread(alice)]
    assert told == "The move of FE-0007 from you " + called_off(move).format("Charlie Nowak")
    move.refresh_from_db()
    assert move.called_off_reason == "Charlie Nowak treats nobody here any more."
    assert not Treatment.objects.filter(therapist=charlie).exists()
    with time_machine.travel(timezone.now() + timedelta(days=8)):
        assert move.treatment in Treatment.objects.conducted_by(alice)


@pytest.mark.parametrize("days", [0, 8])
def test_a_client_of_who_has_left_and_whose_move_led_to_a_place_that_closed_is_to_be_handed_over(
    move: Move,
    alice: Membership,
    charlie: Membership,
    mona: Membership,
    proven: Callable[[Membership], Browser],
    days: int,
) -> None:
    """Where the manager looks for them; who left and is back finds them as they were."""
    for member in (alice, charlie):
        deactivate_member(member=member, by=mona)
    with time_machine.travel(timezone.now() + timedelta(days=days)):
        page = shown(proven(mona).get(reverse("hand_over", args=[alice.id])))
        assert "FE-0007" in page
        reactivate_member(member=Membership.objects.get(id=alice.id), by=mona)
        assert Client.objects.visible_to(Membership.objects.get(id=alice.id)).exists()


@pytest.mark.parametrize("way", ["move", "hand over"])
def test_who_was_handed_back_before_their_day_comes_to_the_same_colleague_for_good(
    move: Move, alice: Membership, charlie: Membership, mona: Membership, way: str
) -> None:
    """What never began is no treatment: nothing of it ends the next one, nor tells anybody."""
    hand_over(list(charlie.treatments.all()), to=alice, by=mona)
    assert not charlie.treatments.exists()
    assert move.treatment in Treatment.objects.conducted_by(alice).filter(ends_on=None)
    if way == "move":
        walk(signed_in(alice), move.treatment, FITS, consent(), handover(charlie, days=3))
    else:
        hand_over([move.treatment], to=charlie, by=mona)
    for days in (4, 8, 20):
        with time_machine.travel(timezone.now() + timedelta(days=days)):
            visible = [Client.objects.visible_to(each).count() for each in (alice, charlie)]
            assert visible == [0, 1]


def test_a_move_whose_client_was_handed_on_stays_whoever_closes_the_place_it_led_to(
    move: Move, alice: Membership, charlie: Membership, mona: Membership
) -> None:
    dana = MembershipFactory.create(practice=mona.practice, name="Dana Roe")
    eve = MembershipFactory.create(practice=mona.practice, name="Eve Roe")
    hand_over(list(charlie.treatments.all()), to=dana, by=mona)
    deactivate_member(member=charlie, by=mona)
    hand_over([move.treatment], to=eve, by=mona)
    visible = Client.objects.visible_to
    assert [visible(each).count() for each in (alice, eve, dana)] == [0, 1, 0]
    with time_machine.travel(timezone.now() + timedelta(days=7)):
        assert [visible(each).count() for each in (alice, eve, dana)] == [0, 0, 1]


def test_a_client_to_come_is_handed_on_from_the_day_they_would_have_come(
    move: Move, alice: Membership, charlie: Membership, mona: Membership
) -> None:
    dana = MembershipFactory.create(practice=mona.practice, name="Dana Roe")
    hand_over(list(charlie.treatments.all()), to=dana, by=mona)
    visible = Client.objects.visible_to
    assert [visible(each).count() for each in (alice, charlie, dana)] == [1, 0, 0]
    with time_machine.travel(timezone.now() + timedelta(days=7)):
        assert [visible(each).count() for each in (alice, charlie, dana)] == [0, 0, 1]


@pytest.mark.parametrize("days", [3, 30])
def test_a_move_puts_no_hand_over_off(
    treatment: Treatment, alice: Membership, mona: Membership, as_alice: Browser, days: int
) -> None:
    Practice.objects.update(created_at=timezone.now() - timedelta(days=30))
    treatment.practice.refresh_from_db()
    dana = MembershipFactory.create(practice=treatment.practice, joined_at=timezone.now())
    mona.practice.refresh_from_db()
    hand_over([treatment], to=dana, by=mona)
    walk(as_alice, treatment, FITS, consent("needs"))
    version = Move.objects.get().version
    somebody = MembershipFactory.create(practice=treatment.practice)
    sent = handover(somebody, days=days) | {"version": version}
    assert "This client changes hands on" in shown(as_alice.post(address(treatment), sent))
    assert not somebody.treatments.exists()
    treatment.refresh_from_db()
    assert treatment.ends_on == dana.treatments.get().starts_on


def test_what_a_manager_decided_in_between_stands_against_calling_off(
    move: Move, alice: Membership, charlie: Membership, mona: Membership, as_alice: Browser
) -> None:
    treatment = move.treatment
    charlie.joined_at = timezone.now() - timedelta(days=4)
    charlie.save()
    Practice.objects.update(created_at=timezone.now() - timedelta(days=900))
    for member in (mona, charlie):
        member.practice.refresh_from_db()
    day = hand_over([treatment], to=charlie, by=mona)
    assert timezone.localdate() < day < timezone.localdate() + timedelta(days=7)
    refused = call_off(as_alice, move)
    assert (refused.status_code, WHY in shown(refused)) == (409, True)
    closing = {"how": "agreed", "review": "It ended well."}
    page = as_alice.post(reverse("close_treatment", args=[treatment.client_id]), closing)
    assert "This client changes hands on" in shown(page), "there is no move to call off first"
    visible = Client.objects.visible_to
    for days, who in ((0, alice), (4, charlie), (8, charlie)):
        with time_machine.travel(timezone.now() + timedelta(days=days)):
            assert [each for each in (alice, charlie) if visible(each).exists()] == [who]
    move.refresh_from_db()
    assert move.called_off_reason == "Handed over, as the practice decided."


def test_a_client_who_is_handed_back_before_the_day_moves_no_more(
    move: Move, alice: Membership, charlie: Membership, mona: Membership, as_alice: Browser
) -> None:
    """Or the move, whose day comes all the same, would undo what a manager decides later."""
    hand_over(list(charlie.treatments.all()), to=alice, by=mona)
    with pytest.raises(ChangedMeanwhile):
        call_off_move(move=move, reason=WHY, version=move.version, by=alice)
    for member, said in (
        (charlie, "The move of a client from Alice Moreau to you"),
        (alice, "The move of FE-0007 from you to Charlie"),
    ):
        texts = [each.said.text for each in notices.unread(member)]
        assert any(text.startswith(said) for text in texts)
    assert "Handed back, as the practice decided." in shown(as_alice.get(address(move.treatment)))
    with time_machine.travel(timezone.now() + timedelta(days=8)):
        visible = Client.objects.visible_to
        assert [visible(each).count() for each in (alice, charlie)] == [1, 0]


def test_who_is_relieved_before_the_day_of_their_own_move_is_told(
    move: Move, alice: Membership, charlie: Membership, mona: Membership
) -> None:
    hand_over([move.treatment], to=charlie, by=mona)
    today = date_format(timezone.localdate(), "j M")
    said = f"Clients of yours go to Charlie Nowak on {today}, as your practice decided."
    assert said in {each.said.text for each in notices.unread(alice)}


def test_a_flag_of_a_client_who_was_handed_over_is_not_said_to_have_moved_by_a_move_to_come(
    alice: Membership, charlie: Membership, mona: Membership
) -> None:
    bob = MembershipFactory.create(practice=alice.practice, name="Bob Ito")
    treatment = TreatmentFactory.create(therapist=charlie, falling=True)
    walk(signed_in(charlie), treatment, FITS, consent(), handover(bob, days=20))
    hand_over([treatment], to=alice, by=mona)
    treatment.refresh_from_db()
    assert treatment.followed_by_move() is None
    move_episodes_on()
    work_in(alice.practice_id)
    assert treatment.episodes.get().outcome == "ended_unrepaired"
