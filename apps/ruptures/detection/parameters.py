"""Every number of the rule, so that the rule can be read, criticised and versioned in one place.

The parameters were chosen and then judged by simulation; they were not fitted to labelled
ruptures, for there are none. A changed number is a new rule version.

The tables of answers (`client_tension` and the three after it, and `no_shows`) hold
log-likelihood ratios in nats: how much more often the answer comes from a ruptured session than
from another. They too are chosen, not fitted.

Sources: no gold standard for a rupture exists (Eubanks-Carter, Gorman & Muran 2012, Psychotherapy
Research 22:321-335). Regimes that switch and are pooled after each step: Kim & Nelson (1999),
*State-Space Models with Regime Switching*, ch. 5.
"""

from dataclasses import dataclass, replace

RULE_VERSION = "switching-filter/1"


@dataclass(frozen=True, kw_only=True)
class Parameters:
    """One questionnaire's parameter set. Ratings are POMP scores, 0-100; probabilities 0-1.

    >>> FORM5.fall
    13.125
    """

    name: str

    # How clients and their ratings differ (μ0, τ, σ0, g).
    mean_first: float
    spread_between: float
    spread_within: float
    growth: float
    growth_steps: int = 9

    # What a rupture looks like and how long it lasts (δ = depth·σ0, h, x, κ).
    depth: float = 1.75
    hazard: float = 0.05
    exit: float = 0.30
    settle: float = 0.05

    # How a baseline moves, and how fast a client's own noise is learnt (q, ν0, r_min, r_max).
    drift: float = 0.03
    noise_prior_weight: float = 6.0
    noise_floor: float = 0.6
    noise_ceiling: float = 1.8
    gap_days: float = 42.0
    gap_fraction: float = 0.25

    # Ratings far from any regime move nothing much: a share of them carries 8·R more variance.
    outlier_share: float = 0.03
    outlier_variance: float = 8.0

    # What silence, no-shows and the answers about tension tell.
    silence_lift: float = 0.15
    no_shows: tuple[float, ...] = (0.0, 0.6, 0.9)
    client_tension: tuple[float, ...] = (-0.47, 0.33, 1.22, 2.01, 2.01)
    client_resolved: tuple[float, ...] = (0.56, 0.56, 0.22, -0.31, -0.51)
    therapist_tension: tuple[float, ...] = (-0.27, 0.44, 1.10, 1.50, 1.50)
    therapist_resolved: tuple[float, ...] = (0.56, 0.56, 0.22, -0.31, -0.51)

    # Where levels and episodes begin and end.
    watch: float = 0.15
    possible: float = 0.30
    marked: float = 0.60
    close: float = 0.15
    settled: float = 0.50
    tolerance: float = 1e-9

    @property
    def fall(self) -> float:
        """How far a rupture lies below the baseline, δ, in POMP points."""
        return self.depth * self.spread_within


FORM5 = Parameters(
    name="form5", mean_first=70.0, spread_between=13.0, spread_within=7.5, growth=0.7
)
"""Forms answered on five points, such as the short forms of the Working Alliance Inventory."""

SLIDER = Parameters(
    name="slider", mean_first=87.0, spread_between=12.0, spread_within=5.5, growth=0.4
)
"""Scales from 0 to 10, such as the Rapport alliance form: rated higher, with less noise."""

PARAMETERS = {parameters.name: parameters for parameters in (FORM5, SLIDER)}
"""What a practice screens with unless it decides otherwise: rule `RULE_VERSION`."""

MORE_STEADY = {
    name: replace(
        parameters,
        depth=1.5,
        hazard=0.07,
        exit=0.35,
        settle=0.10,
        drift=0.30,
        noise_prior_weight=12.0,
        noise_floor=0.9,
        noise_ceiling=1.3,
        silence_lift=0.10,
        watch=0.10,
        possible=0.20,
        close=0.10,
    )
    for name, parameters in PARAMETERS.items()
}
"""Rule `switching-filter/2`: a baseline that moves sooner, and noise that is learnt less eagerly.

The same filter; chosen by search on simulated courses, and better on others it was not chosen on
(docs/detection.md). Not in force anywhere until a practice has replayed and confirmed it.
"""

RULES = {RULE_VERSION: PARAMETERS, "switching-filter/2": MORE_STEADY}
"""Every shipped rule by its version."""
