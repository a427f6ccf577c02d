"""What waits for its day and leads on: it is withdrawn, or goes on, with all that hangs on it."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import partial
from importlib import import_module
from typing import Any

import pytest
import time_machine
from django.apps import apps
from django.db import transaction
from django.utils import timezone
from django.utils.formats import date_format

from apps.accounts import notices
from apps.accounts.models import Membership, Practice
from apps.accounts.services import deactivate_member
from apps.clients.handing_over import hand_over_caseload
from apps.clients.models import Client, Treatment
from apps.endings.models import Move
from apps.endings.services import (
    CannotHandOver,
    arrange_move,
    call_off_move,
    close_treatment,
    hand_over,
)
from apps.therapy_sessions.models import TherapySession
from tests.at_once import elsewhere, wait_for
from tests.endings.test_at_once import agreed
from tests.factories import MembershipFactory, TherapySessionFactory, TreatmentFactory

pytestmark = pytest.mark.django_db
MIGRATION = import_module("apps.endings.migrations.0004_leads_to")


@pytest.fixture
def bob(alice: Membership) -> Membership:
    return MembershipFactory.create(practice=alice.practice, name="Bob Ito")


@pytest.fixture
def dan(alice: Membership) -> Membership:
    return MembershipFactory.create(practice=alice.practice, name="Dan Roe")


@pytest.fixture
def newt(alice: Membership, mona: Membership) -> Membership:
    """Joined today, where others have been for years: access begins in seven days."""
    Practice.objects.update(created_at=timezone.now() - timedelta(days=900))
    for member in (alice, mona):
        member.practice.refresh_from_db()
    return MembershipFactory.create(practice=mona.practice, name="Newt", joined_at=timezone.now())


def moved(giver: Membership, to: Membership, *, days: int, **about: Any) -> Move:
    """A treatment of the giver's, and the move of its client that is arranged."""
    move = agreed(giver, **about)
    day = timezone.localdate() + timedelta(days=days)
    arrange_move(move=move, to=to, moves_on=day, meeting_on=None, version=move.version, by=giver)
    return Move.objects.get(id=move.id)


def call_off(move: Move) -> None:
    move = Move.objects.get(id=move.id)
    by = move.treatment.therapist
    call_off_move(move=move, reason="Stays.", version=move.version, by=by)


def treats(client: Client, *days: int) -> list[list[str]]:
    """Who treats the client on each of the days to come."""
    today = timezone.localdate()
    on = [
        Treatment.objects.current(on=today + timedelta(days=each)).filter(client=client)
        for each in days
    ]
    return [sorted(each.therapist.name for each in current) for current in on]


@pytest.mark.parametrize("by_move", [True, False])
@pytest.mark.parametrize("besides", [True, False])
def test_what_a_client_would_have_come_to_by_and_by_goes_as_they_are_handed_over(
    alice: Membership, charlie: Membership, mona: Membership, dan: Membership, newt: Membership,
    by_move: bool, besides: bool,
) -> None:  # fmt: skip
    """Neither a move nor what waits behind it stops the manager."""
    if by_move:
        treatment = moved(alice, charlie, days=3).treatment
    else:
        treatment = TreatmentFactory.create(therapist=alice)
        day = timezone.localdate() + timedelta(days=3)
        hand_over_caseload(treatments=[treatment], to=charlie, on=day, by=mona)
    if besides:
        TreatmentFactory.create(therapist=dan, client=treatment.client)
    hand_over(list(charlie.treatments.all()), to=newt, by=mona)
    assert treats(treatment.client, 4, 8)[1].count("Newt") == 1
    treatment.refresh_from_db()
    hand_over([treatment], to=dan, by=mona)
    if by_move or besides:
        assert treats(treatment.client, 0, 4, 8) == [["Dan Roe"]] * 3
        assert not newt.treatments.exists()
    else:
        assert treats(treatment.client, 0, 4, 8) == [["Dan Roe"], ["Charlie Nowak"], ["Newt"]]
    assert not Move.objects.standing().exists()


def test_all_of_a_caseload_is_handed_over_also_who_comes_back_to_it(
    alice: Membership, charlie: Membership, mona: Membership, bob: Membership, dan: Membership
) -> None:
    first = moved(alice, bob, days=10)
    client = first.treatment.client
    moved(charlie, alice, days=12, client=client)
    hand_over(list(alice.treatments.order_by("-starts_on")), to=dan, by=mona)
    assert treats(client, 0, 11, 13) == [["Charlie Nowak", "Dan Roe"]] * 2 + [["Dan Roe"]]


def test_of_sessions_at_one_time_the_one_of_who_treats_the_client_stays(
    alice: Membership, mona: Membership, dan: Membership, newt: Membership
) -> None:
    treatment = TreatmentFactory.create(therapist=alice)
    besides = TreatmentFactory.create(therapist=dan, client=treatment.client)
    at = timezone.now() + timedelta(days=9)
    for each in (treatment, besides):
        TherapySessionFactory.create(treatment=each, attendance="", starts_at=at)
    hand_over([treatment], to=newt, by=mona)
    treatment.refresh_from_db()
    hand_over([treatment], to=dan, by=mona)
    [session] = TherapySession.objects.filter(treatment__client=treatment.client)
    assert session.treatment == besides


def test_sessions_that_had_gone_along_go_to_whom_the_client_is_given_now(
    alice: Membership, charlie: Membership, mona: Membership, dan: Membership, newt: Membership
) -> None:
    """Also where another's move still leads there, on a later day, or is called off."""
    treatment = TreatmentFactory.create(therapist=charlie)
    TreatmentFactory.create(therapist=dan, client=treatment.client)
    for days in (9, 25):
        at = timezone.now() + timedelta(days=days)
        TherapySessionFactory.create(treatment=treatment, attendance="", starts_at=at)
    hand_over([treatment], to=newt, by=mona)
    move = moved(alice, newt, days=20, client=treatment.client)
    treatment.refresh_from_db()
    hand_over([treatment], to=dan, by=mona)
    planned = TherapySession.objects.filter(treatment__client=treatment.client)
    assert [each.treatment.therapist for each in planned] == [dan, dan]
    assert newt.treatments.get().starts_on == move.moves_on
    call_off(move)
    assert [each.treatment.therapist for each in planned.all()] == [dan, dan]


@pytest.mark.parametrize("goes_on_to_newt", [True, False])
def test_who_moves_a_client_to_a_place_that_closes_keeps_them_whatever_was_to_follow(
    alice: Membership, charlie: Membership, mona: Membership, newt: Membership, bob: Membership,
    goes_on_to_newt: bool,
) -> None:  # fmt: skip
    if goes_on_to_newt:
        client = moved(alice, charlie, days=3).treatment.client
        hand_over(list(charlie.treatments.all()), to=newt, by=mona)
        deactivate_member(member=charlie, by=mona)
        assert treats(client, 0, 5, 8) == [["Alice Moreau"], ["Alice Moreau"], ["Newt"]]
    else:
        client = moved(bob, charlie, days=20).treatment.client
        moved(alice, bob, days=10, client=client)
        deactivate_member(member=bob, by=mona)
        assert [("Alice Moreau" in each) for each in treats(client, 0, 11, 30)] == [True] * 3
    assert any("was called off" in each.said.text for each in notices.unread(alice))


def test_a_move_to_who_moves_on_later_is_called_off_as_the_client_is_handed_over(
    alice: Membership, charlie: Membership, mona: Membership, bob: Membership, dan: Membership
) -> None:
    client = moved(bob, charlie, days=20).treatment.client
    move = moved(alice, bob, days=10, client=client)
    hand_over([move.treatment], to=dan, by=mona)
    assert ["Dan Roe" in each for each in treats(client, 0, 11, 30)] == [True] * 3


def test_who_calls_off_goes_on_until_the_day_that_the_manager_named_and_treats_nobody_twice(
    alice: Membership, charlie: Membership, mona: Membership, bob: Membership, newt: Membership
) -> None:
    move = moved(alice, bob, days=2)
    client = move.treatment.client
    moved(charlie, alice, days=3, client=client)
    hand_over(list(alice.treatments.filter(starts_on__gt=timezone.localdate())), to=newt, by=mona)
    call_off(move)
    alone = ["Alice Moreau"]
    assert treats(client, 0, 3, 5, 8) == [["Alice Moreau", "Charlie Nowak"], alone, alone, ["Newt"]]


def test_a_treatment_that_goes_on_can_be_closed_once_nobody_comes_to_it(
    alice: Membership, charlie: Membership, bob: Membership
) -> None:
    first = moved(alice, bob, days=10)
    second = moved(charlie, alice, days=12, client=first.treatment.client)
    for move in (first, second):
        call_off(move)
    assert close_treatment(treatment=first.treatment, how="agreed", review="", by=alice)


def test_the_migration_deletes_what_was_handed_back_and_lets_each_end_lead_on(
    alice: Membership, charlie: Membership, bob: Membership
) -> None:
    """As releases before left it; with a move that stood there, a session, and what followed."""
    today = timezone.localdate()
    day = today + timedelta(days=12)
    move = moved(alice, charlie, days=12)
    treatment, ghost = move.treatment, charlie.treatments.get()
    Treatment.objects.filter(id=ghost.id).update(ends_on=day)
    client = treatment.client
    after = TreatmentFactory.create(therapist=bob, client=client, starts_on=day, follows=ghost)
    at = timezone.now() + timedelta(days=13)
    TherapySessionFactory.create(treatment=ghost, attendance="", starts_at=at)
    Treatment.objects.update(leads_to=None)
    MIGRATION.delete_what_never_began(apps, None)
    MIGRATION.lead_to_the_treatment_after(apps, None)
    assert not charlie.treatments.exists()
    move.refresh_from_db()
    assert (move.new_treatment, move.called_off_to) == (None, charlie)
    treatment.refresh_from_db()
    after.refresh_from_db()
    assert (treatment.leads_to, after.follows) == (after, treatment)
    assert treats(client, 0, 13) == [["Alice Moreau"], ["Bob Ito"]]
    assert TherapySession.objects.get().treatment == treatment


def test_a_mover_reads_to_whom_the_client_goes_where_the_one_to_come_is_handed_on(
    alice: Membership, charlie: Membership, mona: Membership, dan: Membership
) -> None:
    move = moved(alice, charlie, days=10)
    hand_over(list(charlie.treatments.all()), to=dan, by=mona)
    assert treats(move.treatment.client, 0, 11) == [["Alice Moreau"], ["Dan Roe"]]
    day = date_format(move.moves_on, "j M")
    said = f"Clients of yours go to Dan Roe on {day}, as your practice decided."
    assert said in [each.said.text for each in notices.unread(alice)]


@pytest.mark.django_db(transaction=True)
def test_a_client_who_does_not_come_any_more_is_handed_to_nobody(
    alice: Membership, charlie: Membership, mona: Membership, dan: Membership
) -> None:
    """The form was open, or waited, as the move was called off."""
    move = moved(alice, charlie, days=10)
    ticked = list(charlie.treatments.all())
    hand_on = partial(hand_over, ticked, to=dan, by=mona)
    with ThreadPoolExecutor(1) as pool:
        with transaction.atomic():
            call_off(move)
            other = pool.submit(elsewhere, hand_on, practice_id=alice.practice_id)
            wait_for(other)
        with pytest.raises(CannotHandOver, match="does not come any more"):
            other.result(timeout=30)
    assert treats(move.treatment.client, 0, 11) == [["Alice Moreau"]] * 2


@pytest.mark.parametrize("by_move", [True, False])
def test_who_treats_the_client_until_a_move_of_theirs_gets_them_by_no_second_treatment(
    alice: Membership, charlie: Membership, mona: Membership, bob: Membership, dan: Membership,
    by_move: bool,
) -> None:  # fmt: skip
    """Nor where the client was to come to them anew afterwards."""
    client = moved(alice, bob, days=10).treatment.client
    his = moved(charlie, alice, days=12, client=client).treatment
    if by_move:
        moved(dan, alice, days=3, client=client)
    else:
        hand_over([his], to=alice, by=mona)
    for names in treats(client, 0, 5, 11, 13, 30):
        assert names
        assert len(set(names)) == len(names)
    assert treats(client, 11) == [["Bob Ito"]] if not by_move else [["Bob Ito", "Charlie Nowak"]]


def test_a_hand_over_takes_no_end_off_the_takers_own_move(
    alice: Membership, mona: Membership, bob: Membership, newt: Membership
) -> None:
    """The client comes back to them on the day on which a colleague's was to go where it came
    from."""
    his = TreatmentFactory.create(therapist=bob)
    client = his.client
    move = moved(alice, bob, days=5, client=client)
    besides = TreatmentFactory.create(therapist=newt, client=client)
    hand_over([his], to=newt, by=mona)
    hand_over([besides], to=alice, by=mona)
    move.treatment.refresh_from_db()
    assert move.treatment.ends_on == move.moves_on
    both, alone = ["Alice Moreau", "Bob Ito"], ["Alice Moreau"]
    assert treats(client, 0, 4, 6, 8, 30) == [both, both, ["Bob Ito"], alone, alone]


@pytest.mark.parametrize("sooner", [True, False])
def test_what_the_client_agreed_to_is_read_where_the_move_came_true_alone(
    alice: Membership, charlie: Membership, mona: Membership, sooner: bool
) -> None:
    """A hand-over to the same colleague before its day is not what was agreed to."""
    move = moved(alice, charlie, days=10)
    if sooner:
        hand_over([move.treatment], to=charlie, by=mona)
    with time_machine.travel(timezone.now() + timedelta(days=11)):
        assert Client.objects.visible_to(charlie).exists()
        assert Move.objects.passed_on_to(charlie).exists() is not sooner


def test_a_move_to_who_moves_on_later_is_called_off_and_passes_nothing_on(
    alice: Membership, charlie: Membership, bob: Membership
) -> None:
    client = moved(charlie, bob, days=20).treatment.client
    move = moved(alice, charlie, days=10, client=client)
    call_off(move)
    with time_machine.travel(timezone.now() + timedelta(days=11)):
        assert not Move.objects.passed_on_to(charlie).exists()
        assert Client.objects.visible_to(alice).exists()
