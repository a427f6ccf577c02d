"""Ratings in a long CSV file: one row per client and therapy session, typed, checked, in order.

The contract is in docs/detection.md, 'Command': `,` or `;`, UTF-8 with or without a byte order
mark, any line ending, decimal points only, blank for unanswered. A client's rows stand together
and in strictly increasing order. Anything else is `BadInputError`, which says where and what was
expected; nothing is guessed.

Reading takes memory for one client's rows, however many clients the file holds: the clients
already seen are remembered in a temporary file.
"""

import csv
import re
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import datetime
from difflib import get_close_matches
from itertools import groupby
from math import inf, isinf
from typing import BinaryIO, Self

from apps.alliance.scoring import Scale, pomp
from apps.ruptures.detection import Step

COLUMNS = (
    "client",
    "session",
    "held_at",
    "pomp",
    "therapist",
    "attended",
    "asked",
    "tension",
    "resolved",
    "therapist_tension",
    "therapist_resolved",
    "no_shows",
    "gap_days",
)
LONGEST_LINE = 100_000
LONGEST_GAP = 30
"""More missing session numbers in a row than this are a slip of the pen, not silence."""

POMP = Scale(0, 100)
ANSWER = Scale(0, 4)
COUNT = Scale(0, inf)
NUMBERING = Scale(-inf, inf)
WHOLE = re.compile(r"[+-]?[0-9]{1,9}")
DECIMAL = re.compile(r"[+-]?([0-9]{1,40}\.?[0-9]{0,40}|\.[0-9]{1,40})([eE][+-]?[0-9]{1,2})?")


class BadInputError(Exception):
    """The file breaks the contract. The message names the file, line, column and expectation."""

    def __init__(self, file: str, line: int, column: str, expected: str, found: str | None = None):
        self.file, self.line, self.column, self.expected = file, line, column, expected
        seen = "" if found is None else f", found {found[:40]!r}"
        super().__init__(f"{file}, line {line}, column {column}: expected {expected}{seen}")


@dataclass(frozen=True, kw_only=True)
class Row:
    """One therapy session. `line` is None for a session that only a missing number tells of.

    `when` is the session number or `held_at` as the file has it. `answers` holds the item columns
    as given; `pomp` is read from its column or scored from them. `gap_days` is filled in from
    `held_at` by `read_series`. Of a row that was not attended only client and place are read.
    """

    line: int | None
    client: str
    when: int | str
    therapist: str = ""
    attended: bool = True
    held_at: datetime | None = None
    pomp: float | None = None
    answers: Mapping[str, float | None]
    asked: bool = True
    tension: int | None = None
    resolved: int | None = None
    therapist_tension: int | None = None
    therapist_resolved: int | None = None
    no_shows: int = 0
    gap_days: float | None = None

    def step(self) -> Step:
        """What the detector needs to know of this session."""
        return Step(
            pomp=self.pomp,
            asked=self.asked,
            tension=self.tension,
            resolved=self.resolved,
            therapist_tension=self.therapist_tension,
            therapist_resolved=self.therapist_resolved,
            no_shows=self.no_shows,
            gap_days=self.gap_days,
        )


@dataclass(frozen=True)
class Series:
    """A client's sessions with one therapist, in order, missing session numbers filled in."""

    client: str
    therapist: str
    rows: tuple[Row, ...]


class RatingsCsv:
    """A ratings file whose header has been read and found good.

    `file` is open in binary mode and read once, front to back; `name` stands for it in messages.
    `items` names the item columns; None means every column that is not one of `COLUMNS`. Raises
    BadInputError: for the header at once, for a row when `read_series` comes to it.
    """

    def __init__(
        self, file: BinaryIO, *, name: str, scale: Scale, items: Sequence[str] | None = None
    ) -> None:
        self.name = name
        self.scale = scale
        self._lines = _Lines(file, name)
        self._delimiter, header = self._read_header()
        self._places = {column: place for place, column in enumerate(header)}
        self.order = "session" if "session" in header else "held_at"
        self.items = self._find_items(items)
        self.unread = [name for name in header if name not in COLUMNS and name not in self.items]

    def read_series(self) -> Iterator[Series]:
        """Every client's series, in the order of the file."""
        for client, rows in groupby(self._together(self._rows()), key=lambda row: row.client):
            yield from _by_therapist(client, self._in_order(rows))

    def _read_header(self) -> tuple[str, list[str]]:
        line = next(self._lines, "")
        headers = {}
        for delimiter in ",;":
            try:
                fields = next(csv.reader([line], delimiter=delimiter, strict=True), [])
            except csv.Error as error:
                raise BadInputError(self.name, 1, "1", f"a header ({error})") from error
            headers[delimiter] = [field.strip() for field in fields]
        delimiter = ";" if "client" in headers[";"] else ","
        header = headers[delimiter]
        for place, column in enumerate(header, start=1):
            if not column:
                raise BadInputError(self.name, 1, str(place), "a column name")
            if column in header[: place - 1]:
                raise BadInputError(self.name, 1, column, "each column once")
        if "client" not in header:
            raise BadInputError(self.name, 1, "client", "a header with this column")
        if "session" not in header and "held_at" not in header:
            raise BadInputError(self.name, 1, "session", "this column, or held_at")
        return delimiter, header

    def _find_items(self, items: Sequence[str] | None) -> tuple[str, ...]:
        others = [column for column in self._places if column not in COLUMNS]
        if items is not None:
            for item in items:
                if item in COLUMNS or item not in self._places or items.count(item) > 1:
                    expected = "an item column of this file, named once in --items"
                    raise BadInputError(self.name, 1, item, expected)
        if items is None or "pomp" in self._places:
            for column in others:
                close = get_close_matches(column.casefold(), COLUMNS, n=1, cutoff=0.8)
                if close:
                    raise BadInputError(
                        self.name, 1, column, f"a known column, such as {close[0]!r}"
                    )
                if "pomp" in self._places:
                    expected = f"beside pomp only {', '.join(COLUMNS)}"
                    raise BadInputError(self.name, 1, column, expected)
        chosen = tuple(others if items is None else items)
        if not chosen and "pomp" not in self._places:
            raise BadInputError(self.name, 1, "pomp", "this column, or item columns")
        return chosen

    def _rows(self) -> Iterator[Row]:
        reader = csv.reader(self._lines, delimiter=self._delimiter, strict=True)
        while True:
            line = self._lines.number + 1
            try:
                fields = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                raise BadInputError(self.name, line, "1", f"well-formed CSV ({error})") from error
            if not fields:
                continue
            if len(fields) != len(self._places):
                place = str(min(len(fields), len(self._places)) + 1)
                expected = f"{len(self._places)} columns as in the header"
                raise BadInputError(self.name, line, place, expected, str(len(fields)))
            values = (field.strip() for field in fields)
            yield self._row(_Cells(self.name, line, dict(zip(self._places, values, strict=True))))

    def _row(self, cells: "_Cells") -> Row:
        client = cells.required("client")
        attended = cells.flag("attended")
        if self.order == "held_at":
            when: int | str = cells.required("held_at")
            held_at = cells.moment("held_at")
        else:
            cells.required("session")
            when = cells.whole("session", NUMBERING) or 0
            held_at = cells.moment("held_at") if attended else None
        if not attended:
            return Row(
                line=cells.line,
                client=client,
                when=when,
                attended=False,
                held_at=held_at,
                answers={},
            )
        answers = {item: cells.number(item, self.scale) for item in self.items}
        return Row(
            line=cells.line,
            client=client,
            when=when,
            therapist=cells.text("therapist"),
            held_at=held_at,
            pomp=pomp(answers.values(), self.scale) if answers else cells.number("pomp", POMP),
            answers=answers,
            asked=cells.flag("asked"),
            tension=cells.whole("tension", ANSWER),
            resolved=cells.whole("resolved", ANSWER),
            therapist_tension=cells.whole("therapist_tension", ANSWER),
            therapist_resolved=cells.whole("therapist_resolved", ANSWER),
            no_shows=cells.whole("no_shows", COUNT) or 0,
            gap_days=cells.number("gap_days", COUNT),
        )

    def _together(self, rows: Iterable[Row]) -> Iterator[Row]:
        """The same rows, checked: a client who was left does not come back."""
        current = None
        with closing(_SeenClients()) as seen:
            for row in rows:
                if row.client != current and not seen.add(row.client):
                    raise self._bad(row, "client", "a client's rows to stand together", row.client)
                current = row.client
                yield row

    def _in_order(self, rows: Iterable[Row]) -> Iterator[Row]:
        """A client's rows, checked against each other, with the missing numbers between them."""
        previous: Row | None = None
        last_attended: datetime | None = None
        for row in rows:
            if previous is not None:
                yield from self._missing_between(previous, row)
            if row.attended:
                yield self._with_gap(row, since=last_attended)
                last_attended = row.held_at
            else:
                yield row
            previous = row

    def _missing_between(self, previous: Row, row: Row) -> Iterator[Row]:
        if self.order == "held_at":
            if self._days(row, previous.held_at, row.held_at) <= 0:
                expected = f"a moment after {previous.when}, the client's row before"
                raise self._bad(row, "held_at", expected, row.when)
            return
        first, end = int(previous.when) + 1, int(row.when)
        if end < first:
            expected = f"a number above {previous.when}, the client's row before"
            raise self._bad(row, "session", expected, row.when)
        if end - first > LONGEST_GAP:
            expected = f"at most {LONGEST_GAP} missing numbers after {previous.when}"
            raise self._bad(row, "session", expected, row.when)
        for number in range(first, end):
            yield Row(line=None, client=row.client, when=number, answers={})

    def _with_gap(self, row: Row, *, since: datetime | None) -> Row:
        if row.gap_days is not None:
            return row
        return replace(row, gap_days=max(0.0, self._days(row, since, row.held_at)))

    def _days(self, row: Row, since: datetime | None, until: datetime | None) -> float:
        if since is None or until is None:
            return 0.0
        if (since.tzinfo is None) != (until.tzinfo is None):
            expected = "a time zone in all of a client's rows, or in none"
            raise self._bad(row, "held_at", expected, until.isoformat())
        return (until - since).total_seconds() / 86400

    def _bad(self, row: Row, column: str, expected: str, found: int | str) -> BadInputError:
        return BadInputError(self.name, row.line or 0, column, expected, str(found))


def _by_therapist(client: str, rows: Iterable[Row]) -> Iterator[Series]:
    """Split where an attended row names another therapist; a row that names none goes with those
    before it."""
    therapist, series = "", list[Row]()
    for row in rows:
        if row.therapist and therapist and row.therapist != therapist:
            yield Series(client, therapist, tuple(series))
            series = []
        therapist = row.therapist or therapist
        series.append(row)
    yield Series(client, therapist, tuple(series))


class _Cells:
    """The cells of one row by column. A column the file lacks reads as blank."""

    def __init__(self, file: str, line: int, values: Mapping[str, str]) -> None:
        self.file, self.line, self._values = file, line, values

    def text(self, column: str) -> str:
        value = self._values.get(column, "")
        if not value.isprintable():
            raise self._bad(column, "printable characters")
        return value

    def required(self, column: str) -> str:
        if not (value := self.text(column)):
            raise self._bad(column, "a value")
        return value

    def flag(self, column: str) -> bool:
        if self.text(column) not in ("", "0", "1"):
            raise self._bad(column, "0, 1 or blank")
        return self.text(column) != "0"

    def whole(self, column: str, scale: Scale) -> int | None:
        if not (value := self.text(column)):
            return None
        if not WHOLE.fullmatch(value) or int(value) not in scale:
            raise self._bad(column, f"a whole number{_bounds(scale)}")
        return int(value)

    def number(self, column: str, scale: Scale) -> float | None:
        if not (value := self.text(column)):
            return None
        if not DECIMAL.fullmatch(value) or float(value) not in scale:
            raise self._bad(column, f"a number{_bounds(scale)} with a decimal point, or blank")
        return float(value)

    def moment(self, column: str) -> datetime | None:
        if not (value := self.text(column)):
            return None
        try:
            return datetime.fromisoformat(value)
        except ValueError as error:
            expected = "an ISO date or date and time, such as 2026-11-19T10:00"
            raise self._bad(column, expected) from error

    def _bad(self, column: str, expected: str) -> BadInputError:
        return BadInputError(self.file, self.line, column, expected, self._values.get(column, ""))


def _bounds(scale: Scale) -> str:
    if isinf(scale.maximum):
        return "" if isinf(scale.minimum) else f" of {scale.minimum:g} or more"
    return f" from {scale.minimum:g} to {scale.maximum:g}"


class _Lines:
    """A file's lines as text; `number` is that of the line read last, from 1."""

    def __init__(self, file: BinaryIO, name: str) -> None:
        self._file, self._name, self.number = file, name, 0

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> str:
        line = self._file.readline(LONGEST_LINE + 1)
        if not line:
            raise StopIteration
        self.number += 1
        if len(line) > LONGEST_LINE:
            raise BadInputError(
                self._name, self.number, "1", f"a line of at most {LONGEST_LINE} bytes"
            )
        try:
            return line.decode("utf-8-sig" if self.number == 1 else "utf-8")
        except UnicodeDecodeError as error:
            column = f"byte {error.start + 1}"
            raise BadInputError(self._name, self.number, column, "UTF-8 text") from error


class _SeenClients:
    """A set of client codes on disk: SQLite keeps an unnamed database in a temporary file."""

    def __init__(self) -> None:
        self._database = sqlite3.connect("")
        self._database.execute("CREATE TABLE seen (client TEXT PRIMARY KEY) WITHOUT ROWID")

    def add(self, client: str) -> bool:
        """Whether the client is new."""
        insert = "INSERT OR IGNORE INTO seen VALUES (?)"
        return self._database.execute(insert, (client,)).rowcount == 1

    def close(self) -> None:
        self._database.close()
