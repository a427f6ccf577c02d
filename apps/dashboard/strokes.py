"""Hand-drawn looking strokes for the charts, always the same for the same input. Pure."""

from collections.abc import Sequence
from itertools import accumulate, cycle, pairwise
from math import hypot, sin

XY = tuple[float, float]

CRACK_STEPS = ((11, 2.2), (9, -2.9), (12, 2.6), (8, -2.0), (13, 3.1), (10, -3.2), (15, 1.9))
"""Height of each step of a crack and how far it strays from the edge, in turn."""


def rounded(value: float) -> float:
    """One decimal, enough on any screen; never minus zero."""
    return round(value, 1) + 0.0


def path(x: float, y: float) -> str:
    """A point in a path.

    >>> path(1.26, -3)
    '1.3 -3'
    """
    return f"{rounded(x):g} {rounded(y):g}"


def points(run: Sequence[XY]) -> str:
    """Points of a polyline.

    >>> points([(1, 2), (3.04, 4.5)])
    '1,2 3,4.5'
    """
    return " ".join(f"{rounded(x):g},{rounded(y):g}" for x, y in run)


def diamond(x: float, y: float, r: float) -> str:
    return f"M{path(x, y - r)}l{r:g} {r:g}l-{r:g} {r:g}l-{r:g}-{r:g}z"


def triangle(x: float, y: float) -> str:
    return f"M{path(x, y - 3.4)}l3.4 5.9h-6.8z"


def crack(x: float, top: float, bottom: float) -> str:
    """A jagged line down a slot edge, straying at most 3.2 units from it."""
    d = f"M{path(x, top)}"
    y = top
    for height, aside in cycle(CRACK_STEPS):
        y += height
        if y >= bottom - 4:
            return f"{d}L{path(x, bottom)}"
        d += f"L{path(x + aside, y)}"
    raise AssertionError("cycle() has no end")


def ribbon(run: Sequence[XY]) -> tuple[str, str]:
    """A ribbon about 6 units wide along a polyline of at least two points, and its shine.

    Returns two paths: the closed body and the open line of light along its upper side.
    """
    centre = _resampled(run, step=4)
    upper: list[XY] = []
    lower: list[XY] = []
    light: list[XY] = []
    for i, (x, y) in enumerate(centre):
        (ax, ay), (bx, by) = centre[max(0, i - 1)], centre[min(len(centre) - 1, i + 1)]
        length = hypot(bx - ax, by - ay) or 1.0
        nx, ny = -(by - ay) / length, (bx - ax) / length
        wave = sin(i * 1.7) * 0.45
        upper.append((x - nx * (2.8 + wave), y - ny * (2.8 + wave)))
        lower.append((x + nx * (3.0 - wave), y + ny * (3.0 - wave)))
        light.append((x - nx * (0.9 + wave * 0.6), y - ny * (0.9 + wave * 0.6)))
    body = f"M{_smooth(upper)}L{_smooth(lower[::-1])}Z"
    return body, f"M{_smooth(light)}"


def _resampled(run: Sequence[XY], *, step: float) -> list[XY]:
    lengths = [hypot(b[0] - a[0], b[1] - a[1]) for a, b in pairwise(run)]
    starts = [0.0, *accumulate(lengths)]
    count = max(2, round(starts[-1] / step))
    sampled: list[XY] = []
    for n in range(count + 1):
        at = starts[-1] * n / count
        k = max(i for i, start in enumerate(starts[:-1]) if start <= at + 1e-9)
        share = min(1.0, (at - starts[k]) / lengths[k]) if lengths[k] else 0.0
        (ax, ay), (bx, by) = run[k], run[k + 1]
        sampled.append((ax + (bx - ax) * share, ay + (by - ay) * share))
    return sampled


def _smooth(run: Sequence[XY]) -> str:
    """Quadratic curves through the midpoints, from the first to the last point."""
    d = path(*run[0])
    for (ax, ay), (bx, by) in pairwise(run[1:]):
        d += f"Q{path(ax, ay)} {path((ax + bx) / 2, (ay + by) / 2)}"
    return f"{d}L{path(*run[-1])}"
