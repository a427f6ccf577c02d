"""The filter, one step and many series, against what it replaces or cannot do without."""

from collections.abc import Iterator

import numpy as np
import ruptures as change_points
from numpy.typing import NDArray

from apps.ruptures.detection import FORM5, Step, replay, screen
from apps.ruptures.detection.columns import Steps
from apps.ruptures.detection.vectorised import screen_table
from apps.ruptures.evaluation.populations import USUAL, Courses, simulate

from .measure import Figure, in_turn

SESSIONS = 16


def figures(*, series: int, rounds: int) -> Iterator[Figure]:
    courses = simulate(USUAL, form=FORM5, clients=min(series, 2000), seed=1)
    yield one_step(courses, rounds=rounds)
    yield many_series(courses, series=series, rounds=rounds)


def one_step(courses: Courses, *, rounds: int) -> Figure:
    """Screening one new rating, or searching the same 16-point series for changes anew."""
    whole = (~np.isnan(courses.steps.pomp[:SESSIONS])).all(axis=0)
    pomp = courses.steps.pomp[:SESSIONS, np.flatnonzero(whole)[0]]
    steps = [Step(pomp=float(each)) for each in pomp]
    before, _ = replay(steps[:-1], FORM5)
    penalty = 2 * FORM5.spread_within**2 * np.log(SESSIONS)

    def search() -> list[int]:
        found: list[int] = (
            change_points.Pelt(model="l2", min_size=2, jump=1).fit(pomp).predict(pen=penalty)
        )
        return found

    seconds, baseline = in_turn(
        lambda: screen(before, steps[-1], FORM5),
        search,
        rounds=10 * rounds,
        times=(20, 1),
        best=True,
    )
    return Figure(
        name="screening one new rating",
        baseline=f"ruptures.Pelt over the same {SESSIONS} ratings (here the higher is better)",
        ratio=baseline / seconds,
        limit=25,
        at_least=True,
        seconds=seconds,
        baseline_seconds=baseline,
    )


def many_series(courses: Courses, *, series: int, rounds: int) -> Figure:
    """The vectorised filter with every signal, or the least that a filter of ratings can do.

    Of the filter levels and events are asked, as replay and evaluation do; of the other its last
    means.
    """
    copies = -(-series // courses.real.shape[1])
    steps = Steps._make(
        np.ascontiguousarray(np.tile(column[:SESSIONS], copies)[:, :series])
        for column in courses.steps
    )
    seconds, baseline = in_turn(
        lambda: screen_table(steps, FORM5, wanted=("level", "event")),
        lambda: local_level(steps.pomp),
        rounds=rounds,
        best=True,
    )
    return Figure(
        name=f"screening {series} × {SESSIONS} sessions, vectorised",
        baseline="a bare local-level recursion in numpy on the same array",
        ratio=seconds / baseline,
        limit=40,
        seconds=seconds,
        baseline_seconds=baseline,
    )


def local_level(pomp: NDArray[np.float64]) -> NDArray[np.float64]:
    """A Kalman filter with one level and known variances: no regimes, no gaps, no other signal."""
    noise, drift = FORM5.spread_within**2, FORM5.drift * FORM5.spread_within**2
    mean = np.full(pomp.shape[1], FORM5.mean_first)
    variance = np.full(pomp.shape[1], FORM5.spread_between**2)
    for rating in pomp:
        gain = variance / (variance + noise)
        mean = mean + gain * (rating - mean)
        variance = (1 - gain) * variance + drift
    return mean
