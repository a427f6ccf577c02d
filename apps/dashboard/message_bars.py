"""Geometry of the chart of messages per day: answered, open and undelivered, stacked. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

WIDTH, HEIGHT, FLOOR, TOP, LEFT, RIGHT = 1080, 190, 150, 30, 40, 1070
BAR = 38
HEIGHT_PX = FLOOR - TOP


@dataclass(frozen=True)
class Day:
    """What became of the forms of one day; `label` stands under the bar, `name` in the table."""

    label: str
    name: str
    answered: int
    open: int
    undelivered: int

    @property
    def total(self) -> int:
        return self.answered + self.open + self.undelivered


@dataclass(frozen=True)
class Bar:
    """One part of a bar, in units of the drawing; `kind` is its class."""

    kind: str
    x: int
    y: int
    height: int


@dataclass(frozen=True)
class Bars:
    """Ticks are (value, y), labels (text, x of the centre); `paused_x` is None while sending."""

    days: tuple[Day, ...]
    parts: tuple[Bar, ...]
    ticks: tuple[tuple[int, int], ...]
    labels: tuple[tuple[str, int], ...]
    paused_x: int | None


def bars(days: Sequence[Day], *, is_paused: bool) -> Bars:
    """Lay out one bar a day.

    >>> drawn = bars([Day("1 Nov", "1 Nov", 6, 2, 0), Day("2", "2 Nov", 0, 0, 0)], is_paused=False)
    >>> drawn.ticks
    ((0, 150), (4, 90), (8, 30))
    >>> [(part.kind, part.y, part.height) for part in drawn.parts]
    [('b-ans', 60, 90), ('b-sent', 30, 30)]
    """
    top = _round_up(max((day.total for day in days), default=0))
    slot = (RIGHT - LEFT) / max(1, len(days))
    centres = [round(LEFT + slot * (n + 0.5)) for n in range(len(days))]
    parts = []
    for day, centre in zip(days, centres, strict=True):
        below = 0
        counts = {"b-ans": day.answered, "b-sent": day.open, "b-bad": day.undelivered}
        for kind, count in counts.items():
            if count:
                y, bottom = _y(below + count, top), _y(below, top)
                parts.append(Bar(kind, centre - BAR // 2, y, bottom - y))
            below += count
    return Bars(
        days=tuple(days),
        parts=tuple(parts),
        ticks=tuple((value, _y(value, top)) for value in (0, top // 2, top)),
        labels=tuple((day.label, centre) for day, centre in zip(days, centres, strict=True)),
        paused_x=centres[-1] if is_paused and centres else None,
    )


def _y(value: int, top: int) -> int:
    return round(FLOOR - HEIGHT_PX * value / top)


def _round_up(count: int) -> int:
    """The next even number of at most two leading digits: 2, 4 … 40, 60 …

    >>> [_round_up(count) for count in (0, 1, 7, 23, 161)]
    [2, 2, 8, 40, 200]
    """
    step = 2
    while count > 4 * step:
        step *= 10
    return max(2, -(-count // step) * step)
