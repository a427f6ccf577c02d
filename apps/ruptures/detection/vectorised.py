"""The switching filter over many series at once: one array operation per step for all of them.

Gives the numbers of `filter.screen` to 1e-12 and the same events; the numbered comments are the
same steps. For replay, re-estimation and evaluation, where thousands of courses are screened in
one go. Needs numpy, as `columns` does: import it where it is used, so that serving a page does
not pay for it.

Each operation is one pass over memory, so passes are what it costs: they work in place, and what
concerns few series (open episodes, unanswered forms) is done for those alone.

>>> from apps.ruptures.detection import FORM5, Step
>>> columns = Steps.of([Step(pomp=pomp) for pomp in (75, 75, 80, 80, 55, 70, 70)])
>>> screenings = screen_all(columns, [5, 2], FORM5)
>>> [EVENTS[code] for code in screenings.event[3:5]], screenings.posterior[4].round(6)
([None, <Event.OPENED: 'opened'>], np.float64(0.597164))
"""

from collections.abc import Collection
from dataclasses import dataclass
from functools import cache
from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .beliefs import Regimes, clamp, fit, move, pool
from .columns import EVENTS, UNANSWERED, VERDICTS, Codes, Flags, Floats, Screenings, Steps
from .parameters import Parameters
from .records import Verdict

Places = NDArray[np.intp]

AT_ONCE = 16384
"""Series in one pass: what they need at a step then stays in the processor's cache."""

_OPENED, _ESCALATED, _IMPROVING, _CONTINUES, _REPAIRED, _SETTLED = range(1, len(EVENTS))


@dataclass
class _State:
    """`records.State` of many series; row 0 of `regimes` is steady, row 1 rupture.

    `settled` has weight in few series, those with an open episode or one that has just ended.
    `noise_sum` and `noise_count` begin with the published noise and its weight.
    """

    regimes: Regimes
    settled: Regimes
    noise_sum: Floats
    noise_count: Floats
    seen: Flags
    asked: NDArray[np.int32]
    missed: NDArray[np.int32]
    open: Flags
    peak: Codes

    @classmethod
    def start(cls, count: int, p: Parameters) -> Self:
        def unknown(*weights: float) -> Regimes:
            weight = np.repeat([[each] for each in weights], count, axis=1)
            mean, variance = np.full_like(weight, p.mean_first), np.empty_like(weight)
            variance[:] = p.spread_between**2
            return Regimes(weight, mean, variance)

        return cls(
            regimes=unknown(1 - p.hazard, p.hazard),
            settled=unknown(0.0)[0],
            noise_sum=np.full(count, p.noise_prior_weight * p.spread_within**2),
            noise_count=np.full(count, p.noise_prior_weight),
            seen=np.zeros(count, bool),
            asked=np.zeros(count, np.int32),
            missed=np.zeros(count, np.int32),
            open=np.zeros(count, bool),
            peak=np.zeros(count, np.int8),
        )


def screen_all(
    steps: Steps,
    lengths: ArrayLike,
    parameters: Parameters,
    *,
    wanted: Collection[str] = Screenings._fields,
) -> Screenings:
    """Screen series that stand one after the other, each in its order, every one from its start.

    Args:
        lengths: how many steps each series has, in order; zeros are allowed.
        wanted: the columns that are asked for; the others come back empty.

    Raises:
        ValueError: the lengths do not add up to the steps.
    """
    lengths = np.asarray(lengths, dtype=np.int64)
    total = steps.pomp.size
    if lengths.sum() != total:
        raise ValueError(f"lengths add up to {lengths.sum()}; expected {total}, one for each step")
    begin = np.cumsum(lengths) - lengths
    out = Screenings.empty(steps.pomp, Screenings._fields).only(wanted)
    # Together go those of about the same length; what a table has beyond a series' end is ignored.
    by_length = np.argsort(lengths, kind="stable")
    for first in range(0, by_length.size, AT_ONCE):
        series = by_length[first : first + AT_ONCE]
        session = np.arange(lengths[series].max(initial=0))[:, None]
        real = session < lengths[series]
        rows = begin[series] + session
        rows = np.minimum(rows, total - 1)
        columns = Steps._make(column[rows] for column in steps)
        table = screen_table(columns, parameters, wanted=wanted)
        for name in set(wanted) - {"pomp"}:
            getattr(out, name)[rows[real]] = getattr(table, name)[real]
    return out


def screen_table(
    steps: Steps,
    parameters: Parameters,
    *,
    wanted: Collection[str] = Screenings._fields,
    at_once: int = AT_ONCE,
) -> Screenings:
    """Screen series that stand side by side: each column is (sessions, series).

    Args:
        wanted: the columns that are asked for; the others come back empty.
        at_once: series in one pass; changes the time it takes, never a figure.
    """
    p = parameters
    out = Screenings.empty(steps.pomp, wanted)
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
    return out.only(wanted)


def _screen(state: _State, index: int, step: Steps, out: Screenings, p: Parameters) -> None:
    """Take the series' step number `index`; moves `state` on and fills `out`."""
    if step.verdict.any():
        _apply(step.verdict, state, p)
    regimes = state.regimes
    is_rated = ~np.isnan(step.pomp)

    # 1. Each client's noise.
    typical = p.spread_within**2
    noise = np.divide(state.noise_sum, state.noise_count, out=out.noise_variance)
    clamp(noise, p.noise_floor**2 * typical, p.noise_ceiling**2 * typical)

    # 2. Predict. Only an open episode has a settled regime.
    is_open = np.flatnonzero(state.open)
    settled = state.settled[is_open]
    if index:
        _predict(state, index, is_open, settled, step.gap_days, noise, p)

    # 3. What is usual.
    prior, posterior = out.prior, out.posterior
    prior[:] = regimes.weight[1]
    out.expected[:] = regimes.mean[0]
    np.add(regimes.variance[0], noise, out=out.spread)
    np.sqrt(out.spread, out=out.spread)

    # 4. Beside the rating.
    pomp = np.fmax(step.pomp, 0.0)
    error = pomp - regimes.mean
    error[1] += p.fall
    (l0, l1), squared_error = fit(regimes, error, is_rated, noise, p)
    l2, squared_error2 = fit(
        settled, pomp[is_open] - settled.mean, is_rated[is_open], noise[is_open], p
    )

    # 5. Evidence. A series' first rating has nothing to be compared with: it only teaches.
    tells = is_rated & state.seen
    w0, w2 = regimes.weight[0, is_open], settled.weight
    u0, u2 = w0 * l0[is_open], w2 * l2
    l0[is_open] = (u0 + u2) / (w0 + w2)
    score = np.divide(l1, l0, out=out.score)
    np.log(score, out=score)
    score *= tells
    _tension(step.tension, step.resolved, p.client_tension, p.client_resolved, out.client)
    _tension(
        step.therapist_tension,
        step.therapist_resolved,
        p.therapist_tension,
        p.therapist_resolved,
        out.therapist,
    )
    np.array(p.no_shows).take(step.no_shows, mode="clip", out=out.no_show)
    _silence(state, index, step.asked, is_rated, p, out.missing)

    # 6. Weigh: the odds move by the evidence, and nothing else.
    odds = score + out.client
    for each in (out.therapist, out.no_show, out.missing):
        odds += each
    np.exp(odds, out=odds)
    odds *= prior
    elsewhere = 1 - prior
    elsewhere += odds
    np.divide(odds, elsewhere, out=posterior)
    regimes.weight[1] = posterior
    np.subtract(1, posterior, out=regimes.weight[0])
    share = np.where(tells[is_open], u2 / (u0 + u2), w2 / (w0 + w2))
    settled.weight = regimes.weight[0, is_open] * share
    regimes.weight[0, is_open] -= settled.weight

    # 7. Learn the noise.
    squared_error *= regimes.weight
    learnt = squared_error[0]
    learnt += squared_error[1]
    learnt[is_open] += settled.weight * squared_error2
    learnt *= noise
    learnt *= tells
    state.noise_sum += learnt
    state.noise_count += tells
    state.seen |= is_rated
    state.settled[is_open] = settled

    direct = is_rated | (step.tension > 0) | (step.therapist_tension > 0)
    watch, possible, marked = (
        posterior >= each - p.tolerance for each in (p.watch, p.possible, p.marked)
    )
    np.add(possible & direct, marked & direct, out=out.level, dtype=np.int8)
    np.add(out.level, watch, out=out.level)
    out.event[:] = 0
    moving = np.flatnonzero(state.open | (possible & direct))
    out.event[moving] = _move_episodes(
        state,
        moving,
        direct[moving],
        (is_rated | (step.tension != UNANSWERED))[moving],
        possible[moving],
        marked[moving],
        p,
    )


def _predict(
    state: _State,
    index: int,
    is_open: Places,
    settled: Regimes,
    gap_days: Floats,
    noise: Floats,
    p: Parameters,
) -> None:
    """Move the baselines on by a session, then let each regime flow into the others and pool."""
    regimes = state.regimes
    widened = p.drift * noise
    gap = gap_days >= p.gap_days
    if gap.any():
        widened += gap * (p.gap_fraction * p.spread_between**2)
    growth = p.growth if index <= p.growth_steps else 0.0
    move(regimes, growth, widened, p)

    # What had settled in an episode that has ended is steady again: both flow alike.
    ended = np.flatnonzero(~state.open & (state.settled.weight > 0))
    move(settled, growth, widened[is_open], p)
    if ended.size:
        back = move(state.settled[ended], growth, widened[ended], p)
        regimes[0, ended] = pool(regimes[0, ended], back)
        state.settled.weight[ended] = 0.0

    # What settles is steady at once where no episode is open: beside what is repaired it makes one
    # source with the mean and variance of both.
    steady, rupture = regimes[0], regimes[1]
    settles = rupture[is_open].times(p.settle)
    settles.mean -= p.fall
    leaves, fallen = p.exit + p.settle, p.settle / (p.exit + p.settle)
    into_steady = Regimes(
        leaves * rupture.weight,
        rupture.mean - fallen * p.fall,
        rupture.variance + fallen * (1 - fallen) * p.fall**2,
    )
    into_steady[is_open] = rupture[is_open].times(p.exit)
    into_rupture = pool(steady.times(p.hazard), rupture.times(1 - leaves))
    regimes[0] = pool(steady.times(1 - p.hazard), into_steady)
    regimes[1] = into_rupture
    regimes[1, is_open] = pool(into_rupture[is_open], settled.times(p.hazard))
    settled[:] = pool(settled.times(1 - p.hazard), settles)


def _tension(
    tension: Codes,
    resolved: Codes,
    tension_table: tuple[float, ...],
    resolved_table: tuple[float, ...],
    out: Floats,
) -> None:
    table = _table(tension_table, resolved_table)
    place = tension * np.int8(1 + len(resolved_table))
    place += resolved
    place += np.int8(2 + len(resolved_table))
    table.take(place, mode="clip", out=out)


@cache
def _table(tension: tuple[float, ...], resolved: tuple[float, ...]) -> Floats:
    """Evidence by both answers; an answer that is missing stands first."""
    table = np.zeros((len(tension) + 1, len(resolved) + 1))
    table[1:] = np.array(tension)[:, None]
    table[2:, 1:] += resolved
    return table.ravel()


def _silence(
    state: _State, index: int, asked: Flags, rated: Flags, p: Parameters, out: Floats
) -> None:
    """What an answered form tells, and an unanswered one beside this client's own habit so far."""
    if index:
        np.multiply(asked, np.log(1 - p.silence_lift), out=out)
        silent = np.flatnonzero(asked & ~rated)
        usual = (1 + state.missed[silent]) / (10 + state.asked[silent])
        out[silent] = np.log(1 + p.silence_lift * (1 - usual) / usual)
        state.missed[silent] += 1
    else:
        out[:] = 0.0
        state.missed += asked & ~rated
    state.asked += asked


def _apply(verdict: Codes, state: _State, p: Parameters) -> None:
    """What people recorded before the step, as `filter.after_verdict`."""
    not_a_rupture, repaired, settled_lower = (
        verdict == VERDICTS.index(each)
        for each in (Verdict.NOT_A_RUPTURE, Verdict.REPAIRED, Verdict.SETTLED_LOWER)
    )
    regimes, settled = state.regimes, state.settled
    forget = not_a_rupture | (repaired & state.open)
    regimes.weight[:, forget] = [[1 - p.hazard], [p.hazard]]
    settled.weight[forget] = 0.0
    settle = settled_lower & state.open
    unsettled = settle & (settled.weight == 0)
    settled.mean[unsettled] = np.maximum(0.0, regimes.mean[1, unsettled] - p.fall)
    settled.variance[unsettled] = regimes.variance[1, unsettled]
    _settle(state, np.flatnonzero(settle))
    state.open &= ~(forget | settle)
    state.peak *= state.open


def _settle(state: _State, which: Places) -> None:
    """The lower level is the usual one from now on."""
    state.regimes[0, which] = state.settled[which]
    state.regimes.weight[:, which] = [[1.0], [0.0]]
    state.settled.weight[which] = 0.0


def _move_episodes(
    state: _State,
    moving: Places,
    direct: Flags,
    heard_from_client: Flags,
    possible: Flags,
    marked: Flags,
    p: Parameters,
) -> Codes:
    """What the step does to the episodes that are `moving`, the first that applies."""
    was_open, peak = state.open[moving], state.peak[moving]
    posterior, settled = state.regimes.weight[1, moving], state.settled.weight[moving]
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
