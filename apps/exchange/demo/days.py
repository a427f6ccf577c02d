"""When the demo's sessions are: today's relative to now, the others once a week."""

from collections.abc import Iterator
from datetime import UTC, datetime, time, timedelta

SESSION = timedelta(minutes=50)
WORKING_HOURS = (time(9), time(10), time(11, 30), time(13), time(14), time(15, 30), time(17))
EVENING = time(18)
WEEKDAYS = 5
QUARTER_MIN = 15
ENDED_BEFORE = 2
"""How many of today's sessions come before the one that just ended, where the day allows it."""


def todays_starts(now: datetime, *, count: int, pace_min: int) -> list[datetime]:
    """Starts of today's sessions, in order: some over, one just ended, some still to come.

    Late in the evening all are over. Early in the night none of today's is, and the first was
    yesterday evening's: one is always over, and waits to be logged.

    >>> from zoneinfo import ZoneInfo
    >>> now = datetime(2026, 11, 19, 12, 24, tzinfo=ZoneInfo("Europe/London"))
    >>> [f"{start:%H:%M}" for start in todays_starts(now, count=5, pace_min=75)]
    ['09:00', '10:15', '11:30', '12:45', '14:00']
    >>> [f"{start:%a %H:%M}" for start in todays_starts(now.replace(hour=0), count=3, pace_min=75)]
    ['Wed 18:00', 'Thu 02:00', 'Thu 03:15']
    """
    just_ended = now.astimezone(UTC) - SESSION - timedelta(minutes=2)
    just_ended -= timedelta(
        minutes=just_ended.minute % QUARTER_MIN,
        seconds=just_ended.second,
        microseconds=just_ended.microsecond,
    )
    # Steps in UTC: on the day the clocks change no session is an hour longer or shorter.
    every = [just_ended + n * timedelta(minutes=pace_min) for n in range(-2 * count, 2 * count)]
    fitting = [start.astimezone(now.tzinfo) for start in every if _is_within(start, now)]
    over = sum(is_over(start, now) for start in fitting)
    first = max(0, min(over - 1 - ENDED_BEFORE, len(fitting) - count))
    starts = fitting[first : first + count]
    if not over:
        yesterday = now.date() - timedelta(days=1)
        starts[0] = datetime.combine(yesterday, EVENING, tzinfo=now.tzinfo)
    return starts


def is_over(start: datetime, now: datetime) -> bool:
    """Whether a session of that start has ended, also on the day the clocks change."""
    return start.astimezone(UTC) + SESSION <= now


def _is_within(start: datetime, now: datetime) -> bool:
    """Whether a session of that start begins and ends on the day of `now`."""
    ends = start + SESSION
    return {each.astimezone(now.tzinfo).date() for each in (start, ends)} == {now.date()}


def weekly_starts(now: datetime) -> Iterator[datetime]:
    """Starts of last sessions on the working days before today, those longest ago first.

    Each is a different hour, so that no therapist sees two clients at once.
    """
    days = [now.date() - timedelta(days=days) for days in range(6, 0, -1)]
    for clock in WORKING_HOURS:
        for day in days:
            if day.weekday() < WEEKDAYS:
                yield datetime.combine(day, clock, tzinfo=now.tzinfo)
