"""Possible ruptures some time on; and property tests that try the same examples on every machine,
of which none is judged by a clock."""

from collections.abc import Iterator
from datetime import timedelta

import pytest
import time_machine
from django.utils import timezone
from hypothesis import settings

from apps.accounts.models import Membership
from apps.ruptures.services import acknowledge_episode
from apps.ruptures.transitions import note_waiting
from apps.therapy_sessions.models import TherapySession
from tests.factories import TreatmentFactory
from tests.ruptures.test_screening import UNMARKED_FALL, rated_now, screen_from, weeks

settings.register_profile("same-everywhere", derandomize=True, deadline=None)
settings.load_profile("same-everywhere")


@pytest.fixture
def fell_again(alice: Membership, sam: Membership) -> Iterator[TherapySession]:
    """The session of a second fall, unmarked, three months after the first was acknowledged; the
    supervisor had seen the first, as it had waited."""
    treatment = TreatmentFactory.create(therapist=alice, pomps=UNMARKED_FALL)
    with time_machine.travel(timezone.now() + timedelta(hours=72), tick=False) as clock:
        note_waiting(alice.practice, at=timezone.now())
        acknowledge_episode(episode=treatment.episodes.get(), by=alice)
        for pomp in (90, 90, 90, 70):
            clock.shift(timedelta(days=7))
            session = rated_now(treatment, pomp)
            screen_from(session)
        yield session


@pytest.fixture
def came_back(alice: Membership, sam: Membership) -> Iterator[time_machine.Traveller]:
    """A clock three months after a first, unmarked fall that has waited, ratings being back."""
    treatment = TreatmentFactory.create(therapist=alice, pomps=UNMARKED_FALL)
    with time_machine.travel(timezone.now() + timedelta(hours=72), tick=False) as clock:
        note_waiting(alice.practice, at=timezone.now())
        for _week in range(6):
            weeks(clock, treatment, 90)
        yield clock
