"""Geometry of the sparkline: the latest ten sessions in small, one scale for a whole list. Pure."""

from collections.abc import Iterable, Sequence

from apps.dashboard.chart_parts import (
    ChartEpisode,
    ChartSession,
    Frame,
    Line,
    Mark,
    Phase,
    Sparkline,
    Zone,
    bands,
    phases,
    runs,
    with_range,
)
from apps.dashboard.strokes import crack, diamond, path, points, rounded

SLOTS_SPARKLINE = 10


def sparkline_floor(rows: Iterable[Iterable[ChartSession]]) -> int:
    """One scale for a whole list: 50, or 0 if any of the ratings is below 50."""
    return 0 if any(s.pomp is not None and s.pomp < 50 for row in rows for s in row) else 50


def sparkline(
    sessions: Sequence[ChartSession],
    episodes: Sequence[ChartEpisode],
    *,
    label: str,
    floor: int = 50,
    width: int = 132,
    height: int = 40,
) -> Sparkline:
    """Lay out the latest ten sessions, newest at the right; no sessions give an empty one.

    ``floor`` is that of the whole list (see sparkline_floor). From 60 units of height on, the
    sessions in a possible rupture are shaded too.
    """
    start = max(0, len(sessions) - SLOTS_SPARKLINE)
    window = sessions[start:]
    step = (width - 11) / (SLOTS_SPARKLINE - 1)
    # The outer slots reach past the box: their centres lie 5 and 6 units from its sides.
    left = 5 - step / 2 + step * (SLOTS_SPARKLINE - len(window))
    frame = Frame(
        width=width,
        height=height,
        left=left,
        full_right=left + step * max(1, len(window)),
        top=5,
        bottom=height - 6,
        floor=floor,
        slots=max(1, len(window)),
        count=len(window),
        sides=(1.0, width - 1.0),
    )
    phase = phases(sessions, episodes)[start:]
    large = height >= 60
    lines = [
        Line("broken" if kind == "crossing" else kind, points(run))
        for kind, run in runs(frame, window, phase)
    ]
    return Sparkline(
        width=width,
        height=height,
        label=label,
        floor=floor,
        bands=bands(frame, window, with_range(sessions)[start:]),
        zones=_spark_zones(frame, window, phase) if large else (),
        lines=tuple(lines),
        marks=_spark_marks(frame, window, phase, scale=1.27 if large else 1),
    )


def _spark_zones(
    frame: Frame, window: Sequence[ChartSession], phase: Sequence[Phase]
) -> tuple[Zone, ...]:
    zones: list[Zone] = []
    for i, s in enumerate(window):
        if phase[i] != "break" or (i and phase[i - 1] == "break" and s.event != "opened"):
            continue
        end = i + 1
        while end < len(window) and phase[end] == "break" and window[end].event != "opened":
            end += 1
        a, b = frame.edge(i), frame.edge(end)
        zones.append(Zone(a, rounded(b - a), crack(a, 0, frame.height) if i else ""))
    return tuple(zones)


def _spark_marks(
    frame: Frame, window: Sequence[ChartSession], phase: Sequence[Phase], *, scale: float
) -> tuple[Mark, ...]:
    """Missing: cross; in an episode: ring; end of a repair: diamond; else only the newest."""
    marks: list[Mark] = []
    newest = max((i for i, s in enumerate(window) if s.pomp is not None), default=None)
    for i, s in enumerate(window):
        x = frame.x(i)
        if s.pomp is None:
            d = f"M{path(x - 2, frame.bottom + 0.5)}l4 4m0-4l-4 4"
            marks.append(Mark("missing", x, rounded(frame.bottom + 2.5), 2, d))
            continue
        y = frame.y(s.pomp)
        if phase[i] == "break":
            marks.append(Mark("break", x, y, rounded((3 if i == newest else 2.5) * scale)))
        elif phase[i] == "recovering":
            marks.append(Mark("recovering", x, y, rounded(2.8 * scale)))
        elif phase[i] == "seam" and (i + 1 == len(window) or phase[i + 1] != "seam"):
            marks.append(Mark("seam", x, y, 3.8, diamond(x, y, 3.8)))
        elif i == newest:
            marks.append(Mark("rated", x, y, rounded(3 * scale)))
    return tuple(marks)
