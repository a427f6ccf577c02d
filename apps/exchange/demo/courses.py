"""Which course of therapy each invented client has, told by the simulator.

A `Part` is a story and where in it the present lies. A simulated course is a throw of dice, so
`tell` tries one seed after the other until the detector sees what the part promises; the same
seed always ends with the same course.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from random import Random

from apps.ruptures.detection import SLIDER, Event, Level, Screening, replay
from apps.ruptures.detection.simulator import (
    STORIES,
    Attendance,
    SimulatedStep,
    Story,
    simulate_course,
    steps,
)

ATTEMPTS = 500
LITTLE_ROOM_RUN = 6


@dataclass(frozen=True)
class Part:
    """A story, how many sessions ago its fall began (0: the last one), and how it looks now.

    `falls_again`: sessions at the end that come from an unrepaired rupture of the same client.
    """

    story: str
    looks_right: Callable[[Sequence[Screening]], bool]
    fell: int | None = None
    falls_again: int = 0


def _events(screenings: Sequence[Screening]) -> list[Event]:
    return [screening.event for screening in screenings if screening.event]


def _calm(screenings: Sequence[Screening]) -> bool:
    return not _events(screenings) and _ends_rated_without_flag(screenings)


def _ends_rated_without_flag(screenings: Sequence[Screening]) -> bool:
    return screenings[-1].pomp is not None and screenings[-1].level is Level.NONE


def _at_maximum(screenings: Sequence[Screening]) -> bool:
    return _calm(screenings) and all(s.pomp == 100 for s in screenings[-LITTLE_ROOM_RUN:])


def _watched(screenings: Sequence[Screening]) -> bool:
    return not _events(screenings) and all(s.level is Level.WATCH for s in screenings[-3:])


def _opened(level: Level, *, ago: int) -> Callable[[Sequence[Screening]], bool]:
    def looks_right(screenings: Sequence[Screening]) -> bool:
        *before, last = screenings[: len(screenings) - ago]
        since = screenings[len(screenings) - ago :]
        return (
            not _events(before)
            and (last.event, last.level) == (Event.OPENED, level)
            and all(s.event is Event.CONTINUES for s in since)
            and all(s.pomp is not None for s in [last, *since])
        )

    return looks_right


def _marked_after_a_repair(screenings: Sequence[Screening]) -> bool:
    events = _events(screenings)
    return (
        events.count(Event.OPENED) == 2
        and events[-2:] == [Event.REPAIRED, Event.OPENED]
        and screenings[-1].event is Event.OPENED
        and screenings[-1].level is Level.MARKED
        and screenings[-1].pomp is not None
    )


def _repaired(*, ago: int) -> Callable[[Sequence[Screening]], bool]:
    def looks_right(screenings: Sequence[Screening]) -> bool:
        return (
            screenings[-1 - ago].event is Event.REPAIRED
            and _events(screenings).count(Event.OPENED) == 1
            and _ends_rated_without_flag(screenings)
        )

    return looks_right


def _eroded(screenings: Sequence[Screening]) -> bool:
    return (
        _events(screenings).count(Event.OPENED) == 1
        and screenings[-1].event is Event.CONTINUES
        and screenings[-1].pomp is not None
    )


def _settled(screenings: Sequence[Screening]) -> bool:
    events = _events(screenings)
    return (
        bool(events)
        and events[-1] is Event.SETTLED_LOWER
        and events.count(Event.OPENED) == 1
        and _ends_rated_without_flag(screenings)
    )


def _one_opening_by_chance(screenings: Sequence[Screening]) -> bool:
    return (
        _events(screenings) == [Event.OPENED, Event.REPAIRED]
        and not _events(screenings[-4:])
        and _ends_rated_without_flag(screenings)
    )


PARTS = {
    "steady": Part("steady", _calm),
    "rising": Part("rising", _calm),
    "ceiling": Part("ceiling", _at_maximum),
    "new": Part("new", lambda screenings: screenings[-1].pomp is not None),
    "silent": Part("silent", _watched),
    "marked again": Part("clean_rupture_repaired", _marked_after_a_repair, fell=9, falls_again=1),
    "possible": Part("unrepaired_rupture", _opened(Level.POSSIBLE, ago=0), fell=0),
    "marked": Part("unrepaired_rupture", _opened(Level.MARKED, ago=0), fell=0),
    "unrepaired": Part("unrepaired_rupture", _opened(Level.MARKED, ago=2), fell=2),
    "waiting": Part("unrepaired_rupture", _opened(Level.POSSIBLE, ago=1), fell=1),
    "erosion": Part("slow_erosion", _eroded, fell=8),
    "settled lower": Part("slow_erosion", _settled, fell=13),
    "recovering": Part("clean_rupture_repaired", _repaired(ago=0), fell=2),
    "recovering longer": Part("clean_rupture_repaired", _repaired(ago=1), fell=3),
    "repaired": Part("clean_rupture_repaired", _repaired(ago=2), fell=4),
    "repaired long ago": Part("clean_rupture_repaired", _repaired(ago=7), fell=9),
    "not a rupture": Part("steady", _one_opening_by_chance),
}


def tell(part: Part, *, sessions: int, seed: str) -> list[SimulatedStep]:
    """The first course from `seed` on that looks as the part promises.

    Raises:
        ValueError: no course does; the part and the number of sessions do not go together.
    """
    for attempt in range(ATTEMPTS):
        course = _simulate(part, sessions=sessions, seed=f"{seed} {attempt}")
        _, screenings = replay(steps(course), SLIDER)
        if course[-1].attendance is Attendance.ATTENDED and part.looks_right(screenings):
            return course
    raise ValueError(f"No course of {sessions} sessions looks like {part.story!r} with {seed!r}.")


def _simulate(part: Part, *, sessions: int, seed: str) -> list[SimulatedStep]:
    story = _fallen(STORIES[part.story], sessions, part.fell)
    course = simulate_course(_rng(seed), story=story, form=SLIDER, sessions=sessions)
    if not part.falls_again:
        return course
    # The same seed draws the same client, so that the end of another story fits this beginning.
    again = _fallen(STORIES["unrepaired_rupture"], sessions, part.falls_again - 1)
    end = simulate_course(_rng(seed), story=again, form=SLIDER, sessions=sessions)
    return course[: -part.falls_again] + end[-part.falls_again :]


def _fallen(story: Story, sessions: int, ago: int | None) -> Story:
    """The story with its fall begun `ago` sessions before the last."""
    if ago is None:
        return story
    after = (sessions - 1 - ago) / sessions
    return replace(
        story, ruptures=tuple(replace(rupture, after=after) for rupture in story.ruptures)
    )


def _rng(seed: str) -> Random:
    return Random(seed)  # noqa: S311 - invented data
