"""The switching filter over many series at once: one array operation per step for all of them.

Gives the numbers of `filter.screen` to 1e-12 and the same events; the numbered comments are the
same steps. For replay, re-estimation and evaluation, where thousands of courses are screened in
one go. The only module here that needs numpy: import it where it is used, so that serving a page
does not pay for it.

>>> from apps.ruptures.detection import FORM5
>>> columns = Steps.of([Step(pomp=pomp) for pomp in (75, 75, 80, 80, 55, 70, 70)])
>>> screenings = screen_all(columns, [5, 2], FORM5)
>>> [EVENTS[code] for code in screenings.event[3:5]], screenings.posterior[4].round(6)
([None, <Event.OPENED: 'opened'>], np.float64(0.597164))
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .filter import USUAL_RANGE_Z
from .parameters import Parameters
from .records import Event, Step, Verdict

Floats = NDArray[np.float64]
Codes = NDArray[np.int8]
Flags = NDArray[np.bool_]

EVENTS: tuple[Event | None, ...] = (None, *Event)
"""What the codes in `Screenings.event` stand for."""
VERDICTS: tuple[Verdict | None, ...] = (None, *Verdict)
"""What the codes in `Steps.verdict` stand for."""
UNANSWERED = -1

AT_ONCE = 16384
"""Series in one pass: what they need at a step then stays in the processor's cache."""

TINY = 1e-300

_OPENED, _ESCALATED, _IMPROVING, _CONTINUES, _REPAIRED, _SETTLED = range(1, len(EVENTS))


class Steps(NamedTuple):
    """The steps of many series as columns: see `screen_all` and `screen_table` for their order.

    As `Step`, with NaN for a `pomp` or `gap_days` that is not there and -1 for an answer that was
    not given. `verdict`: what a person recorded about the episode before this step, by its place
    in `VERDICTS`.
    """

    pomp: Floats
    asked: Flags
    tension: Codes
    resolved: Codes
    therapist_tension: Codes
    therapist_resolved: Codes
    no_shows: NDArray[np.integer[Any]]
    gap_days: Floats
    verdict: Codes

    @classmethod
    def of(cls, steps: Iterable[Step], verdicts: Sequence[Verdict | None] | None = None) -> Self:
        """Columns of `steps`, with the verdict before each where given."""
        steps = list(steps)
        answers = {
            name: _codes(getattr(step, name) for step in steps)
            for name in ("tension", "resolved", "therapist_tension", "therapist_resolved")
        }
        return cls(
            pomp=np.array([step.pomp for step in steps], dtype=float),
            asked=np.array([step.asked for step in steps], dtype=bool),
            no_shows=np.array([step.no_shows for step in steps], dtype=np.int16),
            gap_days=np.array([step.gap_days for step in steps], dtype=float),
            verdict=np.array(
                [VERDICTS.index(verdict) for verdict in verdicts or [None] * len(steps)],
                dtype=np.int8,
            ),
            **answers,
        )


class Screenings(NamedTuple):
    """What each step says, as columns in the order of `Steps`; see `records.Screening`.

    `spread`: the predictive standard deviation about `expected`. `event` holds places in
    `EVENTS`. The last five columns are the evidence, in nats. `z` is NaN where unrated.
    """

    pomp: Floats
    prior: Floats
    expected: Floats
    spread: Floats
    noise_variance: Floats
    posterior: Floats
    level: Codes
    event: Codes
    score: Floats
    client: Floats
    therapist: Floats
    no_show: Floats
    missing: Floats

    @classmethod
    def empty(cls, pomp: Floats) -> Self:
        """Room for what will be said of these ratings."""
        kinds = ("i1" if name in ("level", "event") else "f8" for name in cls._fields[1:])
        return cls(pomp, *(np.empty(pomp.shape, kind) for kind in kinds))

    @property
    def low(self) -> Floats:
        return self.expected - USUAL_RANGE_Z * self.spread

    @property
    def high(self) -> Floats:
        return self.expected + USUAL_RANGE_Z * self.spread

    @property
    def z(self) -> Floats:
        return (self.pomp - self.expected) / self.spread


class _Regimes(NamedTuple):
    """`records.Regime` of many series."""

    weight: Floats
    mean: Floats
    variance: Floats


@dataclass
class _State:
    """`records.State` of many series. The regimes' arrays are (3, series)."""

    regimes: _Regimes
    noise_sum: Floats
    rated: Floats
    asked: Floats
    missed: Floats
    open: Flags
    peak: Codes

    @classmethod
    def start(cls, count: int, p: Parameters) -> Self:
        return cls(
            regimes=_Regimes(
                np.repeat([[1 - p.hazard], [p.hazard], [0.0]], count, axis=1),
                np.full((3, count), p.mean_first),
                np.full((3, count), p.spread_between**2),
            ),
            noise_sum=np.zeros(count),
            rated=np.zeros(count),
            asked=np.zeros(count),
            missed=np.zeros(count),
            open=np.zeros(count, dtype=bool),
            peak=np.zeros(count, dtype=np.int8),
        )


def screen_all(steps: Steps, lengths: ArrayLike, parameters: Parameters) -> Screenings:
    """Screen series that stand one after the other, each in its order, every one from its start.

    Args:
        lengths: how many steps each series has, in order; zeros are allowed.

    Raises:
        ValueError: the lengths do not add up to the steps.
    """
    lengths = np.asarray(lengths, dtype=np.int64)
    total = steps.pomp.size
    if lengths.sum() != total:
        raise ValueError(f"lengths add up to {lengths.sum()}; expected {total}, one for each step")
    begin = np.cumsum(lengths) - lengths
    out = Screenings.empty(steps.pomp)
    # Together go those of about the same length; what a table has beyond a series' end is ignored.
    by_length = np.argsort(lengths, kind="stable")
    for first in range(0, by_length.size, AT_ONCE):
        series = by_length[first : first + AT_ONCE]
        session = np.arange(lengths[series].max(initial=0))[:, None]
        real = session < lengths[series]
        rows = begin[series] + session
        rows = np.minimum(rows, total - 1)
        table = screen_table(Steps._make(column[rows] for column in steps), parameters)
        for name in Screenings._fields[1:]:
            getattr(out, name)[rows[real]] = getattr(table, name)[real]
    return out


def screen_table(steps: Steps, parameters: Parameters, *, at_once: int = AT_ONCE) -> Screenings:
    """Screen series that stand side by side: each column is (sessions, series).

    Args:
        at_once: series in one pass; changes the time it takes, never a figure.
    """
    p = parameters
    out = Screenings.empty(steps.pomp)
    sessions, series = steps.pomp.shape
    # In equal parts: a small rest would cost as many calls as a whole part.
    parts = -(-series // at_once)
    for chunk in (
        slice(series * part // parts, series * (part + 1) // parts) for part in range(parts)
    ):
        state = _State.start(chunk.stop - chunk.start, p)
        for index in range(sessions):
            _screen(
                state,
                index,
                Steps._make(column[index, chunk] for column in steps),
                Screenings._make(column[index, chunk] for column in out),
                p,
            )
    return out


def _screen(state: _State, index: int, step: Steps, out: Screenings, p: Parameters) -> None:
    """Take the series' step number `index`; moves `state` on and fills `out`."""
    if step.verdict.any():
        _apply(step.verdict, state, p)
    weight, mean, variance = state.regimes
    is_rated = ~np.isnan(step.pomp)
    rated = is_rated.astype(float)

    # 1. Each client's noise.
    typical = p.spread_within**2
    noise = out.noise_variance
    np.add(p.noise_prior_weight * typical, state.noise_sum, out=noise)
    noise /= p.noise_prior_weight + np.maximum(state.rated - 1, 0.0)
    _clamp(noise, p.noise_floor**2 * typical, p.noise_ceiling**2 * typical)

    # 2. Predict.
    if index:
        _predict(state, index, step.gap_days, noise, p)

    # 3. What is usual.
    out.prior[:] = weight[1]
    out.expected[:] = mean[0]
    np.sqrt(variance[0] + noise, out=out.spread)

    # 4. Beside the rating. Only an open episode has a settled regime.
    pomp = np.where(is_rated, step.pomp, 0.0)
    error = pomp - mean[:2]
    error[1] += p.fall
    (l0, l1), squared_error = _fit(error, mean[:2], variance[:2], rated, noise, p)
    is_open = np.flatnonzero(state.open)
    own, unsure = mean[2, is_open], variance[2, is_open]
    l2, squared_error2 = _fit(pomp[is_open] - own, own, unsure, rated[is_open], noise[is_open], p)
    mean[2, is_open], variance[2, is_open] = own, unsure
    tells = np.where(state.rated > 0, rated, 0.0)
    silent = 1 - tells
    l0 *= tells
    l0 += silent
    l1 *= tells
    l1 += silent
    l2 *= tells[is_open]
    l2 += silent[is_open]

    # 5. Evidence.
    out.client[:] = _tension(step.tension, step.resolved, p.client_tension, p.client_resolved)
    out.therapist[:] = _tension(
        step.therapist_tension, step.therapist_resolved, p.therapist_tension, p.therapist_resolved
    )
    np.array(p.no_shows).take(step.no_shows, mode="clip", out=out.no_show)
    odds = out.client + out.therapist
    odds += out.no_show
    np.exp(odds, out=odds)
    if index:
        ratio = _silence(state, is_rated, step.asked, p)
        np.log(ratio, out=out.missing)
        odds *= ratio
    else:
        out.missing[:] = 0.0

    # 6. Weigh.
    elsewhere = weight[0] + weight[2]
    weight[0] *= l0
    weight[1] *= l1
    weight[2, is_open] *= l2
    elsewhere /= weight[0] + weight[2]
    elsewhere *= l1
    np.log(elsewhere, out=out.score)
    weight[1] *= odds
    weight /= weight[0] + weight[1] + weight[2]
    posterior = out.posterior
    posterior[:] = weight[1]

    # 7. Learn the noise.
    squared_error *= weight[:2]
    learnt = squared_error[0] + squared_error[1]
    learnt[is_open] += weight[2, is_open] * squared_error2
    learnt *= noise
    learnt *= tells
    state.noise_sum += learnt
    state.rated += rated
    state.asked += step.asked.astype(float)
    state.missed += (step.asked & ~is_rated).astype(float)

    direct = is_rated | (step.tension > 0) | (step.therapist_tension > 0)
    heard_from_client = is_rated | (step.tension != UNANSWERED)
    possible, marked = (posterior >= each - p.tolerance for each in (p.possible, p.marked))
    watch = posterior >= p.watch - p.tolerance
    np.add(possible & direct, marked & direct, out=out.level, dtype=np.int8)
    np.add(out.level, watch, out=out.level)
    out.event[:] = 0
    moving = np.flatnonzero(state.open | (possible & direct))
    out.event[moving] = _move_episodes(
        state,
        moving,
        direct[moving],
        heard_from_client[moving],
        possible[moving],
        marked[moving],
        p,
    )


def _predict(state: _State, index: int, gap_days: Floats, noise: Floats, p: Parameters) -> None:
    weight, mean, variance = state.regimes
    ceiling = p.spread_between**2
    if index <= p.growth_steps:
        mean += p.growth
    np.minimum(mean, 100.0, out=mean)
    variance += p.drift * noise
    long_gap = gap_days >= p.gap_days
    if long_gap.any():
        variance[:, long_gap] += p.gap_fraction * ceiling
    np.minimum(variance, ceiling, out=variance)

    (w0, w1, w2), (_, m1, m2), (_, v1, v2) = weight.copy(), mean.copy(), variance.copy()
    steady, rupture = (_Regimes(*(each[row] for each in state.regimes)) for row in (0, 1))
    stays, leaves = (
        np.array([[1 - p.hazard], [p.hazard]]),
        np.array([[p.exit], [1 - p.exit - p.settle]]),
    )
    # Into steady and into rupture, from both; then what comes from, or settles, below.
    upper = _pool(steady._replace(weight=stays * w0), rupture._replace(weight=leaves * w1))
    lower = _pool(_Regimes((1 - p.hazard) * w2, m2, v2), _Regimes(p.settle * w1, m1 - p.fall, v1))
    is_open = state.open.astype(float)
    weight[2] = lower.weight * is_open
    mean[2], variance[2] = lower.mean, lower.variance
    from_below = _Regimes(*(np.stack(each) for each in zip(lower, (w2, m2, v2), strict=True)))
    from_below.weight[0] -= weight[2]
    from_below.weight[1] *= p.hazard
    weight[:2], mean[:2], variance[:2] = _pool(upper, from_below)


def _pool(one: _Regimes, other: _Regimes) -> _Regimes:
    """Both as one regime; where both are empty, `one`."""
    total = one.weight + other.weight
    share = other.weight / np.maximum(total, TINY)
    apart = other.mean - one.mean
    mean = share * apart
    mean += one.mean
    variance = other.variance - one.variance
    apart *= apart
    variance = variance + apart * (1 - share)
    variance *= share
    variance += one.variance
    return _Regimes(total, mean, variance)


def _fit(
    error: Floats, mean: Floats, variance: Floats, rated: Floats, noise: Floats, p: Parameters
) -> tuple[Floats, Floats]:
    """How well regimes explain the ratings, and the squared error; teaches mean and variance."""
    usual, sharp, distance = _density(error, variance + noise, 1 - p.outlier_share)
    outlying, dull, _ = _density(
        error, variance + (1 + p.outlier_variance) * noise, p.outlier_share
    )
    likelihood = usual
    likelihood += outlying
    r = outlying
    r /= likelihood
    straight = 1 - r
    sharp *= straight
    dull *= r
    gain = sharp
    gain += dull
    gain *= variance
    gain *= rated
    squared_error = np.minimum(distance, 4.0, out=distance)
    squared_error *= straight
    r *= 4
    squared_error += r
    error *= gain
    mean += error
    _clamp(mean, np.where(rated, 0.0, -np.inf), 100.0)
    variance *= 1 - gain
    return likelihood, squared_error


def _density(error: Floats, variance: Floats, share: float) -> tuple[Floats, Floats, Floats]:
    """`share` of a normal density (less √2π) at `error`; the precision; the squared distance."""
    precision = np.reciprocal(variance, out=variance)
    distance = error * error
    distance *= precision
    density = -0.5 * distance
    np.exp(density, out=density)
    density *= np.sqrt(precision)
    density *= share
    return density, precision, distance


def _tension(
    tension: Codes,
    resolved: Codes,
    tension_table: tuple[float, ...],
    resolved_table: tuple[float, ...],
) -> Floats:
    table = np.zeros((len(tension_table) + 1, len(resolved_table) + 1))
    table[1:] = np.array(tension_table)[:, None]
    table[2:, 1:] += resolved_table
    place = tension + np.int8(1)
    place *= np.int8(table.shape[1])
    place += resolved
    place += np.int8(1)
    return table.ravel().take(place)


def _silence(state: _State, rated: Flags, asked: Flags, p: Parameters) -> Floats:
    """How much more often this form is so answered, or left, in a rupture; 1 where not asked."""
    usual = (1 + state.missed) / (10 + state.asked)
    in_rupture = usual + p.silence_lift * (1 - usual)
    ratio = np.where(rated, (1 - in_rupture) / (1 - usual), in_rupture / usual)
    return np.where(asked, ratio, 1.0)


def _apply(verdict: Codes, state: _State, p: Parameters) -> None:
    """What people recorded before the step, as `filter.after_verdict`."""
    not_a_rupture, repaired, settled_lower = (
        verdict == VERDICTS.index(each)
        for each in (Verdict.NOT_A_RUPTURE, Verdict.REPAIRED, Verdict.SETTLED_LOWER)
    )
    weight, mean, variance = state.regimes
    forget = not_a_rupture | (repaired & state.open)
    weight[:, forget] = [[1 - p.hazard], [p.hazard], [0.0]]
    settle = settled_lower & state.open
    unsettled = settle & (weight[2] == 0)
    mean[2, unsettled] = np.maximum(0.0, mean[1, unsettled] - p.fall)
    variance[2, unsettled] = variance[1, unsettled]
    _settle(state, np.flatnonzero(settle))
    state.open &= ~(forget | settle)
    state.peak *= state.open


def _settle(state: _State, which: NDArray[np.intp]) -> None:
    """The lower level is the usual one from now on."""
    weight, mean, variance = state.regimes
    mean[0, which], variance[0, which] = mean[2, which], variance[2, which]
    weight[:, which] = [[1.0], [0.0], [0.0]]


def _move_episodes(
    state: _State,
    moving: NDArray[np.intp],
    direct: Flags,
    heard_from_client: Flags,
    possible: Flags,
    marked: Flags,
    p: Parameters,
) -> Codes:
    """What the step does to the episodes that are `moving`, the first that applies."""
    was_open, peak = state.open[moving], state.peak[moving]
    _, posterior, settled = state.regimes.weight[:, moving]
    event = np.where(possible, _CONTINUES, _IMPROVING).astype(np.int8)
    event[marked & (peak == 1) & direct] = _ESCALATED
    event[(posterior <= p.close + p.tolerance) & heard_from_client] = _REPAIRED
    event[settled >= p.settled - p.tolerance] = _SETTLED
    event[~was_open] = _OPENED
    settles = event == _SETTLED
    if settles.any():
        _settle(state, moving[settles])
    peak = np.maximum(peak, 1 + (marked & direct))
    peak[settles | (event == _REPAIRED)] = 0
    state.open[moving], state.peak[moving] = peak > 0, peak
    return event


def _clamp(values: Floats, low: ArrayLike, high: float) -> Floats:
    np.maximum(values, low, out=values)
    return np.minimum(values, high, out=values)


def _codes(answers: Iterable[int | None]) -> Codes:
    return np.array([UNANSWERED if each is None else each for each in answers], dtype=np.int8)
