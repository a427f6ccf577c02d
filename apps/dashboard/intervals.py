"""What else a count could have been: 95 % intervals of shares, rates and medians.

Each takes its cases to be independent. Several answers of one client are not quite, so that true
intervals are rather wider.
"""

from collections.abc import Sequence

Z = 1.96


def poisson_interval(count: int) -> tuple[float, float]:
    """The rates that a count fits: Byar's approximation to the exact Poisson interval.

    Breslow & Day (1987), *Statistical Methods in Cancer Research* 2, p. 69.

    >>> [round(end, 2) for end in poisson_interval(10)]
    [4.79, 18.39]
    >>> [round(end, 2) for end in poisson_interval(0)]
    [0.0, 3.67]
    """
    more = count + 1
    high = more * (1 - 1 / (9 * more) + Z / (3 * more**0.5)) ** 3
    if not count:
        return 0.0, high
    return count * (1 - 1 / (9 * count) - Z / (3 * count**0.5)) ** 3, high


def wilson_interval(hits: int, of: int) -> tuple[float, float]:
    """The shares, 0–1, that `hits` of `of` (at least 1) fit: Wilson's score interval.

    Wilson (1927), *Journal of the American Statistical Association* 22, 209–212. The example is
    the first of Newcombe (1998), *Statistics in Medicine* 17, 857–872, table I.

    >>> [round(end, 4) for end in wilson_interval(81, 263)]
    [0.2553, 0.3662]
    >>> [round(end, 2) for end in wilson_interval(0, 10)]
    [0.0, 0.28]
    """
    share, weight = hits / of, Z**2 / of
    middle = share + weight / 2
    reach = Z * (share * (1 - share) / of + weight / (4 * of)) ** 0.5
    return max(0.0, (middle - reach) / (1 + weight)), (middle + reach) / (1 + weight)


def median_interval(values: Sequence[float]) -> tuple[float, float, float]:
    """The median of at least one value, and the ends of its interval: two of the values.

    By their ranks; nothing is assumed about how the values are spread, and the highest may be
    infinite. Campbell & Gardner (1988), *British Medical Journal* 296, 1454–1456. Of an even
    number the lower of the middle two is taken.

    >>> median_interval(range(1, 101))
    (50, 40, 61)
    >>> median_interval([3])
    (3, 3, 3)
    """
    ordered, n = sorted(values), len(values)
    reach = Z * n**0.5 / 2
    low, high = max(1, round(n / 2 - reach)), min(n, round(1 + n / 2 + reach))
    return ordered[(n - 1) // 2], ordered[low - 1], ordered[high - 1]
