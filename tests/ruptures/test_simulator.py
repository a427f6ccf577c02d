"""The simulator tells the stories its names promise, and its truth is known."""

from random import Random

import pytest

from apps.ruptures.detection import FORM5, SLIDER, Event, Level, replay
from apps.ruptures.detection.simulator import (
    STORIES,
    Attendance,
    Rupture,
    Story,
    Truth,
    scale,
    simulate_course,
    steps,
)

SEEDS = range(60)


def events_by_seed(name: str) -> list[list[Event]]:
    return [
        [screening.event for screening in screenings if screening.event]
        for screenings in (replay(steps(course(name, seed)), SLIDER)[1] for seed in SEEDS)
    ]


def course(name: str, seed: int, form=SLIDER):
    return simulate_course(Random(seed), story=STORIES[name], form=form, sessions=18)


def share(flags: list[bool]) -> float:
    return sum(flags) / len(flags)


@pytest.mark.parametrize("form", [FORM5, SLIDER], ids=lambda form: form.name)
@pytest.mark.parametrize("name", STORIES)
def test_the_same_seed_gives_the_same_course_within_the_forms_scale(name, form):
    lowest, highest = scale(form)
    assert course(name, 3, form) == course(name, 3, form)
    for session in course(name, 3, form):
        assert all(lowest <= answer <= highest for answer in (session.answers or {}).values())
        assert session.attendance is Attendance.ATTENDED or session.answers is None


@pytest.mark.parametrize("name", ["steady", "rising", "ceiling", "new"])
def test_calm_stories_rarely_open(name):
    assert share([Event.OPENED in events for events in events_by_seed(name)]) < 0.15


@pytest.mark.parametrize("name", ["clean_rupture_repaired", "unrepaired_rupture", "slow_erosion"])
def test_stories_of_a_rupture_open(name):
    assert share([Event.OPENED in events for events in events_by_seed(name)]) > 0.9


def test_a_clean_rupture_is_repaired_and_an_unrepaired_one_is_not():
    repaired = events_by_seed("clean_rupture_repaired")
    assert share([events[-1] is Event.REPAIRED for events in repaired]) > 0.9
    unrepaired = events_by_seed("unrepaired_rupture")
    assert share([Event.REPAIRED in events for events in unrepaired]) < 0.1


def test_silence_is_watched():
    levels = [
        [screening.level for screening in replay(steps(course("silent", seed)), SLIDER)[1]]
        for seed in SEEDS
    ]
    assert share([max(each) is Level.WATCH for each in levels]) > 0.9


def test_the_truth_is_told_for_each_session():
    truths = [session.truth for session in course("clean_rupture_repaired", 0)]
    assert truths == [Truth.STEADY] * 10 + [Truth.RUPTURE] * 2 + [Truth.STEADY] * 6
    settled = Story(ruptures=(Rupture(after=0.5, depth=3, sessions=2, settles=True),))
    course_settled = simulate_course(Random(0), story=settled, form=SLIDER, sessions=6)
    assert [session.truth for session in course_settled][-2:] == [Truth.RUPTURE, Truth.SETTLED]
    assert [session.fall for session in course_settled] == [0, 0, 0, 3, 3, 3]


def test_one_rupture_follows_another_from_the_level_that_the_first_left():
    first = Rupture(after=0.2, depth=2, sessions=2, settles=True)
    second = Rupture(after=0.6, depth=1, ramp=2, sessions=3)
    story = Story(ruptures=(first, second), no_show=0)
    told = simulate_course(Random(0), story=story, form=SLIDER, sessions=10)
    assert [session.fall for session in told] == [0, 0, 2, 2, 2, 2, 2.5, 3, 3, 2]
    assert told[-1].truth is Truth.SETTLED


def test_sessions_that_did_not_take_place_are_counted_for_the_next_one():
    story = Story(no_show=0.5)
    planned = simulate_course(Random(1), story=story, form=SLIDER, sessions=40)
    seen = list(steps(planned))
    missed = [s for s in planned if s.attendance is not Attendance.ATTENDED]
    assert 5 < len(missed) < 35
    assert len(seen) == 40 - len(missed)
    assert sum(step.no_shows for step in seen) <= len(missed)
    assert max(step.no_shows for step in seen) >= 2
