"""Believable courses of therapy with a known truth, for tests, demonstrations and evaluation.

Everything here is invented. A course follows a `Story`; what the client then answers goes through
what makes real ratings hard to read: a level of the client's own, growth in the first sessions,
noise that carries over and now and then leaps, items that differ, rounding to the form's scale, a
ceiling, forms left unanswered and tension reported only sometimes. The same seed gives the same
course. Stories speak in shares of a course and in σ0, so they serve any form and length.

>>> from random import Random
>>> from apps.ruptures.detection import SLIDER, replay
>>> course = simulate_course(
...     Random(1), story=STORIES["clean_rupture_repaired"], form=SLIDER, sessions=16
... )
>>> _, screenings = replay(steps(course), SLIDER)
>>> [str(screening.event) for screening in screenings if screening.event][0]
'opened'
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from random import Random
from statistics import fmean
from typing import NamedTuple

from .parameters import Parameters
from .records import Step

SUBSCALES = ("bond", "goals", "tasks")
CARRIED_OVER = 0.3
"""The share of one session's noise that is still there in the next."""
LEAP_SHARE, LEAP = 0.04, 2.0
"""How often a rating's noise leaps, and by what factor."""


class Truth(StrEnum):
    """What the relationship really is like in a session."""

    STEADY = "steady"
    RUPTURE = "rupture"
    SETTLED = "settled"


class Attendance(StrEnum):
    """What became of a planned session; only an attended one is a step for the detector."""

    ATTENDED = "attended"
    LATE_CANCELLATION = "late_cancellation"
    NO_SHOW = "no_show"


@dataclass(frozen=True, kw_only=True)
class Rupture:
    """A fall `depth` σ0 deep that begins after `after`, a share of the course.

    It arrives over `ramp` sessions. After `sessions` it is repaired, or stays as a settled lower
    level; None means that it is still there at the end.
    """

    after: float
    depth: float
    ramp: int = 1
    sessions: int | None = None
    settles: bool = False
    reported: float = 0.6
    silence: float = 0.15
    no_show: float = 0.08


@dataclass(frozen=True, kw_only=True)
class Story:
    """What happens in a course, before anything is answered.

    `level`: the client's level beside the form's first mean, and `level_spread` how much clients
    of this story differ, both in τ. `growth` multiplies the form's usual growth; `noise`
    multiplies its σ0, of which the share `carried_over` is still there in the next session.
    `ruptures` follow one another. `silent_after`: the share of the course after which no form is
    answered.
    """

    level: float = 0.0
    level_spread: float = 0.25
    growth: float = 1.0
    noise: float = 0.6
    carried_over: float = CARRIED_OVER
    ruptures: tuple[Rupture, ...] = ()
    silent_after: float | None = None
    longest: int | None = None
    silence: float = 0.03
    no_show: float = 0.02
    false_tension: float = 0.04


STORIES = {
    "steady": Story(),
    "rising": Story(level=-1.0, growth=3.0),
    "clean_rupture_repaired": Story(
        level=-0.1,
        ruptures=(Rupture(after=0.55, depth=3.2, sessions=2, reported=0.8, silence=0.0),),
    ),
    "unrepaired_rupture": Story(ruptures=(Rupture(after=0.7, depth=3.2, reported=0.7),)),
    "slow_erosion": Story(ruptures=(Rupture(after=0.4, depth=4.0, ramp=7, reported=0.4),)),
    "silent": Story(silent_after=0.6, false_tension=0.0),
    "ceiling": Story(level=1.6, level_spread=0.1, noise=0.4, false_tension=0.0),
    "new": Story(longest=2),
}
"""Calm enough (`noise` below 1) that the typical seed tells the story its name promises."""


@dataclass(frozen=True, kw_only=True)
class SimulatedStep:
    """One planned session: the truth, and what of it was answered.

    `fall`: how far the relationship lies below its usual level, in σ0. `answers`: the client's,
    by item, None where the form was not answered. `own_view`: the therapist's of bond, goals and
    tasks, 0-10. `pomp` is 0-100.
    """

    session: int
    truth: Truth
    fall: float
    attendance: Attendance
    answers: Mapping[str, int] | None = None
    pomp: float | None = None
    tension: int | None = None
    resolved: int | None = None
    own_view: Mapping[str, int] | None = None
    therapist_tension: int | None = None
    therapist_resolved: int | None = None


def simulate_course(
    rng: Random, *, story: Story, form: Parameters, sessions: int
) -> list[SimulatedStep]:
    """A course of `sessions` planned sessions, fewer where the story ends before."""
    sessions = min(sessions, story.longest or sessions)
    level = form.mean_first + form.spread_between * rng.gauss(story.level, story.level_spread)
    items = {
        f"{subscale}_{number}": rng.gauss(0.0, 0.4 * form.spread_within)
        for subscale in SUBSCALES
        for number in range(1, _items_per_subscale(form) + 1)
    }
    hurt = rng.choice(SUBSCALES)
    noise, course = 0.0, []
    for index in range(sessions):
        truth, fall, rupture = _truth(story.ruptures, index, sessions)
        noise = story.carried_over * noise + _shock(rng, story, form)
        grown = level + story.growth * form.growth * min(index, form.growth_steps + 1)
        usual = min(grown, 100.0 + form.spread_within) + noise
        attendance = _attendance(rng, rupture.no_show if rupture else story.no_show)
        if attendance is not Attendance.ATTENDED:
            course.append(
                SimulatedStep(session=index + 1, truth=truth, fall=fall, attendance=attendance)
            )
            continue
        answers = {
            item: _answer(
                rng,
                usual + offset - fall * form.spread_within * (1.4 if item[:-2] == hurt else 0.8),
                form,
            )
            for item, offset in items.items()
        }
        silent = story.silent_after is not None and index >= story.silent_after * sessions
        answered = not silent and rng.random() >= (rupture.silence if rupture else story.silence)
        # In its last session a rupture is talked about.
        mends = rupture is not _truth(story.ruptures, index + 1, sessions).rupture
        tension, resolved = _tension(
            rng, rupture.reported if rupture else story.false_tension, truth, mends=mends
        )
        noticed, seen_resolved = _tension(
            rng, 0.7 * rupture.reported if rupture else story.false_tension, truth, mends=mends
        )
        course.append(
            SimulatedStep(
                session=index + 1,
                truth=truth,
                fall=fall,
                attendance=attendance,
                answers=answers if answered else None,
                pomp=_pomp(answers, form) if answered else None,
                tension=tension if answered else None,
                resolved=resolved if answered else None,
                own_view=_own_view(rng, usual - 0.5 * fall * form.spread_within),
                therapist_tension=noticed,
                therapist_resolved=seen_resolved,
            )
        )
    return course


def steps(course: Iterable[SimulatedStep]) -> Iterator[Step]:
    """The attended sessions as the detector sees them, a form sent after each."""
    no_shows = 0
    for session in course:
        if session.attendance is not Attendance.ATTENDED:
            no_shows += 1
            continue
        yield Step(
            pomp=session.pomp,
            tension=session.tension,
            resolved=session.resolved,
            therapist_tension=session.therapist_tension,
            therapist_resolved=session.therapist_resolved,
            no_shows=no_shows,
        )
        no_shows = 0


def scale(form: Parameters) -> tuple[int, int]:
    """The lowest and highest answer an item of the form allows."""
    return (1, 5) if form.name == "form5" else (0, 10)


def _items_per_subscale(form: Parameters) -> int:
    return 3 if form.name == "form5" else 2


class _Now(NamedTuple):
    """The truth of a session, how deep the fall is by then, in σ0, and which rupture it is."""

    truth: Truth
    fall: float
    rupture: Rupture | None


def _truth(ruptures: tuple[Rupture, ...], index: int, sessions: int) -> _Now:
    settled = 0.0
    for rupture in ruptures:
        since = index - round(rupture.after * sessions)
        if since < 0:
            break
        if rupture.sessions is None or since < rupture.sessions:
            fallen = rupture.depth * min(1.0, (since + 1) / rupture.ramp)
            return _Now(Truth.RUPTURE, settled + fallen, rupture)
        if rupture.settles:
            settled += rupture.depth
    return _Now(Truth.SETTLED if settled else Truth.STEADY, settled, None)


def _shock(rng: Random, story: Story, form: Parameters) -> float:
    """One session's own noise, so that with what is carried over it has the story's standard
    deviation, leaps aside."""
    factor = LEAP if rng.random() < LEAP_SHARE else 1.0
    spread = story.noise * form.spread_within
    return rng.gauss(0.0, factor * spread * (1 - story.carried_over**2) ** 0.5)


def _attendance(rng: Random, chance_of_absence: float) -> Attendance:
    if rng.random() >= chance_of_absence:
        return Attendance.ATTENDED
    return rng.choice((Attendance.LATE_CANCELLATION, Attendance.NO_SHOW))


def _answer(rng: Random, pomp: float, form: Parameters) -> int:
    lowest, highest = scale(form)
    exact = lowest + (highest - lowest) * rng.gauss(pomp, 0.5 * form.spread_within) / 100
    return max(lowest, min(highest, round(exact)))


def _pomp(answers: Mapping[str, int], form: Parameters) -> float:
    lowest, highest = scale(form)
    return 100 * (fmean(answers.values()) - lowest) / (highest - lowest)


def _tension(
    rng: Random, chance: float, truth: Truth, *, mends: bool
) -> tuple[int | None, int | None]:
    """An answer about tension, and how far it was sorted out; now and then none is given."""
    if rng.random() < 0.05:
        return None, None
    if rng.random() >= chance:
        return 0, None
    if truth is not Truth.RUPTURE:
        return rng.choice((1, 1, 2)), rng.choice((3, 4, 4))
    return rng.choice((1, 2, 2, 3, 3, 4)), rng.choice((3, 4) if mends else (0, 1, 1, 2))


def _own_view(rng: Random, pomp: float) -> dict[str, int] | None:
    """The therapist's view: lower than the client's, noisier, and half blind to a fall."""
    if rng.random() < 0.15:
        return None
    return {subscale: max(0, min(10, round(rng.gauss(pomp - 8, 7) / 10))) for subscale in SUBSCALES}
