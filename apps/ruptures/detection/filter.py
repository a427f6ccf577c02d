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
    regimes = _predict(state, step, noise, p) if state.steps else state.regimes
    steady, rupture, settled = regimes

    # 3. What is usual for this client now, before looking at the rating.
    expected, spread = steady.mean, sqrt(steady.variance + noise)
    prior = rupture.weight

    # 4. Beside the rating. A series' first one has nothing to be compared with: it only teaches.
    l0 = l1 = l2 = 1.0
    error0 = error1 = error2 = 0.0
    if step.pomp is not None:
        steady, l0, error0 = _fit(steady, step.pomp - steady.mean, noise, p)
        rupture, l1, error1 = _fit(rupture, step.pomp - rupture.mean + p.fall, noise, p)
        if settled.weight:
            settled, l2, error2 = _fit(settled, step.pomp - settled.mean, noise, p)
        if state.rated == 0:
            l0 = l1 = l2 = 1.0

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
    total = u0 + u1 + u2
    posterior = u1 / total
    steady = Regime(u0 / total, steady.mean, steady.variance)
    rupture = Regime(posterior, rupture.mean, rupture.variance)
    settled = Regime(u2 / total, settled.mean, settled.variance)

    # 7. Learn the noise from the second rating on.
    noise_sum, noise_count = state.noise_sum, state.noise_count
    if rated and state.rated >= 1:
        noise_sum += noise * (
            steady.weight * error0 + rupture.weight * error1 + settled.weight * error2
        )
        noise_count += 1

    level = _level(posterior, step, p)
    event = _event(state, step, posterior, settled.weight, p)
    if event is Event.SETTLED_LOWER:
        steady = settled._replace(weight=1.0)
        rupture = rupture._replace(weight=0.0)
        settled = settled._replace(weight=0.0)
    open_after, peak = _episode_after(state, event, posterior, p)
    after = State(
        regimes=(steady, rupture, settled),
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
    (w0, m0, v0), (w1, m1, v1), (w2, m2, v2) = [
        (weight, min(100.0, mean + growth), min(ceiling, variance + widened))
        for weight, mean, variance in state.regimes
    ]
    stays = 1 - p.hazard
    into_steady = [(stays * w0, m0, v0), (p.exit * w1, m1, v1)]
    into_rupture = [(p.hazard * w0, m0, v0), ((1 - p.exit - p.settle) * w1, m1, v1)]
    into_settled = into_steady if not state.open else []
    into_settled.append((p.settle * w1, m1 - p.fall, v1))
    if w2:
        into_rupture.append((p.hazard * w2, m2, v2))
        into_settled.append((stays * w2, m2, v2))
    return (
        _pool(into_steady),
        _pool(into_rupture),
        _pool(into_settled) if state.open else Regime(0.0, m2, v2),
    )


def _pool(sources: list[tuple[float, float, float]]) -> Regime:
    """One regime with the weight of all (weight, mean, variance), and their common moments."""
    # Comprehensions, for generators would make up a tenth of a step.
    total = sum([weight for weight, _, _ in sources])
    mean = sum([weight * mean for weight, mean, _ in sources]) / total
    squares = sum([weight * (variance + (each - mean) ** 2) for weight, each, variance in sources])
    return Regime(total, mean, squares / total)


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
