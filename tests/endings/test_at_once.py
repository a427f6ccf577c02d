"""Of two at the same moment the second waits, finds what the first did, and neither fails."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from django.db import transaction
from django.utils import timezone

from apps.accounts.models import Membership
from apps.accounts.services import deactivate_member
from apps.clients.models import Treatment
from apps.clients.services import wait_for_turn
from apps.core.models import AuditEntry
from apps.endings.models import Move
from apps.endings.services import (
    AlreadyArranged,
    CannotHandOver,
    CannotReopen,
    ChangedMeanwhile,
    arrange_move,
    call_off_move,
    close_treatment,
    record_consent,
    reopen_treatment,
    save_what_fits,
)
from tests.at_once import elsewhere, wait_for
from tests.factories import TreatmentFactory


@pytest.mark.django_db(transaction=True)
def test_of_two_who_reopen_at_once_the_second_waits_and_finds_the_first(
    alice: Membership, charlie: Membership
) -> None:
    hers = TreatmentFactory.create(therapist=alice)
    first = close_treatment(treatment=hers, how="agreed", review="", by=alice)
    his = TreatmentFactory.create(therapist=charlie, client=hers.client)
    second = close_treatment(treatment=his, how="agreed", review="", by=charlie)
    reopen = partial(reopen_treatment, ending=second, by=charlie)
    with ThreadPoolExecutor(1) as pool:
        with transaction.atomic():
            begun = reopen_treatment(ending=first, by=alice)
            other = pool.submit(elsewhere, reopen, practice_id=alice.practice_id)
            wait_for(other)
        with pytest.raises(CannotReopen):
            other.result(timeout=30)
    current = Treatment.objects.not_ended(on=timezone.localdate())
    assert list(current.filter(client=hers.client)) == [begun]
    assert AuditEntry.objects.filter(action="reopen treatment").count() == 1


def agreed(alice: Membership, *, treatment: Treatment | None = None, **about: Any) -> Move:
    """A move of a client of hers that only waits for somebody to go to."""
    words = {"needs": "Evenings.", "wishes": [], "language": "", "tried": "Pace."}
    treatment = treatment or TreatmentFactory.create(therapist=alice, **about)
    move = save_what_fits(treatment=treatment, talked_over_on=None, version="", by=alice, **words)
    record_consent(
        move=move, passes_on=[], agreed_on=timezone.localdate(), agreed_how="in_room",
        version=move.version, by=alice,
    )  # fmt: skip
    move.refresh_from_db()
    return move


@pytest.mark.django_db(transaction=True)
def test_of_arranging_and_calling_off_a_move_and_saving_its_words_neither_stops_the_other(
    alice: Membership, charlie: Membership
) -> None:
    """Each waits for its turn with the client first, whatever it goes on with."""
    move, today = agreed(alice), timezone.localdate()
    plan = {"to": charlie, "moves_on": today + timedelta(days=7), "meeting_on": None}
    for act in (partial(arrange_move, **plan), partial(call_off_move, reason="She stays.")):
        act = partial(act, move=move, version=move.version, by=alice)
        with ThreadPoolExecutor(1) as pool:
            with transaction.atomic():
                wait_for_turn(treatments=move.treatment_id)
                other = pool.submit(elsewhere, act, practice_id=alice.practice_id)
                wait_for(other)
                Move.objects.filter(id=move.id).update(language=move.language)
            other.result(timeout=30)
        move.refresh_from_db()
    assert move.called_off_at


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("is_closed_first", [True, False])
@pytest.mark.parametrize("days", [0, 9])
def test_of_a_move_and_the_closing_of_the_place_it_goes_to_the_second_finds_the_first(
    alice: Membership, charlie: Membership, mona: Membership, is_closed_first: bool, days: int
) -> None:
    """No client comes to a place after it was closed, nor while nobody looks."""
    move = agreed(alice)
    arrange = partial(
        arrange_move, move=move, to=charlie, moves_on=timezone.localdate() + timedelta(days=days),
        meeting_on=None, version=move.version, by=alice,
    )  # fmt: skip
    close = partial(deactivate_member, member=Membership.objects.get(id=charlie.id), by=mona)
    first, second = (close, arrange) if is_closed_first else (arrange, close)
    with ThreadPoolExecutor(1) as pool:
        with transaction.atomic():
            first()
            other = pool.submit(elsewhere, second, practice_id=alice.practice_id)
            wait_for(other)
        if is_closed_first:
            with pytest.raises(CannotHandOver, match="treats nobody here any more"):
                other.result(timeout=30)
        else:
            other.result(timeout=30)
    charlie.refresh_from_db()
    assert not charlie.is_active
    came = not is_closed_first and days == 0
    assert Treatment.objects.filter(therapist=charlie).exists() is came


@pytest.mark.django_db(transaction=True)
def test_a_move_that_is_sent_twice_does_not_meet_the_closing_of_the_place_it_goes_to(
    alice: Membership, charlie: Membership, mona: Membership
) -> None:
    """The closing has the place, and waits for the client who was given there meanwhile."""
    move = agreed(alice)
    arrange = partial(
        arrange_move, move=move, moves_on=timezone.localdate() + timedelta(days=7),
        meeting_on=None, version=move.version, by=alice,
    )  # fmt: skip
    place = Membership.objects.get(id=charlie.id)
    with ThreadPoolExecutor(2) as pool:
        with transaction.atomic():
            arrange(to=charlie)
            ways = partial(deactivate_member, member=place, by=mona), partial(arrange, to=charlie)
            closing, again = (
                pool.submit(elsewhere, way, practice_id=alice.practice_id) for way in ways
            )
            wait_for(closing, again)
        closing.result(timeout=30)
        with pytest.raises((AlreadyArranged, ChangedMeanwhile)):
            again.result(timeout=30)
    charlie.refresh_from_db()
    move.refresh_from_db()
    assert not charlie.is_active
    assert move.called_off_at
