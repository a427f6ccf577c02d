"""Pairs of bars by month, for a practice's counts. Pure.

Units are those of the SVG view box; y grows downwards.
"""

from collections.abc import Sequence
from dataclasses import dataclass

WIDTH, HEIGHT = 860, 190
LEFT, TOP, BOTTOM = 36, 30, 150
BAR, GAP = 20, 3
NICE = (4, 10, 20, 40, 100, 200, 400, 1000, 2000, 4000, 10000, 20000, 40000, 100000)


@dataclass(frozen=True)
class Bar:
    x: float
    y: float
    height: float


@dataclass(frozen=True)
class Pair:
    """One month: its name stands at `middle`; `now` and `proposed` are the bars."""

    label: str
    middle: float
    now: Bar
    proposed: Bar


@dataclass(frozen=True)
class BarChart:
    """`grid` holds (y, value) of each line; `label` says the same in words."""

    label: str
    grid: tuple[tuple[float, int], ...]
    pairs: tuple[Pair, ...]
    width: int = WIDTH
    height: int = HEIGHT
    left: int = LEFT
    right: int = WIDTH - 4
    bottom: int = BOTTOM


def bar_chart(label: str, months: Sequence[tuple[str, int, int]]) -> BarChart:
    """A pair of bars for each (name, now, proposed), on a scale from 0."""
    highest = max((max(now, proposed) for _, now, proposed in months), default=0)
    top = next((nice for nice in NICE if nice >= highest), highest)
    slot = (WIDTH - 4 - LEFT) / max(1, len(months))

    def bar(x: float, value: int) -> Bar:
        height = round((BOTTOM - TOP) * value / top, 1)
        return Bar(round(x, 1), round(BOTTOM - height, 1), height)

    pairs = []
    for n, (name, now, proposed) in enumerate(months):
        middle = LEFT + slot * (n + 0.5)
        pairs.append(
            Pair(
                name,
                round(middle, 1),
                bar(middle - BAR - GAP / 2, now),
                bar(middle + GAP / 2, proposed),
            )
        )
    grid = tuple((BOTTOM - (BOTTOM - TOP) * share, round(top * share)) for share in (0.0, 0.5, 1.0))
    return BarChart(label, grid, tuple(pairs))
