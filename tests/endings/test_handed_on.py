"""What waits for its day and leads on: it is withdrawn, or goes on, with all that hangs on it."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import partial
from importlib import import_module
from typing import Any

import pytest
import time_machine
from django.apps import apps
from django.db import IntegrityError, connection, transaction
from django.utils import timezone
from django.utils.formats import date_format

from apps.accounts import notices
from apps.accounts.models import Membership, Practice
from apps.accounts.services import deactivate_member
from apps.clients.handing_over import pass_on
from apps.clients.models import Client, Treatment
from apps.endings.models import Move
from apps.endings.services import (
    CannotHandOver,
    arrange_move,
    call_off_move,
    hand_over,
)
from apps.exchange.rights import erase_client
from apps.exchange.two_people import ask_to_erase
from apps.feedback.services import practice_questionnaire, request_feedback
from apps.therapy_sessions.models import TherapySession
from apps.therapy_sessions.services import save_process_note
from tests.at_once import elsewhere, wait_for
from tests.endings.test_at_once import agreed
from tests.factories import MembershipFactory, TherapySessionFactory, TreatmentFactory

pytestmark = pytest.mark.django_db
MIGRATION = import_module("apps.endings.migrations.0005_one_after_the_other")


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


def test_a_mover_reads_to_whom_the_client_goes_where_the_one_to_come_is_handed_on(
    alice: Membership, charlie: Membership, mona: Membership, dan: Membership
) -> None:
    move = moved(alice, charlie, days=10)
    hand_over(list(charlie.treatments.all()), to=dan, by=mona)
    assert treats(move.treatment.client, 0, 11) == [["Alice Moreau"], ["Dan Roe"]]
    day = date_format(move.moves_on, "j M")
    said = f"Clients of yours go to Dan Roe on {day}, as your practice decided."
    for told in (alice, charlie):
        assert said in [each.said.text for each in notices.unread(told)]


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


def test_what_a_manager_decided_about_who_is_to_come_holds_also_where_they_do_not_come(
    alice: Membership, charlie: Membership, mona: Membership, dan: Membership, newt: Membership
) -> None:
    """The move is called off as its client is handed over; until the day of the newcomer."""
    move = moved(alice, charlie, days=3)
    client = move.treatment.client
    hand_over([charlie.treatments.get()], to=newt, by=mona)
    assert treats(client, 0, 4, 8) == [["Alice Moreau"], ["Charlie Nowak"], ["Newt"]]
    hand_over([move.treatment], to=dan, by=mona)
    assert treats(client, 0, 4, 8) == [["Dan Roe"], ["Dan Roe"], ["Newt"]]
    assert not charlie.treatments.exists()
    assert not Move.objects.standing().exists()


def test_who_moves_a_client_to_a_place_that_closes_keeps_them_until_the_day_that_a_manager_named(
    alice: Membership, charlie: Membership, mona: Membership, newt: Membership
) -> None:
    client = moved(alice, charlie, days=3).treatment.client
    hand_over([charlie.treatments.get()], to=newt, by=mona)
    deactivate_member(member=charlie, by=mona)
    assert treats(client, 0, 5, 8) == [["Alice Moreau"], ["Alice Moreau"], ["Newt"]]
    assert any("was called off" in each.said.text for each in notices.unread(alice))


@pytest.mark.parametrize("taker", ["dan", "bob"])
def test_all_of_a_caseload_is_handed_over_also_who_comes_back_to_it(
    alice: Membership, mona: Membership, bob: Membership, dan: Membership, taker: str
) -> None:
    """Also to whoever has them in between, whose part takes up both."""
    first = TreatmentFactory.create(therapist=alice)
    today = timezone.localdate()
    between = pass_on(first, to=bob, on=today + timedelta(days=10), by=mona)
    pass_on(between, to=alice, on=today + timedelta(days=20), by=mona)
    to = {"dan": dan, "bob": bob}[taker]
    hand_over(list(alice.treatments.order_by("-starts_on")), to=to, by=mona)
    assert treats(first.client, 0, 11, 21) == [[to.name], ["Bob Ito"], [to.name]]
    assert to.treatments.count() == {"dan": 2, "bob": 1}[taker]


def test_sessions_that_went_along_come_back_and_of_two_at_one_time_the_one_that_stayed_is_left(
    alice: Membership, mona: Membership, newt: Membership
) -> None:
    treatment = TreatmentFactory.create(therapist=alice)
    plain, written = (
        TherapySessionFactory.create(
            treatment=treatment, attendance="", starts_at=timezone.now() + timedelta(days=days)
        )
        for days in (9, 10)
    )
    save_process_note(therapy_session=written, text="Ask about the exam", by=alice)
    hand_over([treatment], to=newt, by=mona)
    coming = newt.treatments.get()
    assert [each.starts_at for each in coming.therapy_sessions.order_by("starts_at")] == [
        plain.starts_at,
        written.starts_at,
    ]
    hand_over([coming], to=alice, by=mona)
    assert set(TherapySession.objects.all()) == set(treatment.therapy_sessions.all())
    assert set(treatment.therapy_sessions.all()) == {plain, written}


@pytest.mark.parametrize("way", ["called off", "handed back", "place"])
def test_a_form_gets_its_time_back_as_a_client_stays(
    alice: Membership, charlie: Membership, mona: Membership, way: str
) -> None:
    treatment = TreatmentFactory.create(therapist=alice)
    asked = request_feedback(
        therapy_session=TherapySessionFactory.create(treatment=treatment),
        questionnaire=practice_questionnaire(alice.practice),
        channel_kind="email",
        by=alice,
    )
    open_until = asked.expires_at
    move = moved(alice, charlie, days=2, treatment=treatment)
    asked.refresh_from_db()
    assert asked.expires_at < open_until
    if way == "called off":
        call_off(move)
    elif way == "handed back":
        hand_over([charlie.treatments.get()], to=alice, by=mona)
    else:
        deactivate_member(member=charlie, by=mona)
    asked.refresh_from_db()
    assert asked.expires_at == open_until


def test_a_wish_of_who_treats_the_client_stands_as_they_stay(
    alice: Membership, charlie: Membership
) -> None:
    """They come to treat nobody anew."""
    move = moved(alice, charlie, days=9)
    wish = ask_to_erase(client=move.treatment.client, by=alice)
    call_off(move)
    wish.refresh_from_db()
    assert wish.closed_at is None


def test_who_was_told_to_whom_a_client_goes_is_told_where_they_go_in_their_place(
    alice: Membership, charlie: Membership, mona: Membership, dan: Membership, newt: Membership
) -> None:
    treatment = TreatmentFactory.create(therapist=alice)
    on = hand_over([treatment], to=newt, by=mona)
    hand_over([newt.treatments.get()], to=dan, by=mona)
    day = date_format(on, "j M")
    texts = [each.said.text for each in notices.unread(alice)]
    for name in ("Newt", "Dan Roe"):
        assert f"Clients of yours go to {name} on {day}, as your practice decided." in texts
    hand_over([dan.treatments.get()], to=alice, by=mona)
    assert len(notices.unread(alice)) == len(texts), "they stay: nobody goes to oneself"


def test_of_one_hand_over_the_therapist_reads_one_notice(
    alice: Membership, charlie: Membership, mona: Membership
) -> None:
    hand_over(TreatmentFactory.create_batch(3, therapist=alice), to=charlie, by=mona)
    [told] = notices.unread(alice)
    assert told.said.text.startswith("Clients of yours go to Charlie Nowak on")


def test_a_place_closes_to_which_a_client_was_to_move_who_was_erased_since(
    alice: Membership, charlie: Membership, mona: Membership
) -> None:
    move = moved(alice, charlie, days=9)
    erase_client(client=move.treatment.client, by=alice)
    deactivate_member(member=charlie, by=mona)
    assert not Treatment.objects.not_ended(on=timezone.localdate()).exists()


def test_a_form_that_was_opened_before_takes_a_coming_client_from_nobody_else(
    alice: Membership, charlie: Membership, mona: Membership, bob: Membership, dan: Membership
) -> None:
    """Sent twice, or in another window: the page named charlie."""
    client = moved(alice, charlie, days=9).treatment.client
    ticked = list(charlie.treatments.all())
    hand_over(list(charlie.treatments.all()), to=dan, by=mona)
    for to in (dan, bob):
        with pytest.raises(CannotHandOver, match="does not come any more"):
            hand_over(ticked, to=to, by=mona)
    assert treats(client, 10) == [["Dan Roe"]]


def test_postgresql_holds_a_client_in_one_treatment_at_a_time(
    alice: Membership, charlie: Membership, bob: Membership
) -> None:
    treatment = TreatmentFactory.create(therapist=alice)
    with pytest.raises(IntegrityError, match="one_open"), transaction.atomic():
        TreatmentFactory.create(therapist=charlie, client=treatment.client)
    with pytest.raises(IntegrityError, match="one_first"), transaction.atomic():
        TreatmentFactory.create(
            therapist=charlie, client=treatment.client, follows=None, ends_on=timezone.localdate()
        )
    day = timezone.localdate() + timedelta(days=9)
    pass_on(treatment, to=charlie, on=day, by=alice)
    TreatmentFactory.create(
        therapist=bob, client=treatment.client, follows=treatment, starts_on=day, ends_on=day
    )
    with pytest.raises(IntegrityError, match="followed_by_one"), transaction.atomic():
        connection.check_constraints()
    bob.treatments.all().delete()


def test_the_migration_stops_where_two_treat_a_client_at_a_time(
    alice: Membership, charlie: Membership
) -> None:
    before = TreatmentFactory.create(therapist=alice)
    day = timezone.localdate() + timedelta(days=9)
    pass_on(before, to=charlie, on=day, by=alice)
    MIGRATION.refuse_two_at_a_time(apps, None)
    Treatment.objects.filter(id=before.id).update(ends_on=day + timedelta(days=1))
    with pytest.raises(ValueError, match="two treatments at a time"):
        MIGRATION.refuse_two_at_a_time(apps, None)


def test_a_move_that_waited_past_midnight_begins_on_the_day_on_which_it_is_done(
    alice: Membership, charlie: Membership
) -> None:
    """Else the evening before, which alice held, would be charlie's to log and to ask about."""
    move, today = agreed(alice), timezone.localdate()
    yesterday = today - timedelta(days=1)
    arrange_move(
        move=move, to=charlie, moves_on=yesterday, meeting_on=yesterday, version=move.version,
        by=alice,
    )  # fmt: skip
    move.refresh_from_db()
    assert (move.moves_on, move.meeting_on) == (today, today)
    assert charlie.treatments.get().starts_on == today
