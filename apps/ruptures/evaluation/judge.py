"""Counting: which openings fell into a rupture, and which ruptures had one.

A rupture is *found* if something opens while it lasts. An opening outside of every rupture is
*false*, unless it comes within `GRACE` sessions of a rupture's end, where it counts for neither:
it is late, not wrong.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .populations import NO_RUPTURE, Courses

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
GRACE = 2
RATES = (1.0, 2.0, 3.0, 4.0)
"""False openings per 100 rated sessions outside of ruptures at which methods are compared."""
DEPTHS = {"shallow": (0.0, 1.5), "middling": (1.5, 2.2), "deep": (2.2, 9.0)}
"""Depth of a rupture in σ0, from and below."""


class Counts(NamedTuple):
    """What came of a way to open, by client; `delay`: sessions until found, summed."""

    false: Floats
    calm: Floats
    true: Floats
    found: Floats
    ruptures: Floats
    delay: Floats
    found_by_depth: dict[str, tuple[int, int]]


class Figures(NamedTuple):
    """False openings per 100 rated sessions outside of ruptures, and the shares of ruptures found
    and of openings that were right; `delay` in sessions after the first of the rupture."""

    false_per_100: float
    recall: float
    ppv: float
    delay: float


class AtRate(NamedTuple):
    """Recall, PPV and delay at one false-opening rate, with the 95 % interval of the recall."""

    rate: float
    recall: float
    low: float
    high: float
    ppv: float
    delay: float


def count(openings: Flags, courses: Courses) -> Counts:
    """Judge one way to open, given where it opened."""
    clients = openings.shape[1]
    inside = courses.rupture != NO_RUPTURE
    rated = ~np.isnan(courses.steps.pomp)
    late = np.zeros_like(inside)
    for sessions in range(1, GRACE + 1):
        late[sessions:] |= inside[:-sessions]
    false = openings & courses.real & ~inside & ~late
    first = np.full(courses.depths.size, np.iinfo(np.int64).max)
    began = first.copy()
    session = np.broadcast_to(np.arange(openings.shape[0])[:, None], openings.shape)
    hits = openings & inside
    np.minimum.at(first, courses.rupture[hits], session[hits])
    np.minimum.at(began, courses.rupture[inside], session[inside])
    found = first < np.iinfo(np.int64).max
    return Counts(
        false=false.sum(axis=0).astype(float),
        calm=(rated & ~inside).sum(axis=0).astype(float),
        true=hits.sum(axis=0).astype(float),
        found=_by_client(courses.client[found], np.ones(found.sum()), clients),
        ruptures=_by_client(courses.client, np.ones(found.size), clients),
        delay=_by_client(courses.client[found], (first - began)[found], clients),
        found_by_depth={
            name: (int(found[these].sum()), int(these.sum()))
            for name, (low, high) in DEPTHS.items()
            for these in [(low <= courses.depths) & (courses.depths < high)]
        },
    )


def figures(counts: Counts) -> Figures:
    false, calm, true, found, ruptures, delay = (each.sum() for each in counts[:6])
    return Figures(
        false_per_100=100 * false / calm,
        recall=_share(found, ruptures),
        ppv=_share(true, true + false),
        delay=_share(delay, found),
    )


def at_rates(
    sweep: Sequence[Counts], *, rates: Sequence[float] = RATES, resamples: int, seed: int
) -> list[AtRate]:
    """Recall at the same false-opening rates for every method, read off between two thresholds.

    The interval resamples clients, so that it holds for other clients of the same therapists' mix.
    """
    points = [figures(counts) for counts in sweep]
    rng = np.random.default_rng(seed)
    clients = sweep[0].false.size
    weights = rng.multinomial(clients, np.full(clients, 1 / clients), size=resamples).astype(float)
    false, calm, found, ruptures = (
        np.stack([getattr(counts, name) for counts in sweep]) @ weights.T
        for name in ("false", "calm", "found", "ruptures")
    )
    resampled = 100 * false / calm, found / np.maximum(ruptures, 1)
    told = []
    for rate in rates:
        recalls = [
            _read_off(rate, resampled[0][:, each], resampled[1][:, each], best=True)
            for each in range(resamples)
        ]
        low, high = np.quantile(recalls, (0.025, 0.975))
        xs = np.array([point.false_per_100 for point in points])
        recall, ppv, delay = (
            _read_off(
                rate,
                xs,
                np.nan_to_num([getattr(point, name) for point in points]),
                best=name == "recall",
            )
            for name in ("recall", "ppv", "delay")
        )
        told.append(AtRate(rate, recall, float(low), float(high), ppv, delay))
    return told


def _read_off(rate: float, rates: Floats, values: Floats, *, best: bool = False) -> float:
    """The value at a rate; `best`: or at a lower one, if it is higher there.

    What is open already when a rupture begins does not open again, so that a method may find
    fewer where it opens more; nobody would then let it.
    """
    order = np.argsort(rates, kind="stable")
    along = np.maximum.accumulate(values[order]) if best else values[order]
    return float(np.interp(rate, rates[order], along))


def _by_client(client: NDArray[np.int64], values: ArrayLike, clients: int) -> Floats:
    return np.bincount(client, values, clients).astype(float)


def _share(part: float, whole: float) -> float:
    return float(part / whole) if whole else float("nan")
