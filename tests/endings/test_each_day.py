"""Whatever therapists and a manager arrange about a client, in whatever order, and whatever places
close meanwhile: the client is one therapist's on each day, and each end to come is followed.

The same courses at each run; WALKS=2000 tries as many others, which --hypothesis-seed chooses.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from typing import Any

import pytest
import time_machine
from django.db import transaction
from django.db.models import F
from django.utils import timezone
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from apps.accounts.models import Membership, Practice
from apps.accounts.services import deactivate_member, reactivate_member
from apps.clients.models import Client, Treatment
from apps.endings import services
from apps.endings.models import Ending, Move
from tests.factories import MembershipFactory, TreatmentFactory

WALKS = int(os.environ.get("WALKS", "0"))
REFUSED = (
    services.AlreadyArranged,
    services.CannotCallOff,
    services.CannotHandOver,
    services.CannotReopen,
    services.ChangesHands,
)
SOON = 15
DEED = st.tuples(
    st.sampled_from(
        ["move", "move", "move", "call off", "hand over", "hand over", "close", "begin again",
         "close the place", "open the place", "wait"]
    ),
    st.integers(0, 4),
    st.integers(0, 4),
    st.sampled_from([0, 3, 5, 6, 7, 9, 12]),
)  # fmt: skip


@contextmanager
def undone() -> Iterator[None]:
    with transaction.atomic():
        yield
        transaction.set_rollback(True)


class Course:
    """One client, five who may treat them (the last joined two days ago), a manager, a clock."""

    def __init__(self, members: list[Membership], mona: Membership, *, starts_on: date) -> None:
        self.people, self.mona = [each.id for each in members], mona
        treatment = TreatmentFactory.create(therapist=members[0], starts_on=starts_on)
        self.client: Client = treatment.client
        self.evenings = {timezone.localdate() - timedelta(days=3): {members[0].name}}

    def member(self, which: int) -> Membership:
        return Membership.objects.get(id=self.people[which])

    def treatments(self) -> Any:
        return Treatment.objects.filter(client=self.client)

    def treated(self, day: date, *, but_for: Membership | None = None) -> set[str]:
        """Who treats the client on the day and has a place here."""
        current = self.treatments().current(on=day).filter(therapist__is_active=True)
        return {each.therapist.name for each in current if each.therapist != but_for}

    def does(self, deed: str, giver: Membership, taker: Membership, days: int) -> None:
        hers = Treatment.objects.conducted_by(giver).filter(client=self.client).first()
        works = giver.is_active and hers
        today = timezone.localdate()
        if deed == "move" and works and giver != taker:
            move = self.agreed(hers)
            services.arrange_move(
                move=move, to=taker, moves_on=today + timedelta(days=days), meeting_on=None,
                version=move.version, by=giver,
            )  # fmt: skip
        elif deed == "call off" and works:
            for move in hers.moves.standing().filter(arranged_at__isnull=False):
                services.call_off_move(move=move, reason="No.", version=move.version, by=giver)
        elif deed == "hand over" and giver != taker:
            theirs = Treatment.objects.to_hand_over(giver, on=today).filter(client=self.client)
            given = list(theirs)
            if given:
                on = services.hand_over(given, to=taker, by=self.mona)
                for each in given:
                    day = max(on, each.starts_on)
                    assert taker.name in self.treated(day), "handed over, and not there"
                    goes_on = Treatment.objects.filter(id=each.id, therapist=giver)
                    assert not goes_on.not_ended(on=day).exists(), "handed over, and goes on"
        elif deed == "close" and works:
            services.close_treatment(treatment=hers, how="agreed", review="", by=giver)
        elif deed == "begin again" and giver.is_active:
            for ending in Ending.objects.filter(treatment__client=self.client)[:1]:
                services.reopen_treatment(ending=ending, by=ending.treatment.therapist)
        elif deed == "close the place":
            deactivate_member(member=giver, by=self.mona)
        elif deed == "open the place":
            reactivate_member(member=giver, by=self.mona)

    def agreed(self, treatment: Treatment) -> Move:
        """A move to which the client has agreed, that only waits for somebody to go to."""
        before = Move.objects.standing().filter(treatment=treatment).first()
        words = {"needs": "Evenings.", "wishes": [], "language": "", "tried": "Pace."}
        by = treatment.therapist
        move = services.save_what_fits(
            treatment=treatment, talked_over_on=None, by=by, **words,
            version=before.version if before else "",
        )  # fmt: skip
        services.record_consent(
            move=move, passes_on=[], agreed_on=timezone.localdate(), agreed_how="in_room",
            version=move.version, by=by,
        )  # fmt: skip
        return Move.objects.get(id=move.id)

    def wait(self, days: int) -> None:
        """Note whose the client is by the evening of each of these days."""
        for day in (timezone.localdate() + timedelta(days=each) for each in range(days)):
            current = self.treatments().current(on=day)
            self.evenings[day] = {each.therapist.name for each in current}

    def over(self) -> set[Any]:
        """What has ended by today, and what came next."""
        ended = self.treatments().ended(on=timezone.localdate())
        return set(ended.values_list("id", "therapist", "starts_on", "ends_on", "follows"))

    def holds(self) -> None:
        """Each end that is to come is followed on that day, by another therapist; nothing begins
        twice, or ends as it begins; a move that stands comes true; a day of before is of
        who had the client by its evening."""
        today = timezone.localdate()
        for now in self.treatments().current(on=today):
            for day, whose in self.evenings.items():
                theirs = now.therapist.name in whose
                assert now.was_anothers(day) is not theirs or not whose, f"whose is {day}?"
        for day in (today + timedelta(days=each) for each in range(SOON)):
            assert self.treatments().current(on=day).count() <= 1, "two treatments at a time"
        goes_on = self.treatments().filter(follows__therapist=F("therapist"))
        assert not goes_on.filter(follows__ending=None).exists(), "one treatment in two"
        for ends in self.treatments().filter(ends_on__gt=today):
            after = ends.followed_by.get()
            assert after.starts_on == ends.ends_on
            assert after.therapist != ends.therapist
        for begins in self.treatments().filter(starts_on__gt=today, follows__isnull=False):
            assert begins.follows.ends_on == begins.starts_on != begins.ends_on
        arranged = Move.objects.standing().filter(arranged_at__isnull=False)
        for move in arranged.filter(treatment__client=self.client):
            new = move.treatment.followed_by.get()
            assert move.treatment.ends_on == move.moves_on == new.starts_on
            assert new.therapist.is_active or new.starts_on <= today


@pytest.mark.django_db
@settings(
    max_examples=WALKS or 30,
    derandomize=not WALKS,
    database=None,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
@given(deeds=st.lists(DEED, min_size=2, max_size=8), first_in=st.sampled_from([-140, 0, 3]))
@example(deeds=[("move", 0, 1, 0)], first_in=0)
def test_a_client_is_somebodys_on_each_day(
    alice: Membership, charlie: Membership, mona: Membership, deeds: list[Any], first_in: int
) -> None:
    with undone(), time_machine.travel(timezone.now(), tick=False) as clock:
        Practice.objects.update(created_at=timezone.now() - timedelta(days=900))
        mona.practice.refresh_from_db()
        for_long = [MembershipFactory.create(practice=mona.practice) for _ in range(2)]
        joined_at = timezone.now() - timedelta(days=2)
        newcomer = MembershipFactory.create(practice=mona.practice, joined_at=joined_at)
        starts_on = timezone.localdate() + timedelta(days=first_in)
        course = Course([alice, charlie, *for_long, newcomer], mona, starts_on=starts_on)
        for deed, gives, takes, days in deeds:
            if deed == "wait":
                course.wait(days)
                clock.shift(timedelta(days=days))
                continue
            giver, taker = course.member(gives), course.member(takes)
            today = timezone.localdate()
            soon = [today + timedelta(days=each) for each in range(SOON)]
            leaves = giver if deed in {"close", "close the place"} else None
            before = [course.treated(day, but_for=leaves) for day in soon]
            over = course.over()
            try:
                with transaction.atomic():
                    course.does(deed, giver, taker, days)
            except REFUSED:
                continue
            course.holds()
            for _id, therapist, _starts_on, *ended_on, _follows in over - course.over():
                taken_back = deed == "hand over" and [therapist, *ended_on] == [taker.id, today]
                assert taken_back, "what had ended goes on"
            for day, treated in zip(soon, before, strict=True):
                assert course.treated(day) or not treated, f"{day} is nobody's after {deed}"
