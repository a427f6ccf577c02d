"""When the demo's sessions are: today's relative to now, the others once a week."""

from collections.abc import Iterator
from datetime import datetime, time, timedelta

SESSION = timedelta(minutes=50)
WORKING_HOURS = (time(9), time(10), time(11, 30), time(13), time(14), time(15, 30), time(17))
WEEKDAYS = 5
QUARTER_MIN = 15
ENDED_BEFORE = 2
"""How many of today's sessions come before the one that just ended, where the day allows it."""


def todays_starts(now: datetime, *, count: int, pace_min: int) -> list[datetime]:
    """Starts of today's sessions, in order: some over, one just ended, some still to come.

    Early in the night none can be over yet, and late in the evening all are.

    >>> from zoneinfo import ZoneInfo
    >>> now = datetime(2026, 11, 19, 12, 24, tzinfo=ZoneInfo("Europe/London"))
    >>> [f"{start:%H:%M}" for start in todays_starts(now, count=5, pace_min=75)]
    ['09:00', '10:15', '11:30', '12:45', '14:00']
    """
    just_ended = now - SESSION - timedelta(minutes=2)
    just_ended -= timedelta(
        minutes=just_ended.minute % QUARTER_MIN,
        seconds=just_ended.second,
        microseconds=just_ended.microsecond,
    )
    pace = timedelta(minutes=pace_min)
    fitting = [
        n
        for n in range(-2 * count, 2 * count)
        if (just_ended + n * pace).date() == now.date() == (just_ended + n * pace + SESSION).date()
    ]
    first = max(fitting[0], min(-ENDED_BEFORE, fitting[-1] - count + 1))
    return [just_ended + n * pace for n in range(first, first + count)]


def weekly_starts(now: datetime) -> Iterator[datetime]:
    """Starts of last sessions on the working days before today, those longest ago first.

    Each is a different hour, so that no therapist sees two clients at once.
    """
    days = [now.date() - timedelta(days=days) for days in range(6, 0, -1)]
    for clock in WORKING_HOURS:
        for day in days:
            if day.weekday() < WEEKDAYS:
                yield datetime.combine(day, clock, tzinfo=now.tzinfo)
