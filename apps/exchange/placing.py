"""When the sessions of a ratings file took place. Pure: no database, no clock.

The detector asks of the calendar only whether 42 days or more lay between two attended sessions.
So dates may be made up where a file has none, as long as they tell it the same as the file does.
All moments here are wall-clock times in the practice, without a time zone.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from math import ceil
from zlib import crc32
from zoneinfo import ZoneInfo

from apps.exchange.ratings_csv import BadInputError, Row
from apps.ruptures.detection import Parameters

WEEK = timedelta(weeks=1)
NOON = time(12)
FIRST_HOUR, HOURS, WEEKDAYS = 9, 8, 5
EARLIEST_YEAR = 1950
LONGEST_GAP_DAYS = 3650
MOST_NO_SHOWS = 30


@dataclass(frozen=True)
class Placed:
    """A row with its start, and the starts of the no-shows that it tells of."""

    row: Row
    starts_at: datetime
    no_shows: tuple[datetime, ...] = ()


class Placer:
    """Gives the rows of one client their dates; `file` stands for the file in messages.

    Rows that carry `held_at` have theirs, a bare date counting as noon. Otherwise each row lies a
    week after the one before, or `gap_days` after the attended one before. Sessions that were not
    attended never widen the time between attended ones to a break: the file tells of none.
    """

    def __init__(self, *, file: str, order: str, zone: ZoneInfo, parameters: Parameters) -> None:
        self.order = order
        self._file, self._zone, self._break_days = file, zone, parameters.gap_days

    def place(
        self,
        rows: Sequence[Row],
        *,
        first: datetime,
        last: datetime | None = None,
        last_attended: datetime | None = None,
    ) -> list[Placed]:
        """Date `rows`: from `first` on, or after the `last` row that was placed before.

        Raises:
            BadInputError: a date is missing, out of order or out of bounds.
        """
        are_dated = any(row.held_at for row in rows)
        placed: list[Placed] = []
        waiting: list[Row] = []
        for row in rows:
            waiting.append(row)
            if row.held_at:
                end = self.held_at(row)
            elif not row.attended or (are_dated and row.line is None):
                continue
            elif are_dated:
                raise self.bad(row, "held_at", "a date, as in other rows of this client", "")
            else:
                end = self._weekly(row, len(waiting), first, last, last_attended)
            for each, starts_at in zip(
                waiting, self._spread(waiting, last, end, last_attended), strict=True
            ):
                placed.append(self._placed(each, starts_at, last, last_attended))
                last = starts_at
                last_attended = starts_at if each.attended else last_attended
            waiting = []
        for each in waiting:
            last = last + WEEK if last else first
            placed.append(Placed(each, last))
        return placed

    def held_at(self, row: Row) -> datetime:
        """The row's own moment by the practice's clock."""
        held_at = row.held_at
        if held_at is None or held_at.year < EARLIEST_YEAR:
            raise self.bad(row, "held_at", f"a moment since {EARLIEST_YEAR}", row.when)
        if held_at.tzinfo:
            return self.wall_clock(held_at)
        told = datetime.combine(held_at, NOON) if held_at.time() == time.min else held_at
        if self.wall_clock(told.replace(tzinfo=self._zone).astimezone(UTC)) != told:
            expected = f"a moment by the clock of {self._zone}, which skips this one"
            raise self.bad(row, "held_at", expected, row.when)
        return told

    def wall_clock(self, moment: datetime) -> datetime:
        """A stored moment by the practice's clock."""
        return moment.astimezone(self._zone).replace(tzinfo=None)

    def check_gap(self, row: Row, starts_at: datetime, last_attended: datetime | None) -> None:
        """Refuse dates that tell the detector of a break where the file does not, or not of one."""
        if last_attended is None:
            return
        is_break = (starts_at - last_attended).days >= self._break_days
        if is_break != ((row.gap_days or 0) >= self._break_days):
            expected = f"days that agree with the dates ({last_attended:%Y-%m-%d} to "
            expected += f"{starts_at:%Y-%m-%d}) on a break of {self._break_days:g} days"
            raise self.bad(row, "gap_days", expected, row.gap_days or 0)

    def _weekly(
        self,
        row: Row,
        rows: int,
        first: datetime,
        last: datetime | None,
        last_attended: datetime | None,
    ) -> datetime:
        """When an attended row without a date took place, the last of `rows` that wait for one."""
        if last is None:
            return first + (rows - 1) * WEEK
        starts_at = last + rows * WEEK
        if last_attended and row.gap_days:
            if row.gap_days > LONGEST_GAP_DAYS:
                expected = f"at most {LONGEST_GAP_DAYS} days"
                raise self.bad(row, "gap_days", expected, row.gap_days)
            starts_at = last_attended + timedelta(days=row.gap_days)
        elif last_attended:
            longest = timedelta(days=ceil(self._break_days) - 1)
            starts_at = min(starts_at, last_attended + longest)
        return max(starts_at, last + timedelta(hours=1))

    def _spread(
        self,
        rows: Sequence[Row],
        last: datetime | None,
        end: datetime,
        last_attended: datetime | None,
    ) -> list[datetime]:
        """Moments for `rows`, evenly after `last`, the last of them at `end`."""
        if last is None or last_attended is None:
            return [end - n * WEEK for n in range(len(rows) - 1, -1, -1)]
        pace = (end - last) / len(rows)
        spare = end - last - timedelta(days=self._break_days)
        if spare > timedelta(0) and any(row.attended for row in rows[:-1]):
            # A break is told of the row itself, not of the missing numbers before it.
            pace = min(WEEK, spare / len(rows))
        return [*(last + n * pace for n in range(1, len(rows))), end]

    def _placed(
        self, row: Row, starts_at: datetime, last: datetime | None, last_attended: datetime | None
    ) -> Placed:
        if last and starts_at <= last:
            expected = f"a moment after {last:%Y-%m-%d %H:%M}, the row before"
            raise self.bad(row, "held_at", expected, row.when)
        if row.no_shows > MOST_NO_SHOWS:
            raise self.bad(row, "no_shows", f"at most {MOST_NO_SHOWS}", row.no_shows)
        if row.attended:
            self.check_gap(row, starts_at, last_attended)
        after = last or starts_at - WEEK
        pace = (starts_at - after) / (row.no_shows + 1)
        no_shows = tuple(after + n * pace for n in range(1, row.no_shows + 1))
        return Placed(row, starts_at, no_shows)

    def place_of(self, row: Row) -> str:
        """What names the row among its client's: the session number, or the moment."""
        return self.held_at(row).isoformat() if self.order == "held_at" else str(row.when)

    def bad(self, row: Row, column: str, expected: str, found: object) -> BadInputError:
        """An error at the row's place in the file."""
        return BadInputError(self._file, row.line or 0, column, expected, str(found))


def weekly_slot(client: str, monday: date) -> datetime:
    """A client's hour in the week of `monday`: always the same one, and spread over clients.

    >>> weekly_slot("C01", date(2026, 11, 16)).isoformat()
    '2026-11-20T15:00:00'
    """
    slot = crc32(client.encode()) % (WEEKDAYS * HOURS)
    day = monday + timedelta(days=slot % WEEKDAYS)
    return datetime.combine(day, time(FIRST_HOUR + slot // WEEKDAYS))


def monday_of(day: date) -> date:
    """The Monday of the week that `day` lies in."""
    return day - timedelta(days=day.weekday())
