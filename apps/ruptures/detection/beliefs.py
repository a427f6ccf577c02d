"""What is believed of many clients' baselines, as arrays: the algebra of `vectorised`.

Everything works on arrays of any one shape, in place where it can.
"""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike

from .columns import Flags, Floats
from .parameters import Parameters


@dataclass
class Regimes:
    """`records.Regime` of many series, in arrays of one shape."""

    weight: Floats
    mean: Floats
    variance: Floats

    def __getitem__(self, place: Any) -> Self:
        return type(self)(self.weight[place], self.mean[place], self.variance[place])

    def __setitem__(self, place: Any, other: Self) -> None:
        self.weight[place], self.mean[place] = other.weight, other.mean
        self.variance[place] = other.variance

    def times(self, share: float) -> Self:
        """The same regimes with a share of their weight."""
        return type(self)(share * self.weight, self.mean, self.variance)


def move(regimes: Regimes, growth: float, widened: Floats, p: Parameters) -> Regimes:
    """A session later, in place: the mean grows, what is known of it widens."""
    if growth:
        regimes.mean += growth
    np.minimum(regimes.mean, 100.0, out=regimes.mean)
    regimes.variance += widened
    np.minimum(regimes.variance, p.spread_between**2, out=regimes.variance)
    return regimes


def pool(one: Regimes, other: Regimes) -> Regimes:
    """Both as one regime with their weight, mean and variance."""
    total = one.weight + other.weight
    share = other.weight / total
    apart = other.mean - one.mean
    mean = share * apart
    mean += one.mean
    apart *= apart
    apart *= 1 - share
    apart += other.variance
    apart -= one.variance
    apart *= share
    apart += one.variance
    return Regimes(total, mean, apart)


def fit(
    regimes: Regimes, error: Floats, rated: Flags, noise: Floats, p: Parameters
) -> tuple[Floats, Floats]:
    """How well regimes explain the ratings, and the squared error; teaches mean and variance."""
    square = error * error
    usual, sharp, squared_error = _density(square, regimes.variance + noise)
    wide = regimes.variance + (1 + p.outlier_variance) * noise
    outlying, dull, _ = _density(square, wide)
    outlying *= p.outlier_share / (1 - p.outlier_share)
    likelihood = usual + outlying
    straight, r = (np.divide(each, likelihood, out=each) for each in (usual, outlying))
    gain = np.multiply(sharp, straight, out=sharp)
    gain += np.multiply(dull, r, out=dull)
    gain *= regimes.variance
    gain *= rated
    np.minimum(squared_error, 4.0, out=squared_error)
    squared_error *= straight
    r *= 4
    squared_error += r
    error *= gain
    regimes.mean += error
    clamp(regimes.mean, np.where(rated, 0.0, -np.inf), 100.0)
    gain *= regimes.variance
    regimes.variance -= gain
    return likelihood, squared_error


def _density(square: Floats, variance: Floats) -> tuple[Floats, Floats, Floats]:
    """A normal density (less √2π) at an error squared; the precision; the squared distance."""
    precision = np.divide(1.0, variance, out=variance)
    distance = square * precision
    density = np.log(precision)
    density -= distance
    density *= 0.5
    np.exp(density, out=density)
    return density, precision, distance


def clamp(values: Floats, low: ArrayLike, high: float) -> Floats:
    np.maximum(values, low, out=values)
    return np.minimum(values, high, out=values)
