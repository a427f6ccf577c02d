"""One step of the switching filter. The numbered comments are the steps of docs/detection.md.

A client's ratings come from one of three regimes: *steady* around the client's own baseline, a
*rupture* that lies δ below it, or, while an episode is open, *settled* at a lower level. Each
regime keeps a weight and a belief about the baseline (mean, variance); each step predicts,
weighs the new signals and pools the regimes again (Kim & Nelson 1999, ch. 5). The client's own
noise is learnt alongside, and far-out ratings are down-weighted by a two-part normal mixture.

One step takes the same time however long the treatment is: everything earlier is in `State`.
"""

from collections.abc import Iterable
from dataclasses import replace
from math import exp, log, sqrt
from typing import NamedTuple

from .parameters import Parameters
from .records import Event, Evidence, Level, Regime, Screening, State, Step, Verdict

USUAL_RANGE_Z = 1.645
"""The usual range holds nine of ten steady ratings: ± 1.645 standard deviations."""

LIKELIHOOD_FLOOR = 1e-300


class _Fit(NamedTuple):
    """One regime beside one rating: how well it explains it, and what it learns from it."""

    regime: Regime
    likelihood: float
    squared_error: float


def start(parameters: Parameters) -> State:
    """The state before a series' first session: nothing known of this client."""
    unknown = Regime(0.0, parameters.mean_first, parameters.spread_between**2)
    return State(regimes=_unsuspecting(unknown, unknown, unknown, parameters))


def screen(state: State, step: Step, parameters: Parameters) -> tuple[State, Screening]:
    """Take one step; return the state after it and what the step says.

    The same state, step and parameters always give the same numbers, so a session may be
    screened anew from the state before it whenever its rating arrives or its form expires.
    """
    p = parameters
    rated = step.pomp is not None

    # 1. This client's noise: the published value, pulled towards what the ratings show.
    typical = p.spread_within**2
    learnt = (p.noise_prior_weight * typical + state.noise_sum) / (
        p.noise_prior_weight + state.noise_count
    )
    noise = _clamp(learnt, p.noise_floor**2 * typical, p.noise_ceiling**2 * typical)

    # 2. Predict.
    predicted = _predict(state, step, noise, p) if state.steps else state.regimes
    steady, rupture, settled = predicted

    # 3. What is usual for this client now, before looking at the rating.
    expected, spread = steady.mean, sqrt(steady.variance + noise)
    prior = rupture.weight

    # 4. Beside the rating. A series' first one has nothing to be compared with: it only teaches.
    if step.pomp is None:
        fits = [_Fit(regime, 1.0, 0.0) for regime in predicted]
    else:
        falls = (0.0, p.fall, 0.0)
        fits = [
            _fit(regime, step.pomp - regime.mean + fall, noise, p)
            for regime, fall in zip(predicted, falls, strict=True)
        ]
        if state.rated == 0:
            fits = [fit._replace(likelihood=1.0) for fit in fits]
    l0, l1, l2 = (fit.likelihood for fit in fits)

    # 5. Evidence, in nats.
    elsewhere = (steady.weight * l0 + settled.weight * l2) / (steady.weight + settled.weight)
    evidence = Evidence(
        score=log(l1) - log(elsewhere),
        client=_tension(step.tension, step.resolved, p.client_tension, p.client_resolved),
        therapist=_tension(
            step.therapist_tension,
            step.therapist_resolved,
            p.therapist_tension,
            p.therapist_resolved,
        ),
        no_show=p.no_shows[min(step.no_shows, len(p.no_shows) - 1)],
        missing=_silence(state, step, p),
    )

    # 6. Weigh.
    u0 = steady.weight * l0
    u1 = rupture.weight * l1 * exp(evidence.beside_score)
    u2 = settled.weight * l2
    weights = [u / (u0 + u1 + u2) for u in (u0, u1, u2)]
    posterior = weights[1]
    after_steady, after_rupture, after_settled = (
        Regime(weight, fit.regime.mean, fit.regime.variance)
        for fit, weight in zip(fits, weights, strict=True)
    )

    # 7. Learn the noise from the second rating on.
    noise_sum, noise_count = state.noise_sum, state.noise_count
    if rated and state.rated >= 1:
        noise_sum += noise * sum(
            weight * fit.squared_error for fit, weight in zip(fits, weights, strict=True)
        )
        noise_count += 1

    level = _level(posterior, step, p)
    event = _event(state, step, posterior, after_settled.weight, p)
    if event is Event.SETTLED_LOWER:
        after_steady = after_settled._replace(weight=1.0)
        after_rupture = after_rupture._replace(weight=0.0)
        after_settled = after_settled._replace(weight=0.0)
    open_after, peak = _episode_after(state, event, posterior, p)
    after = State(
        regimes=(after_steady, after_rupture, after_settled),
        noise_sum=noise_sum,
        noise_count=noise_count,
        steps=state.steps + 1,
        rated=state.rated + rated,
        asked=state.asked + step.asked,
        missed=state.missed + (step.asked and not rated),
        open=open_after,
        peak=peak,
    )
    return after, Screening(
        pomp=step.pomp,
        prior=prior,
        expected=expected,
        low=expected - USUAL_RANGE_Z * spread,
        high=expected + USUAL_RANGE_Z * spread,
        z=None if step.pomp is None else (step.pomp - expected) / spread,
        noise_variance=noise,
        evidence=evidence,
        posterior=posterior,
        level=level,
        event=event,
    )


def replay(steps: Iterable[Step], parameters: Parameters) -> tuple[State, list[Screening]]:
    """Screen a whole series from its start; the state after it and one screening per step."""
    state, screenings = start(parameters), []
    for step in steps:
        state, screening = screen(state, step, parameters)
        screenings.append(screening)
    return state, screenings


def after_verdict(state: State, verdict: Verdict, parameters: Parameters) -> State:
    """A person's word about an episode, recorded between two steps.

    *Not a rupture* forgets the suspicion and keeps the baselines and counts. *Repaired* does the
    same where the filter still holds the episode open. *Settled lower* makes the fall's level the
    usual one, as the filter's own event does; where there is no settled regime yet, the level of
    the fall stands in for it. A verdict that finds no open episode changes nothing else.
    """
    closed = replace(state, open=False, peak=0)
    steady, rupture, settled = state.regimes
    if verdict is Verdict.NOT_A_RUPTURE or (verdict is Verdict.REPAIRED and state.open):
        return replace(closed, regimes=_unsuspecting(steady, rupture, settled, parameters))
    if verdict is Verdict.SETTLED_LOWER and state.open:
        lower = settled
        if not settled.weight:
            lower = rupture._replace(mean=max(0.0, rupture.mean - parameters.fall))
        regimes = (
            lower._replace(weight=1.0),
            rupture._replace(weight=0.0),
            settled._replace(weight=0.0),
        )
        return replace(closed, regimes=regimes)
    return state


def _unsuspecting(
    steady: Regime, rupture: Regime, settled: Regime, p: Parameters
) -> tuple[Regime, Regime, Regime]:
    return (
        steady._replace(weight=1 - p.hazard),
        rupture._replace(weight=p.hazard),
        settled._replace(weight=0.0),
    )


def _predict(
    state: State, step: Step, noise: float, p: Parameters
) -> tuple[Regime, Regime, Regime]:
    """Move the baselines on by a session, then let each regime flow into the others and pool."""
    growth = p.growth if state.steps <= p.growth_steps else 0.0
    ceiling = p.spread_between**2
    widened = p.drift * noise
    if step.gap_days is not None and step.gap_days >= p.gap_days:
        widened += p.gap_fraction * ceiling
    moved = [
        Regime(weight, min(100.0, mean + growth), min(ceiling, variance + widened))
        for weight, mean, variance in state.regimes
    ]
    steady, rupture, settled = moved
    stays_steady = _flow(steady, 1 - p.hazard)
    is_repaired = _flow(rupture, p.exit)
    stays_settled = _flow(settled, 1 - p.hazard)
    settles = Regime(p.settle * rupture.weight, rupture.mean - p.fall, rupture.variance)
    into_rupture = [
        _flow(steady, p.hazard),
        _flow(rupture, 1 - p.exit - p.settle),
        _flow(settled, p.hazard),
    ]
    if state.open:
        into_steady, into_settled = [stays_steady, is_repaired], [stays_settled, settles]
    else:
        into_steady, into_settled = [stays_steady, is_repaired, stays_settled, settles], []
    return (
        _pool(into_steady, otherwise=steady),
        _pool(into_rupture, otherwise=rupture),
        _pool(into_settled, otherwise=settled),
    )


def _flow(regime: Regime, share: float) -> Regime:
    return Regime(share * regime.weight, regime.mean, regime.variance)


def _pool(sources: list[Regime], *, otherwise: Regime) -> Regime:
    """One regime with the sources' total weight, mean and variance; empty, `otherwise` at 0."""
    # Comprehensions, for generators would make up a tenth of a step.
    total = sum([weight for weight, _, _ in sources])
    if total == 0:
        return otherwise._replace(weight=0.0)
    mean = sum([weight * mean for weight, mean, _ in sources]) / total
    variance = (
        sum([weight * (variance + (each - mean) ** 2) for weight, each, variance in sources])
        / total
    )
    return Regime(total, mean, variance)


def _fit(regime: Regime, error: float, noise: float, p: Parameters) -> _Fit:
    """A rating that lies `error` from what the regime expects; an outlier teaches it less."""
    spread = regime.variance + noise
    wide = spread + p.outlier_variance * noise
    usual = (1 - p.outlier_share) * exp(-(error**2) / (2 * spread)) / sqrt(spread)
    outlying = p.outlier_share * exp(-(error**2) / (2 * wide)) / sqrt(wide)
    likelihood = usual + outlying + LIKELIHOOD_FLOOR
    r = outlying / likelihood
    gain = (1 - r) * regime.variance / spread + r * regime.variance / wide
    return _Fit(
        Regime(
            regime.weight,
            _clamp(regime.mean + gain * error, 0.0, 100.0),
            (1 - gain) * regime.variance,
        ),
        likelihood,
        (1 - r) * min(error**2 / spread, 4.0) + 4 * r,
    )


def _tension(
    tension: int | None,
    resolved: int | None,
    tension_table: tuple[float, ...],
    resolved_table: tuple[float, ...],
) -> float:
    if tension is None:
        return 0.0
    if tension == 0 or resolved is None:
        return tension_table[tension]
    return tension_table[tension] + resolved_table[resolved]


def _silence(state: State, step: Step, p: Parameters) -> float:
    """What an answered or unanswered form tells, beside this client's own habit so far."""
    if state.steps == 0 or not step.asked:
        return 0.0
    usual = (1 + state.missed) / (10 + state.asked)
    in_rupture = usual + p.silence_lift * (1 - usual)
    if step.pomp is None:
        return log(in_rupture / usual)
    return log((1 - in_rupture) / (1 - usual))


def _level(posterior: float, step: Step, p: Parameters) -> Level:
    thresholds = (p.watch, p.possible, p.marked)
    level = Level(sum([posterior >= threshold - p.tolerance for threshold in thresholds]))
    return level if step.direct else min(level, Level.WATCH)


def _event(
    state: State, step: Step, posterior: float, settled: float, p: Parameters
) -> Event | None:
    """What this step does to the episode: the first that applies."""
    possible = posterior >= p.possible - p.tolerance
    if not state.open:
        return Event.OPENED if possible and step.direct else None
    if settled >= p.settled - p.tolerance:
        return Event.SETTLED_LOWER
    heard_from_client = step.pomp is not None or step.tension is not None
    if posterior <= p.close + p.tolerance and heard_from_client:
        return Event.REPAIRED
    if posterior >= p.marked - p.tolerance and state.peak == 1 and step.direct:
        return Event.ESCALATED
    return Event.CONTINUES if possible else Event.IMPROVING


def _episode_after(
    state: State, event: Event | None, posterior: float, p: Parameters
) -> tuple[bool, int]:
    """Whether an episode is open after the event, and how strong it has been: 0, 1 or 2."""
    if event is Event.OPENED:
        return True, 2 if posterior >= p.marked - p.tolerance else 1
    if event is Event.ESCALATED:
        return True, 2
    if event in (Event.REPAIRED, Event.SETTLED_LOWER):
        return False, 0
    return state.open, state.peak


def _clamp(value: float, low: float, high: float) -> float:
    return max(low, min(value, high))
