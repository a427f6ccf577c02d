"""What the rule is measured against: a statistic for each step, higher where it looks worse.

All but the change-point search look back only and at the ratings only. They open where the
statistic reaches a threshold and may open again after it has fallen to `release` times it: the
filter's own two thresholds, .30 and .15, stand in the same proportion.
"""

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import ruptures as change_points
from numpy.typing import NDArray

from apps.ruptures.detection import Parameters

from .populations import Courses

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
RELEASE = 0.5
BEFORE_COMPARING = 3
"""Ratings of a client that a chart needs before it says anything."""


class Comparator(NamedTuple):
    """A method by name. `score` gives a statistic for each rating, NaN where it says nothing."""

    name: str
    score: Callable[[Floats, Parameters], Floats]
    release: float = RELEASE


def openings(score: Floats, threshold: float, *, release: float = RELEASE) -> Flags:
    """Where a statistic opens: at `threshold`, and again once it has been at `release` of it."""
    opened = np.zeros(score.shape, dtype=bool)
    is_open = np.zeros(score.shape[1], dtype=bool)
    for session, now in enumerate(score):
        opened[session] = ~is_open & (now >= threshold)
        is_open = (is_open | opened[session]) & ~(now <= release * threshold)
    return opened


def thresholds(score: Floats, how_many: int) -> Floats:
    """Thresholds that cover what is worth comparing: a few to very many openings."""
    values = score[np.isfinite(score) & (score > 0)]
    return np.unique(np.quantile(values, np.linspace(0.55, 0.999, how_many)))


def _running(pomp: Floats, score: Callable[[Floats, "_Past"], Floats]) -> Floats:
    """A statistic of each rating beside the client's earlier ones."""
    past, told = _Past(pomp.shape[1]), np.full(pomp.shape, np.nan)
    for session, now in enumerate(pomp):
        rated = ~np.isnan(now)
        told[session] = np.where(
            rated & (past.ratings >= BEFORE_COMPARING), score(now, past), np.nan
        )
        past.add(now, rated)
    return told


class _Past:
    """Mean, spread, mean moving range and last of each client's earlier ratings."""

    def __init__(self, clients: int) -> None:
        self.ratings = np.zeros(clients)
        self.mean = np.zeros(clients)
        self._squares = np.zeros(clients)
        self._ranges = np.zeros(clients)
        self.last = np.full(clients, np.nan)

    def add(self, now: Floats, rated: Flags) -> None:
        moved = np.where(np.isnan(self.last) | ~rated, 0.0, np.abs(now - self.last))
        self._ranges += moved
        self.ratings += rated
        apart = np.where(rated, now - self.mean, 0.0)
        self.mean += apart / np.maximum(self.ratings, 1)
        self._squares += apart * np.where(rated, now - self.mean, 0.0)
        self.last = np.where(rated, now, self.last)

    @property
    def spread(self) -> Floats:
        return np.sqrt(self._squares / np.maximum(self.ratings - 1, 1))

    @property
    def moving_range(self) -> Floats:
        return self._ranges / np.maximum(self.ratings - 1, 1)


def _mean_and_spread(pomp: Floats, p: Parameters) -> Floats:
    return _running(pomp, lambda now, past: (past.mean - now) / np.maximum(past.spread, _least(p)))


def _individuals_chart(pomp: Floats, p: Parameters) -> Floats:
    return _running(
        pomp, lambda now, past: (past.mean - now) / np.maximum(past.moving_range / 1.128, _least(p))
    )


def _ewma(pomp: Floats, p: Parameters) -> Floats:
    smoothed = np.zeros(pomp.shape[1])

    def score(now: Floats, past: _Past) -> Floats:
        nonlocal smoothed
        apart = np.where(past.ratings > 0, past.mean - now, 0.0) / p.spread_within
        smoothed = np.where(np.isnan(now), smoothed, 0.4 * apart + 0.6 * smoothed)
        return smoothed

    return _running(pomp, score)


def _cusum(pomp: Floats, p: Parameters) -> Floats:
    total = np.zeros(pomp.shape[1])

    def score(now: Floats, past: _Past) -> Floats:
        nonlocal total
        apart = np.where(past.ratings > 0, past.mean - now, 0.0) / p.spread_within - 0.5
        total = np.where(np.isnan(now), total, np.maximum(0.0, total + apart))
        return total

    return _running(pomp, score)


def _drop(pomp: Floats, p: Parameters) -> Floats:
    """The fall since the last rating, in units of a reliable change (1.96·√2·σ0)."""
    past, told = np.full(pomp.shape[1], np.nan), np.full(pomp.shape, np.nan)
    for session, now in enumerate(pomp):
        told[session] = (past - now) / (1.96 * 2**0.5 * p.spread_within)
        past = np.where(np.isnan(now), past, now)
    return told


def _level(pomp: Floats, p: Parameters) -> Floats:
    """Below a cut-off for everybody, as the rule of the Session Rating Scale has it (36 of 40)."""
    return 100 - pomp


def _least(p: Parameters) -> float:
    """The least spread that a chart believes: a client's four equal ratings prove no precision."""
    return 0.3 * p.spread_within


COMPARATORS = (
    Comparator("running mean − k·SD", _mean_and_spread),
    Comparator("EWMA", _ewma),
    Comparator("CUSUM", _cusum),
    Comparator("X-mR chart", _individuals_chart),
    Comparator("drop ≥ reliable change", _drop),
    Comparator("below a cut-off (SRS)", _level, release=1.0),
)


def change_point_openings(courses: Courses, penalty: float) -> Flags:
    """`ruptures` Pelt over each whole course, afterwards: an opening where a lower segment begins.

    It knows the future of every session, so it is an upper reference and no rival.
    """
    opened = np.zeros(courses.real.shape, dtype=bool)
    for client, pomp in enumerate(courses.steps.pomp.T):
        rated = np.flatnonzero(~np.isnan(pomp))
        if rated.size < 2 * BEFORE_COMPARING:
            continue
        signal = pomp[rated]
        search = change_points.Pelt(model="l2", min_size=2, jump=1).fit(signal)
        ends = [0, *search.predict(pen=penalty)]
        means = [signal[a:b].mean() for a, b in pairwise(ends)]
        for begin, (before, after) in zip(ends[1:], pairwise(means), strict=False):
            opened[rated[begin], client] = after < before
    return opened


def penalties(p: Parameters, how_many: int) -> Sequence[float]:
    """Penalties of the change-point search, in units of the noise: few openings to many."""
    return [float(each) * p.spread_within**2 for each in np.geomspace(2.0, 20.0, how_many)]
