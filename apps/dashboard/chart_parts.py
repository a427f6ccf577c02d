"""What the charts are made of: the sessions that go in, the shapes that come out. Pure.

Units are those of the SVG view box, y grows downwards, ratings are POMP scores 0-100.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from itertools import pairwise
from typing import Literal

from apps.dashboard.strokes import XY, points, rounded

Event = Literal["opened", "escalated", "improving", "continues", "repaired", "settled_lower"]
Phase = Literal["steady", "break", "recovering", "seam"]

FIRST_RATING_WITH_RANGE = 3


@dataclass(frozen=True)
class ChartSession:
    """One therapy session as the charts see it; scores are POMP 0-100 or None.

    ``low`` and ``high`` are the filter's usual range at this session (not clipped). ``asked``: a
    form was really sent or offered. ``level``: 0 none, 1 watch, 2 possible, 3 marked. ``note``
    replaces the note in the table, e.g. 'Cancelled late by the client'; ``entered`` is added to it,
    e.g. 'Entered from paper'. ``ratings_before`` is the filter's count of earlier ratings by the
    same questionnaire; None where it was not asked at this session.
    """

    number: int
    held_on: date
    pomp: float | None = None
    therapist_pomp: float | None = None
    low: float | None = None
    high: float | None = None
    held: bool = True
    asked: bool = True
    bond: float | None = None
    goals: float | None = None
    tasks: float | None = None
    level: int = 0
    in_episode: bool = False
    event: Event | None = None
    note: str = ""
    entered: str = ""
    ratings_before: int | None = None


@dataclass(frozen=True)
class ChartEpisode:
    """One episode: from the session that opened it to the one its outcome was recorded at.

    ``state``: 'open', 'recovering' (the filter saw a return, no outcome yet), 'repaired'
    (recorded), or 'closed' (any other outcome). ``label`` stands over the sessions in a possible
    rupture, ``outcome_label`` over those of the recovery or repair.
    """

    opened_at_number: int
    closed_at_number: int | None
    state: Literal["open", "recovering", "repaired", "closed"]
    label: str
    outcome_label: str = ""


@dataclass(frozen=True)
class GridLine:
    y: float
    value: int


@dataclass(frozen=True)
class Tick:
    """Session number under the axis; ``held_on`` only where a date is written."""

    x: float
    number: int
    held_on: date | None
    newest: bool


@dataclass(frozen=True)
class Mark:
    """A single sign. ``kind`` names it; ``d`` is a path or '' for a circle of radius ``r``."""

    kind: str
    x: float
    y: float
    r: float = 0
    d: str = ""


@dataclass(frozen=True)
class Line:
    """A stroke through ``points`` ('x,y x,y'); ``kind`` is line, broken, recovering or seam."""

    kind: str
    points: str


@dataclass(frozen=True)
class Band:
    """The usual range: the shaded zone, its two edges."""

    area: str
    upper: str
    lower: str


@dataclass(frozen=True)
class Label:
    """Words over a zone: an icon at ``icon_x``, the text (may be '') at ``x``."""

    kind: Literal["break", "seam"]
    icon: str
    icon_x: float
    x: float
    text: str


@dataclass(frozen=True)
class Zone:
    """Sessions in a possible rupture: hatched from slot edge to slot edge; '' without a crack."""

    x: float
    width: float
    crack: str


@dataclass(frozen=True)
class Bracket:
    kind: Literal["break", "seam", "learn"]
    d: str
    middle: float


@dataclass(frozen=True)
class Ribbon:
    body: str
    shine: str


@dataclass(frozen=True)
class Side:
    """A value written at the right end: range (its ends), usual (the word) or latest."""

    kind: Literal["range", "usual", "latest", "latest_break"]
    y: float
    value: int


@dataclass(frozen=True)
class Subscale:
    name: Literal["bond", "goals", "tasks"]
    lines: tuple[str, ...]
    marks: tuple[Mark, ...]


@dataclass(frozen=True)
class Drawing:
    """One drawing of the alliance chart, ready for SVG."""

    width: int
    height: int
    left: float
    right: float
    top: float
    bottom: float
    floor: int
    first_number: int
    last_number: int
    grid: tuple[GridLine, ...]
    ticks: tuple[Tick, ...]
    bands: tuple[Band, ...]
    zones: tuple[Zone, ...]
    labels: tuple[Label, ...]
    brackets: tuple[Bracket, ...]
    lines: tuple[Line, ...]
    ribbons: tuple[Ribbon, ...]
    marks: tuple[Mark, ...]
    therapist: tuple[Mark, ...]
    axis_marks: tuple[Mark, ...]
    subscales: tuple[Subscale, ...]
    sides: tuple[Side, ...]

    @property
    def depth(self) -> float:
        """Height of the plot area."""
        return self.bottom - self.top


@dataclass(frozen=True)
class Sparkline:
    """The latest ten sessions in small. ``label`` says the same in words."""

    width: int
    height: int
    label: str
    floor: int
    bands: tuple[Band, ...]
    zones: tuple[Zone, ...]
    lines: tuple[Line, ...]
    marks: tuple[Mark, ...]


def phases(sessions: Sequence[ChartSession], episodes: Iterable[ChartEpisode]) -> list[Phase]:
    """What each session belongs to: 'steady', or a stretch of an episode.

    An episode breaks from its opening to its last low rating, then recovers ('recovering') or,
    once a repair is recorded, is seamed ('seam') up to the recording. Without either it breaks
    to its end.
    """
    found: list[Phase] = ["steady"] * len(sessions)
    for episode in episodes:
        span = sessions_of(sessions, episode)
        after: Phase | None = None
        if episode.state == "recovering":
            after = "recovering"
        elif episode.state == "repaired":
            after = "seam"
        last_low = max((i for i in span if is_low(sessions[i])), default=None)
        if last_low is None:
            last_low = span[0] if span else 0
        for i in span:
            found[i] = after if after and i > last_low else "break"
    return found


@dataclass(frozen=True)
class Frame:
    """The plot area and its scales; ``sides`` clips what reaches past a sparkline's box."""

    width: int
    height: int
    left: float
    full_right: float
    top: float
    bottom: float
    floor: int
    slots: int
    count: int
    sides: tuple[float, float] | None = None

    @cached_property
    def slot(self) -> float:
        return (self.full_right - self.left) / self.slots

    @property
    def right(self) -> float:
        return rounded(self.edge(self.count))

    def edge(self, i: int) -> float:
        """Left edge of slot ``i``; ``edge(count)`` is the right end."""
        x = self.left + self.slot * i
        return rounded(min(max(x, self.sides[0]), self.sides[1]) if self.sides else x)

    def x(self, i: int) -> float:
        return rounded(self.left + self.slot * (i + 0.5))

    def y(self, value: float) -> float:
        share = (100 - min(100.0, max(float(self.floor), value))) / (100 - self.floor)
        return rounded(self.top + share * (self.bottom - self.top))

    def at(self, i: int, value: float) -> XY:
        return self.x(i), self.y(value)


def sessions_of(sessions: Sequence[ChartSession], episode: ChartEpisode) -> list[int]:
    last = sessions[-1].number if sessions else 0
    closed = episode.closed_at_number if episode.closed_at_number is not None else last
    return [i for i, s in enumerate(sessions) if episode.opened_at_number <= s.number <= closed]


def is_low(s: ChartSession) -> bool:
    below = s.pomp is not None and s.low is not None and s.pomp < s.low
    return below or s.level >= 2 or s.event in ("opened", "escalated", "continues")


def with_range(sessions: Sequence[ChartSession]) -> list[bool]:
    """Whether the usual range is shown at each session: from the third rating by a questionnaire
    on, wherever in the course the list begins."""
    rated = 0
    shown = []
    for s in sessions:
        before = rated if s.ratings_before is None else s.ratings_before
        rated = before + (s.pomp is not None)
        shown.append(rated >= FIRST_RATING_WITH_RANGE and s.low is not None and s.high is not None)
    return shown


def bands(frame: Frame, window: Sequence[ChartSession], ranged: Sequence[bool]) -> tuple[Band, ...]:
    """The usual range, once more after sessions at which that of a newer questionnaire forms."""
    pieces: list[list[int]] = []
    goes_on = False
    for i, (s, shown) in enumerate(zip(window, ranged, strict=True)):
        if shown and goes_on:
            pieces[-1].append(i)
        elif shown:
            pieces.append([i])
        goes_on = shown or (goes_on and s.low is None)
    return tuple(_band(frame, window, piece) for piece in pieces)


def _band(frame: Frame, window: Sequence[ChartSession], inside: Sequence[int]) -> Band:
    upper: list[XY] = []
    lower: list[XY] = []
    for edge, bound in ((upper, "high"), (lower, "low")):
        ys = {i: frame.y(getattr(window[i], bound)) for i in inside}
        edge.append((frame.edge(inside[0]), ys[inside[0]]))
        edge.extend((frame.x(i), ys[i]) for i in inside)
        edge.append((frame.edge(inside[-1] + 1), ys[inside[-1]]))
    there, back = points(upper), points(lower[::-1])
    return Band(f"{there} {back}", there, back)


def runs(
    frame: Frame, window: Sequence[ChartSession], phase: Sequence[Phase]
) -> list[tuple[str, list[XY]]]:
    """The line through neighbouring rated sessions, in runs of one kind; none over a missing one.

    Only what is drawn without a break runs on ('line', 'seam'); each other piece stands alone.
    """
    found: list[tuple[str, list[XY]]] = []
    for (i, a), (j, b) in pairwise(enumerate(window)):
        if a.pomp is None or b.pomp is None:
            continue
        kind = {"steady": "line", "break": "broken", "recovering": "recovering", "seam": "seam"}[
            phase[j]
        ]
        if phase[j] == "break" and (phase[i] != "break" or b.event == "opened"):
            kind = "crossing"
        start, end = frame.at(i, a.pomp), frame.at(j, b.pomp)
        last, run = found[-1] if found else ("", [])
        if kind == last and kind in ("line", "seam") and run[-1] == start:
            run.append(end)
        else:
            found.append((kind, [start, end]))
    return found
