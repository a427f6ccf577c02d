"""What a rule would have flagged over the past: counts only, before anybody changes anything.

The steps are those that screenings stored, so a replay sees what the filter saw; PostgreSQL sends
them as one binary stream, ordered, and the filter's vectorised form takes all series at once.
What people recorded about episodes is left out for both rules alike: else the one in force would
be judged with its answers known. Cost grows with the number of steps, and with nothing else.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import numpy as np
from django.db import connection, transaction
from numpy.typing import NDArray

from apps.clients.models import Treatment
from apps.ruptures.detection import Event, Level, Parameters
from apps.ruptures.detection.columns import EVENTS, Steps
from apps.ruptures.detection.vectorised import screen_all

# In the order of the query. All travel as floats and none is NULL: each row has the same length.
SIGNALS = {
    "pomp": float, "asked": bool, "tension": np.int8, "resolved": np.int8,
    "therapist_tension": np.int8, "therapist_resolved": np.int8, "no_shows": np.int16,
    "gap_days": float,
}  # fmt: skip
COLUMNS = ("index", *SIGNALS, "held_at", "not_a_rupture")
QUERY = """
COPY (
    SELECT (s.state_before->>'steps')::float8,
        coalesce(s.pomp, 'NaN'),
        (s.inputs->>'asked')::boolean::int::float8,
        coalesce((s.inputs->>'tension')::float8, -1),
        coalesce((s.inputs->>'resolved')::float8, -1),
        coalesce((s.inputs->>'therapist_tension')::float8, -1),
        coalesce((s.inputs->>'therapist_resolved')::float8, -1),
        (s.inputs->>'no_shows')::float8,
        coalesce((s.inputs->>'gap_days')::float8, 'NaN'),
        extract(epoch FROM t.starts_at)::float8,
        (EXISTS (
            SELECT FROM ruptures_ruptureepisode e
            WHERE e.opened_by_id = t.id AND e.outcome = 'not_a_rupture'
        ))::int::float8
    FROM ruptures_screening s
    JOIN therapy_sessions_therapysession t ON t.id = s.therapy_session_id
    JOIN alliance_questionnaire q ON q.id = s.questionnaire_id
    WHERE s.practice_id = %s AND s.superseded_at IS NULL AND q.detection_form = %s
        AND s.treatment_id <> ALL(%s::uuid[])
    ORDER BY s.treatment_id, s.questionnaire_id, t.starts_at, t.id
) TO STDOUT (FORMAT binary)
"""
HEADER, TRAILER = 19, 2
ROW = np.dtype(
    [("count", ">i2")]
    + [field for name in COLUMNS for field in ((f"{name}_length", ">i4"), (name, ">f8"))]
)
SERIES_AT_ONCE = 8192

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Progress = Callable[[int], None]


@dataclass(frozen=True)
class Past:
    """Every step of one form, series after series; `starts` are the places where series begin."""

    signals: Steps
    starts: NDArray[np.int64]
    held_at: Floats
    not_a_rupture: Bools

    @property
    def steps(self) -> int:
        return len(self.signals.pomp)

    @property
    def lengths(self) -> NDArray[np.int64]:
        return np.diff(self.starts, append=self.steps)


def load_past(practice_id: UUID, detection_form: str) -> Past:
    """Read the steps that stand now, but of clients whose processing is restricted; about 100
    bytes each."""
    restricted = Treatment.objects.restricted().filter(practice=practice_id)
    asked = [practice_id, detection_form, list(restricted.values_list("id", flat=True))]
    stream = bytearray()
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL work_mem = '128MB'")
        with cursor.copy(QUERY, asked) as copied:
            for block in copied:
                stream += block
    rows = np.frombuffer(memoryview(stream)[HEADER : len(stream) - TRAILER], ROW)
    signals = Steps(
        **{name: rows[name].astype(kind) for name, kind in SIGNALS.items()},
        verdict=np.zeros(len(rows), np.int8),
    )
    # Within a series the index rises; where it does not, another one begins.
    begins = np.diff(rows["index"], prepend=np.inf) <= 0
    return Past(
        signals,
        np.flatnonzero(begins),
        held_at=rows["held_at"].astype(float),
        not_a_rupture=rows["not_a_rupture"] == 1,
    )


@dataclass(frozen=True)
class Flags:
    """What one rule says of each step of a past."""

    opened: Bools
    marked: Bools
    settled: Bools
    watch: Bools


def flag(past: Past, parameters: Parameters, progress: Progress = lambda steps: None) -> Flags:
    """Screen every series; `progress` hears after each batch how many steps it had."""
    event = np.empty(past.steps, np.int8)
    level = np.empty(past.steps, np.int8)
    for first in range(0, len(past.starts), SERIES_AT_ONCE):
        lengths = past.lengths[first : first + SERIES_AT_ONCE]
        begin = past.starts[first]
        batch = slice(begin, begin + lengths.sum())
        screenings = screen_all(
            Steps._make(column[batch] for column in past.signals),
            lengths,
            parameters,
            wanted=("level", "event"),
        )
        event[batch], level[batch] = screenings.event, screenings.level
        progress(int(lengths.sum()))
    opened = event == EVENTS.index(Event.OPENED)
    return Flags(
        opened=opened,
        marked=opened & (level == Level.MARKED),
        settled=event == EVENTS.index(Event.SETTLED_LOWER),
        watch=level == Level.WATCH,
    )


def compare(past: Past, now: Flags, proposed: Flags) -> dict[str, Any]:
    """The report: for each thing that is counted how often now, as proposed, and in both.

    An opening that would come a session earlier or later counts as one lost and one new.
    """
    rated = ~np.isnan(past.signals.pomp)
    not_a_rupture = past.not_a_rupture
    compared = {
        "opened": (now.opened, proposed.opened),
        "marked": (now.marked, proposed.marked),
        "not_a_rupture": (now.opened & not_a_rupture, proposed.opened & not_a_rupture),
        "settled": (now.settled, proposed.settled),
        "watch": (now.watch, proposed.watch),
    }
    held_at = past.held_at
    return {
        "series": len(past.starts),
        "rated": int(rated.sum()),
        "unrated": int((~rated).sum()),
        "from": _day(held_at.min()) if past.steps else "",
        "to": _day(held_at.max()) if past.steps else "",
        "counts": {
            name: [int(one.sum()), int(other.sum()), int((one & other).sum())]
            for name, (one, other) in compared.items()
        },
        "months": _months(held_at, now.opened, proposed.opened),
    }


def replay(
    practice_id: UUID,
    detection_form: str,
    now: Parameters,
    proposed: Parameters,
    progress: Callable[[int], None] = lambda percent: None,
) -> dict[str, Any]:
    """Load, screen twice, compare. `progress` hears a whole number up to 100 each time it grows."""
    began = time.perf_counter()
    past = load_past(practice_id, detection_form)
    report = replay_past(past, now, proposed, progress)
    return report | {"seconds": round(time.perf_counter() - began, 1)}


def replay_past(
    past: Past, now: Parameters, proposed: Parameters, progress: Callable[[int], None]
) -> dict[str, Any]:
    """The report about steps that are loaded already."""
    done, told = 0, 0

    def count(steps: int) -> None:
        nonlocal done, told
        done += steps
        percent = 50 * done // past.steps
        if percent > told:
            told = percent
            progress(told)

    return compare(past, flag(past, now, count), flag(past, proposed, count))


def _months(held_at: Floats, now: Bools, proposed: Bools) -> list[tuple[str, int, int]]:
    """Openings by calendar month (UTC) of the session, from the first month to the last."""
    if not len(held_at):
        return []
    months = held_at.astype("datetime64[s]").astype("datetime64[M]").astype(np.int64)
    first = months.min()
    width = int(months.max() - first) + 1
    counted = [np.bincount(months[opened] - first, minlength=width) for opened in (now, proposed)]
    names = np.datetime_as_string((first + np.arange(width)).astype("datetime64[M]"))
    return [(str(name), int(a), int(b)) for name, a, b in zip(names, *counted, strict=True)]


def _day(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).date().isoformat()
