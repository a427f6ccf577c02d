"""A fall that comes to be known later, of before or between others: whose it is, who is told."""

from datetime import timedelta

import pytest
import time_machine
from django.urls import reverse
from django.utils import timezone

from apps.accounts.models import Notice
from apps.ruptures import notices as notices_of_ruptures
from apps.ruptures.falls import falls_of
from apps.ruptures.models import RuptureEpisode, Screening
from apps.ruptures.services import acknowledge_episode, record_outcome
from apps.ruptures.transitions import note_waiting
from tests.conftest import signed_in
from tests.factories import TherapySessionFactory, TreatmentFactory
from tests.ruptures.test_notices import noted, told
from tests.ruptures.test_screening import UNMARKED_FALL, add_rating, rated_now, screen_from, weeks

pytestmark = pytest.mark.django_db


def test_a_fall_of_before_the_one_that_is_open_is_marked_and_told_as_it_comes_to_be_known(
    alice, sam
):
    """No session that is entered late, or whose day is corrected, lies where nobody looks."""
    treatment = TreatmentFactory.create(therapist=alice, pomps=[80, 90, 80, 90, 80, 90, 90, 90])
    with time_machine.travel(timezone.now() + timedelta(days=1), tick=False) as clock:
        before = timezone.now() + timedelta(days=1)
        weeks(clock, treatment, 90, 80, 90, 90, 90)
        clock.shift(timedelta(days=7))
        last = TherapySessionFactory.create(treatment=treatment, tension=4, tension_resolved=0)
        screen_from(last)
        acknowledge_episode(episode=treatment.episodes.get(), by=alice)
        assert not told(sam)
        clock.shift(timedelta(hours=1))
        late = TherapySessionFactory.create(
            treatment=treatment, starts_at=before, logged_at=timezone.now()
        )
        add_rating(late, 10, tension=4, tension_resolved=0)
        screen_from(late)
        episode = treatment.episodes.get()
        assert Screening.objects.current().get(therapy_session=last).event == "opened"
        assert (episode.opened_by, episode.marked_at) == (late, timezone.now())
        assert (episode.seen_at, episode.fell_again_at) == (None, timezone.now())
        assert len(told(sam)) == 1


def test_a_fall_of_between_two_others_that_is_known_last_is_told_and_looked_at(came_back, alice):
    episode = RuptureEpisode.objects.get()
    of_between = timezone.now() + timedelta(days=1)
    weeks(came_back, episode.treatment, 90, 90, 90, 90, 90, 90, 70)
    acknowledge_episode(episode=episode, by=alice)
    episode.refresh_from_db()
    page_of_before = {"fall": episode.fall}
    came_back.shift(timedelta(hours=1))
    late = TherapySessionFactory.create(
        treatment=episode.treatment,
        starts_at=of_between,
        logged_at=timezone.now(),
        tension=4,
        tension_resolved=0,
    )
    screen_from(late)
    assert Screening.objects.current().get(therapy_session=late).event == "opened"
    assert Notice.objects.filter(member=alice, kind=notices_of_ruptures.OPENED).count() == 3
    signed_in(alice).post(reverse("acknowledge_episode", args=[episode.id]), page_of_before)
    episode.refresh_from_db()
    assert not episode.seen_at


@pytest.mark.parametrize("between", [False, True])
def test_a_marked_fall_that_is_known_later_is_told_and_looked_at_though_the_first_goes_on_in_it(
    alice, sam, between
):
    """Whether or not ratings had come back between the two: nothing of it was acknowledged."""
    treatment = TreatmentFactory.create(therapist=alice, pomps=[80, 90, 80, 90, 80, 90, 90, 90])
    with time_machine.travel(timezone.now() + timedelta(days=1), tick=False) as clock:
        before = TherapySessionFactory.create(treatment=treatment)
        screen_from(before)
        for _week in range(4 if between else 0):
            weeks(clock, treatment, 90)
        clock.shift(timedelta(days=7))
        screen_from(rated_now(treatment, 50, tension=4, tension_resolved=0))
        episode = treatment.episodes.get()
        acknowledge_episode(episode=episode, by=alice)
        page_of_before = episode.fall
        assert len(told(sam)) == 1
        clock.shift(timedelta(days=1))
        add_rating(before, 0, tension=4, tension_resolved=0)
        screen_from(before)
        episode.refresh_from_db()
        assert (episode.opened_by, episode.seen_at) == (before, None)
        assert episode.fall != page_of_before
        of_alice = Notice.objects.filter(member=alice)
        assert of_alice.filter(kind=notices_of_ruptures.OPENED).count() == 2
        assert of_alice.filter(kind=notices_of_ruptures.MARKED).count() == 2
        assert len(told(sam)) == 2
        clock.shift(timedelta(hours=1))
        acknowledge_episode(episode=episode, by=alice)
        screen_from(rated_now(treatment, 40))
        episode.refresh_from_db()
        assert episode.seen_at
        assert of_alice.count() == 4, "each is told once"


def test_a_flag_that_begins_before_a_settled_one_takes_nothing_over_from_it(alice, sam):
    """What an outcome is about stays with that outcome."""
    treatment = TreatmentFactory.create(therapist=alice, pomps=[80, 90, 80, 90, 80, 90, 90, 90])
    with time_machine.travel(timezone.now() + timedelta(days=1), tick=False) as clock:
        before = TherapySessionFactory.create(treatment=treatment)
        screen_from(before)
        weeks(clock, treatment, 90, 90, 90, 90)
        clock.shift(timedelta(days=7))
        screen_from(rated_now(treatment, 20, tension=4, tension_resolved=0))
        settled = treatment.episodes.get()
        assert settled.marked_at
        record_outcome(episode=settled, outcome=RuptureEpisode.Outcome.REPAIRED, by=alice)
        weeks(clock, treatment, 90, 90, 90, 90)
        clock.shift(timedelta(days=7))
        own = {"tension": 4, "tension_resolved": 0}
        screen_from(TherapySessionFactory.create(treatment=treatment, **own))
        episode = RuptureEpisode.objects.open().get()
        acknowledge_episode(episode=episode, by=alice)
        clock.shift(timedelta(days=1))
        Notice.objects.filter(member=sam).delete()
        before.tension, before.tension_resolved = 4, 0
        before.save()
        screen_from(before)
        episode.refresh_from_db()
        assert (episode.opened_by, episode.marked_at) == (before, None)
        assert not told(sam)


def test_a_fall_of_before_a_marked_one_that_was_acknowledged_waits_and_is_told(alice, sam):
    """Found later, it was not told by that mark."""
    treatment = TreatmentFactory.create(therapist=alice, pomps=[80, 90, 80, 90, 80, 90, 90, 90])
    with time_machine.travel(timezone.now() + timedelta(days=1), tick=False) as clock:
        own = {"tension": 4, "tension_resolved": 0}
        screen_from(TherapySessionFactory.create(treatment=treatment, **own))
        weeks(clock, treatment, 90, 90, 90, 90)
        acknowledge_episode(episode=treatment.episodes.get(), by=alice)
        clock.shift(timedelta(days=7))
        found = TherapySessionFactory.create(treatment=treatment)
        screen_from(found)
        weeks(clock, treatment, 90, 90, 90, 90)
        clock.shift(timedelta(days=7))
        screen_from(rated_now(treatment, 0, tension=4, tension_resolved=0))
        acknowledge_episode(episode=treatment.episodes.get(), by=alice)
        before = noted(sam)
        clock.shift(timedelta(days=1))
        found.tension, found.tension_resolved = 4, 0
        found.save()
        screen_from(found)
        assert Screening.objects.current().get(therapy_session=found).level == 2
        assert noted(sam) == before
        clock.shift(timedelta(hours=72))
        note_waiting(alice.practice, at=timezone.now())
        assert [kind for kind, _mark in noted(sam)[len(before) :]] == [notices_of_ruptures.WAITED]


def test_a_fall_of_what_was_once_part_of_a_settled_one_is_told_and_looked_at(alice, sam):
    treatment = TreatmentFactory.create(therapist=alice, pomps=[80, 90, 80, 90, 80, 90, 90, 90])
    with time_machine.travel(timezone.now() + timedelta(days=1), tick=False) as clock:
        screen_from(rated_now(treatment, 50, tension=4, tension_resolved=0))
        clock.shift(timedelta(days=7))
        found = TherapySessionFactory.create(treatment=treatment)
        screen_from(found)
        clock.shift(timedelta(hours=20))
        repaired = RuptureEpisode.Outcome.REPAIRED
        record_outcome(episode=treatment.episodes.get(), outcome=repaired, by=alice)
        weeks(clock, treatment, 90, 90, 90, 90, 90)
        clock.shift(timedelta(days=7))
        screen_from(rated_now(treatment, 0, tension=4, tension_resolved=0))
        episode = RuptureEpisode.objects.open().get()
        acknowledge_episode(episode=episode, by=alice)
        Notice.objects.all().delete()
        clock.shift(timedelta(days=1))
        add_rating(found, 0, tension=4, tension_resolved=0)
        screen_from(found)
        again = RuptureEpisode.objects.open().get()
        assert (again.opened_by, again.seen_at) == (found, None)
        assert again.fall != episode.fall
        assert [kind for kind, _mark in noted(sam)] == [notices_of_ruptures.MARKED]
        assert Notice.objects.filter(member=alice, kind=notices_of_ruptures.OPENED).exists()


def test_of_several_falls_of_a_history_the_newest_alone_is_told(alice, sam):
    pomps = [90, 90, 80, 90, 90, 90, 80, 90, 70, 90, 90, 90, 90, 30, 90, 90, 90, 90, 30]
    treatment = TreatmentFactory.create(therapist=alice, pomps=pomps)
    with time_machine.travel(timezone.now() + timedelta(days=1), tick=False):
        screen_from(rated_now(treatment, 40))
    for kind in (notices_of_ruptures.OPENED, notices_of_ruptures.MARKED):
        assert Notice.objects.filter(member=alice, kind=kind).count() == 1
    assert len(noted(sam)) == 1


@pytest.mark.parametrize("is_open", [True, False])
def test_of_falls_that_one_screening_found_each_is_told_as_it_is_marked(alice, sam, is_open):
    """A box of paper, entered at once: what is told of the one is not told of the other."""
    treatment = TreatmentFactory.create(
        therapist=alice, pomps=UNMARKED_FALL if is_open else [80, 90, 80, 90, 80, 90, 90, 90]
    )
    with time_machine.travel(timezone.now() + timedelta(hours=72), tick=False) as clock:
        if is_open:
            weeks(clock, treatment, 90, 90, 90, 90, 90, 90)
        sessions = []
        for pomp in (70, 60, 90, 90, 90, 90, 90, 80, 60):
            clock.shift(timedelta(days=7))
            sessions.append(rated_now(treatment, pomp))
        screen_from(sessions[0])
        said = Screening.objects.current().filter(therapy_session__in=sessions, event="opened")
        found = [each for each in sessions if said.filter(therapy_session=each).exists()]
        assert len(found) == 2
        assert len(noted(sam)) == 1, "the first is marked at once"
        clock.shift(timedelta(hours=1))
        found[-1].tension, found[-1].tension_resolved = 4, 0
        found[-1].save()
        screen_from(found[-1])
        assert [kind for kind, _mark in noted(sam)] == [notices_of_ruptures.MARKED] * 2


def test_of_several_falls_that_nobody_looked_at_the_one_that_is_known_last_is_told(
    came_back, alice
):
    """Wherever its session lies."""
    treatment = RuptureEpisode.objects.get().treatment
    of_between = timezone.now() + timedelta(days=1)
    weeks(came_back, treatment, 90, 90, 90, 90, 90, 90, 70)
    told_before = Notice.objects.filter(member=alice, kind=notices_of_ruptures.OPENED).count()
    assert told_before == 2
    late = TherapySessionFactory.create(
        treatment=treatment, starts_at=of_between, logged_at=timezone.now(), tension=4,
        tension_resolved=0,
    )  # fmt: skip
    came_back.shift(timedelta(hours=1))
    screen_from(late)
    assert Screening.objects.current().get(therapy_session=late).event == "opened"
    assert Notice.objects.filter(member=alice, kind=notices_of_ruptures.OPENED).count() == 3


def test_what_stands_in_for_an_acknowledged_fall_and_was_said_since_is_told(alice, sam):
    treatment = TreatmentFactory.create(therapist=alice, pomps=[80, 90, 80, 90, 80, 90, 90, 90])
    with time_machine.travel(timezone.now() + timedelta(days=1), tick=False) as clock:
        first = TherapySessionFactory.create(treatment=treatment, tension=4, tension_resolved=0)
        screen_from(first)
        acknowledge_episode(episode=treatment.episodes.get(), by=alice)
        clock.shift(timedelta(days=7))
        second = rated_now(treatment, 0, tension=4, tension_resolved=0)
        screen_from(second)
        before = noted(alice), noted(sam)
        clock.shift(timedelta(hours=1))
        first.tension, first.tension_resolved = None, None
        first.save()
        screen_from(first)
        episode = treatment.episodes.get()
        assert (episode.opened_by, episode.seen_at) == (second, None)
        new = [noted(alice)[len(before[0]) :], noted(sam)[len(before[1]) :]]
        kinds = [[kind for kind, _mark in each] for each in new]
        opened, marked = notices_of_ruptures.OPENED, notices_of_ruptures.MARKED
        assert [sorted(each) for each in kinds] == [sorted([opened, marked]), [marked]]


def test_what_stands_in_is_told_once_whatever_is_acknowledged_afterwards(alice, sam):
    """It had another name until then."""
    treatment = TreatmentFactory.create(therapist=alice, pomps=[80, 90, 80, 90, 80, 90, 90, 90])
    with time_machine.travel(timezone.now() + timedelta(days=1), tick=False) as clock:

        def says(session, tension):
            clock.shift(timedelta(hours=1))
            session.tension, session.tension_resolved = tension, tension and 0
            session.save()
            screen_from(session)

        first = TherapySessionFactory.create(treatment=treatment)
        says(first, 3)
        acknowledge_episode(episode=treatment.episodes.get(), by=alice)
        clock.shift(timedelta(days=7))
        second = rated_now(treatment, 45)
        screen_from(second)
        says(first, None)
        says(second, 2)
        [fall] = falls_of(treatment.episodes.get())
        assert fall.mark
        assert fall.marked_at
        before = noted(alice), noted(sam)
        acknowledge_episode(episode=treatment.episodes.get(), by=alice)
        weeks(clock, treatment, 90)
        assert (noted(alice), noted(sam)) == before


def test_a_fall_goes_by_the_moment_alone_at_which_no_other_was_found(fell_again):
    """As it did before, or what was told and read would be told again after an update."""
    _first, second = falls_of(RuptureEpisode.objects.get())
    assert second.mark == second.fell_at.isoformat()


@pytest.mark.parametrize("slipped", [True, False])
def test_a_mark_of_now_is_told_though_a_slip_had_marked_the_session_weeks_ago(alice, sam, slipped):
    treatment = TreatmentFactory.create(therapist=alice, pomps=UNMARKED_FALL)
    own = {"tension": 4, "tension_resolved": 0}
    with time_machine.travel(timezone.now() + timedelta(hours=1), tick=False) as clock:
        acknowledge_episode(episode=treatment.episodes.get(), by=alice)
        weeks(clock, treatment, 90, 90, 90, 80)
        for _week in range(2):
            clock.shift(timedelta(days=7))
            TherapySessionFactory.create(treatment=treatment, attendance="no_show")
        clock.shift(timedelta(days=7))
        session = TherapySessionFactory.create(treatment=treatment, **(own if slipped else {}))
        screen_from(session)
        clock.shift(timedelta(minutes=2))
        session.tension, session.tension_resolved = None, None
        session.save()
        screen_from(session)
        was_marked = session.screenings.filter(event="opened", level=3).exists()
        assert was_marked == slipped
        weeks(clock, treatment, 90, 90, 90)
        clock.shift(timedelta(days=7))
        screen_from(rated_now(treatment, 10, tension=4, tension_resolved=0))
        acknowledge_episode(episode=treatment.episodes.get(), by=alice)
        before = noted(sam)
        clock.shift(timedelta(hours=1))
        add_rating(session, 0, tension=4, tension_resolved=0)
        screen_from(session)
        new = [kind for kind, _mark in noted(sam)[len(before) :]]
        assert new == [notices_of_ruptures.MARKED]
