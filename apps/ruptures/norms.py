"""Local norms: what a practice's own ratings say about the figures that differ between forms.

The mean of first ratings; the noise within a client
from neighbouring rated sessions, σ0² = Σ(y_t − y_{t−1})²/(2N); the spread between clients,
τ² = max(25, Var(means) − σ0²/n_h) with the harmonic mean n_h of ratings per series. They are
proposed, never applied by themselves.
"""

from dataclasses import dataclass, replace

import numpy as np

from apps.ruptures.detection import Parameters
from apps.ruptures.replay import Past

LEAST_BETWEEN = 25.0


@dataclass(frozen=True)
class Norms:
    """μ0, τ and σ0 in POMP points, to one decimal: more would claim more than ratings hold."""

    mean_first: float
    spread_between: float
    spread_within: float

    def put_into(self, parameters: Parameters) -> Parameters:
        return replace(
            parameters,
            mean_first=self.mean_first,
            spread_between=self.spread_between,
            spread_within=self.spread_within,
        )


def local_norms(past: Past) -> Norms | None:
    """The norms of all ratings of a past; None where no two neighbouring sessions are rated."""
    pomp = past.signals.pomp
    rated = ~np.isnan(pomp)
    series = np.repeat(np.arange(len(past.starts)), past.lengths)
    neighbours = rated[1:] & rated[:-1] & (series[1:] == series[:-1])
    if not neighbours.any():
        return None
    within = np.square(np.diff(pomp)[neighbours]).mean() / 2
    raters, firsts, counts = np.unique(series[rated], return_index=True, return_counts=True)
    means = np.bincount(series[rated], pomp[rated], len(past.starts))[raters] / counts
    typical_count = 1 / (1 / counts).mean()
    between = max(LEAST_BETWEEN, means.var(ddof=1) - within / typical_count)
    return Norms(
        mean_first=round(float(pomp[rated][firsts].mean()), 1),
        spread_between=round(float(between) ** 0.5, 1),
        # All ratings alike would leave no noise at all, and a filter that knows everything.
        spread_within=max(1.0, round(float(within) ** 0.5, 1)),
    )
