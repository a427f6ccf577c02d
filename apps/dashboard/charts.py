"""Geometry of the alliance chart: sessions and episodes in, coordinates out.

Pure: no Django, no colours, no words but those handed in. ``components/chart_drawing.html`` draws
what ``alliance_drawing`` returns; the rules are in the design guide: one equal slot per session,
nothing drawn across a gap, the usual range from the third rating on, as the filter gives it.
"""

from collections.abc import Iterable, Sequence
from math import ceil, hypot
from typing import Literal

from apps.dashboard.chart_parts import (
    FIRST_RATING_WITH_RANGE,
    Bracket,
    ChartEpisode,
    ChartSession,
    Drawing,
    Frame,
    GridLine,
    Label,
    Line,
    Mark,
    Phase,
    Ribbon,
    Side,
    Subscale,
    Tick,
    Zone,
    bands,
    phases,
    runs,
    sessions_of,
    with_range,
)
from apps.dashboard.strokes import XY, crack, diamond, path, points, ribbon, rounded, triangle

MOST_SLOTS_WIDE = 40
SLOTS_NARROW = 9
FEWEST_SLOTS = 6


def axis_floor(sessions: Iterable[ChartSession]) -> int:
    """Lowest value on the axis: 50, or 25 or 0 once a value comes within 5 points of it.

    >>> from datetime import date
    >>> axis_floor([ChartSession(1, date(2026, 7, 23), pomp=62)])
    50
    >>> axis_floor([ChartSession(1, date(2026, 7, 23), pomp=54.9)])
    25
    """
    shown = [
        value
        for s in sessions
        for value in (s.pomp, s.therapist_pomp, s.low, s.bond, s.goals, s.tasks)
        if value is not None
    ]
    lowest = min(shown, default=100)
    return next((floor for floor in (50, 25) if lowest >= floor + 5), 0)


def alliance_drawing(
    sessions: Sequence[ChartSession], episodes: Sequence[ChartEpisode], *, narrow: bool = False
) -> Drawing:
    """Lay out the alliance chart: 860 x 380, or for phones the latest nine sessions in 340 x 320.

    ``sessions`` in order, at least one. The wide drawing shows the latest 40 at most; the table
    holds the rest. Raises ValueError where there is no session to draw.
    """
    if not sessions:
        raise ValueError("There is no session to draw. Show the empty state instead.")
    shown = SLOTS_NARROW if narrow else MOST_SLOTS_WIDE
    start = max(0, len(sessions) - shown)
    frame = Frame(
        width=340 if narrow else 860,
        height=320 if narrow else 380,
        left=28 if narrow else 40,
        full_right=290 if narrow else 802,
        top=40,
        bottom=264 if narrow else 318,
        floor=axis_floor(sessions),
        slots=max(FEWEST_SLOTS, len(sessions) - start),
        count=len(sessions) - start,
    )
    phase = phases(sessions, episodes)[start:]
    shows_range = with_range(sessions)
    ranged = shows_range[start:]
    window = sessions[start:]
    zones, brackets, labels = _episodes(frame, window, episodes, phase)
    learns = any(s.low is not None and (s.asked or s.pomp is not None) for s in sessions)
    learn = _learning(frame, window, ranged) if learns and not any(shows_range[:start]) else None
    return Drawing(
        width=frame.width,
        height=frame.height,
        left=frame.left,
        right=frame.right,
        top=frame.top,
        bottom=frame.bottom,
        floor=frame.floor,
        first_number=window[0].number,
        last_number=window[-1].number,
        grid=tuple(GridLine(frame.y(v), v) for v in _grid_values(frame.floor)),
        ticks=_ticks(frame, window),
        bands=bands(frame, window, ranged),
        zones=zones,
        labels=labels,
        brackets=brackets + ((learn,) if learn else ()),
        lines=_lines(frame, window, phase),
        ribbons=_ribbons(frame, window, phase),
        marks=_marks(frame, window, phase),
        therapist=tuple(
            Mark("own", frame.x(i), frame.y(s.therapist_pomp), 6)
            for i, s in enumerate(window)
            if s.therapist_pomp is not None
        ),
        axis_marks=_axis_marks(frame, window),
        subscales=_subscales(frame, window),
        sides=_sides(frame, window, ranged, phase),
    )


def _grid_values(floor: int) -> range:
    return range(floor, 101, 10 if floor == 50 else 25)


def _ticks(frame: Frame, window: Sequence[ChartSession]) -> tuple[Tick, ...]:
    last = len(window) - 1
    every = max(1, ceil(22 / frame.slot))
    every_date = every * max(3, ceil(110 / frame.slot / every))
    spread = range(last % every, last, every_date)
    dated = {i for i in spread if (last - i) * frame.slot >= 85} | {last}
    return tuple(
        Tick(frame.x(i), s.number, s.held_on if i in dated else None, i == last)
        for i, s in enumerate(window)
        if (last - i) % every == 0
    )


def _lines(
    frame: Frame, window: Sequence[ChartSession], phase: Sequence[Phase]
) -> tuple[Line, ...]:
    """Client's ratings; the piece into a possible rupture stops at the crack and goes on aside."""
    lines: list[Line] = []
    for kind, run in runs(frame, window, phase):
        if kind == "crossing":
            a, b = run
            before, after = _across_the_crack(a, b)
            lines += [Line("line", points([a, before])), Line("broken", points([after, b]))]
        elif kind != "seam":
            lines.append(Line(kind, points(run)))
    return tuple(lines)


def _across_the_crack(a: XY, b: XY) -> tuple[XY, XY]:
    """Where the line stops before the slot edge between two points, and where it goes on."""
    half = (b[0] - a[0]) / 2
    slope = (b[1] - a[1]) / (b[0] - a[0])
    reach = min(7.5 / hypot(1, slope), half * 0.7)
    on = min(reach + 2.5, half * 0.9)
    aside = min(14.0, max(-14.0, 3.4 * slope))
    middle = (a[0] + b[0]) / 2, (a[1] + b[1]) / 2
    return (middle[0] - reach, middle[1] - reach * slope), (
        middle[0] + on,
        middle[1] + on * slope - aside,
    )


def _ribbons(
    frame: Frame, window: Sequence[ChartSession], phase: Sequence[Phase]
) -> tuple[Ribbon, ...]:
    found = runs(frame, window, phase)
    return tuple(Ribbon(*ribbon(run)) for kind, run in found if kind == "seam")


def _marks(
    frame: Frame, window: Sequence[ChartSession], phase: Sequence[Phase]
) -> tuple[Mark, ...]:
    marks = []
    for i, s in enumerate(window):
        if s.pomp is None:
            continue
        x, y = frame.at(i, s.pomp)
        if phase[i] == "break":
            marks.append(Mark("break", x, y, 6, diamond(x, y, 6)))
        elif phase[i] == "recovering":
            marks.append(Mark("recovering", x, y, 4.8))
        elif phase[i] == "seam":
            ends = i + 1 == len(window) or phase[i + 1] != "seam"
            marks.append(Mark("seam", x, y, 5.2 if ends else 4.6))
        else:
            marks.append(Mark("rated", x, y, 4))
    return tuple(marks)


def _axis_marks(frame: Frame, window: Sequence[ChartSession]) -> tuple[Mark, ...]:
    marks = []
    for i, s in enumerate(window):
        x, y = frame.x(i), frame.bottom
        if not s.held:
            d = f"M{path(x - 2.8, y - 2.8)}l5.6 5.6m0-5.6l-5.6 5.6"
            marks.append(Mark("not_held", x, y, 7, d))
        elif s.pomp is None and s.asked:
            marks.append(Mark("no_answer", x, y, 7, f"M{path(x - 3, y)}h6"))
    return tuple(marks)


def _subscales(frame: Frame, window: Sequence[ChartSession]) -> tuple[Subscale, ...]:
    found = []
    for name in ("bond", "goals", "tasks"):
        runs: list[list[XY]] = [[]]
        for i, s in enumerate(window):
            value = getattr(s, name)
            if value is None:
                runs.append([])
            else:
                runs[-1].append(frame.at(i, value))
        marks = tuple(
            Mark("circle", x, y, 2.8)
            if name == "bond"
            else Mark("square", rounded(x - 2.6), rounded(y - 2.6), 5.2)
            if name == "goals"
            else Mark("triangle", x, y, 3.4, triangle(x, y))
            for run in runs
            for x, y in run
        )
        if marks:
            found.append(Subscale(name, tuple(points(run) for run in runs if len(run) > 1), marks))
    return tuple(found)


def _learning(
    frame: Frame, window: Sequence[ChartSession], ranged: Sequence[bool]
) -> Bracket | None:
    """Bracket over the sessions before the usual range is known; none where the list begins later,
    as with a session that did not take place."""
    until = ranged.index(True) if True in ranged else len(ranged)
    before = window[until].ratings_before if until < len(ranged) else None
    was_known = before is not None and before >= FIRST_RATING_WITH_RANGE
    if until == 0 or was_known:
        return None
    a, b, y = frame.left + 3, frame.edge(until) - 3, frame.bottom - 12
    d = f"M{path(a, y)}H{rounded(b)}M{path(a, y - 3)}v6M{path(b, y - 3)}v6"
    return Bracket("learn", d, rounded(max((a + b) / 2, frame.left + 50)))


def _sides(
    frame: Frame, window: Sequence[ChartSession], ranged: Sequence[bool], phase: Sequence[Phase]
) -> tuple[Side, ...]:
    """Values written at the right end, moved apart where they would overlap."""
    wanted: list[Side] = []
    rated = [i for i, s in enumerate(window) if s.pomp is not None]
    if rated:
        i = rated[-1]
        pomp = window[i].pomp
        assert pomp is not None  # noqa: S101  the list holds rated sessions only
        kind: Literal["latest", "latest_break"] = (
            "latest_break" if phase[i] == "break" else "latest"
        )
        wanted.append(Side(kind, frame.y(pomp), round(pomp)))
    inside = [i for i, shown in enumerate(ranged) if shown]
    if inside:
        newest = window[inside[-1]]
        high = min(100.0, newest.high or 0.0)
        low = max(0.0, newest.low or 0.0)
        wanted += [
            Side("range", frame.y(high), round(high)),
            Side("range", frame.y(low), round(low)),
        ]
        middle = (frame.y(high) + frame.y(low)) / 2
        if all(abs(side.y - middle) >= 15 for side in wanted):
            wanted.append(Side("usual", middle, 0))
    wanted.sort(key=lambda side: side.y)
    ys = [side.y for side in wanted]
    for n in range(1, len(ys)):
        ys[n] = max(ys[n], ys[n - 1] + 15)
    for n in range(len(ys) - 1, -1, -1):
        ys[n] = min(ys[n], frame.bottom - 15 * (len(ys) - 1 - n))
    return tuple(
        Side(side.kind, rounded(y + (5.5 if "latest" in side.kind else 4)), side.value)
        for side, y in zip(wanted, ys, strict=True)
    )


def _episodes(
    frame: Frame,
    window: Sequence[ChartSession],
    episodes: Sequence[ChartEpisode],
    phase: Sequence[Phase],
) -> tuple[tuple[Zone, ...], tuple[Bracket, ...], tuple[Label, ...]]:
    """Zones with their cracks, brackets and labels; the newest label keeps its words."""
    zones: list[Zone] = []
    brackets: list[Bracket] = []
    labels: list[Label] = []
    for episode in sorted(episodes, key=lambda e: e.opened_at_number, reverse=True):
        span = sessions_of(window, episode)
        broken = [i for i in span if phase[i] == "break"]
        mended = [i for i in span if phase[i] in ("recovering", "seam")]
        while mended and window[mended[-1]].pomp is None and episode.closed_at_number is None:
            mended.pop()
        if mended:
            a, b = frame.edge(mended[0]) + (4 if broken else 0), frame.edge(mended[-1] + 1)
            brackets.append(_bracket("seam", a, b))
            icon = "seam" if episode.state == "repaired" else "mend"
            _place(frame, labels, Label("seam", icon, a + 2, 0, episode.outcome_label))
        if broken:
            a, b = frame.edge(broken[0]), frame.edge(broken[-1] + 1)
            opens_here = window[broken[0]].number == episode.opened_at_number
            zones.append(
                Zone(a, rounded(b - a), crack(a, frame.top, frame.bottom) if opens_here else "")
            )
            brackets.append(_bracket("break", a, b))
            start = b - 2 - _label_width(episode.label) if mended else a
            _place(frame, labels, Label("break", "break", start, 0, episode.label))
    return tuple(zones), tuple(brackets), tuple(labels)


def _bracket(kind: Literal["break", "seam"], a: float, b: float) -> Bracket:
    return Bracket(kind, f"M{path(a, 33)}v-4H{rounded(b)}v4", rounded((a + b) / 2))


def _label_width(text: str) -> float:
    """Room for the icon and the words at 12 px."""
    return 17 + 6.6 * len(text) if text else 14.0


def _place(frame: Frame, placed: list[Label], label: Label) -> None:
    """Add a label where there is room, without its words or not at all where there is none."""
    for text in (label.text, ""):
        width = _label_width(text)
        end = label.icon_x + _label_width(label.text)
        start = label.icon_x if text or label.kind == "seam" else end - 14
        start = min(max(start, 2.0), frame.width - 4 - width)
        if all(
            start + width + 4 <= other.icon_x
            or other.icon_x + _label_width(other.text) + 4 <= start
            for other in placed
        ):
            placed.append(Label(label.kind, label.icon, rounded(start), rounded(start + 17), text))
            return
