"""When a feedback request may go out, when it is repeated, and until when it can be answered.

Pure. Durations are added in UTC: by a local clock, two hours are one or three on some nights.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from typing import Self
from zoneinfo import ZoneInfo

QUARTER = timedelta(minutes=15)


@dataclass(frozen=True)
class Rules:
    """How long to wait, and when not to write.

    Args:
        delay: from the end of the session to the message.
        remind_after: from the message to its one reminder.
        open_for: from the message to the end of the form.
        quiet_hours: start and end by the client's clock; they may pass midnight. None: none.
    """

    delay: timedelta
    remind_after: timedelta
    open_for: timedelta
    quiet_hours: tuple[time, time] | None


@dataclass(frozen=True)
class Window:
    """The life of one request; `remind_at` is None where it would come after the end."""

    due_at: datetime
    remind_at: datetime | None
    expires_at: datetime

    @classmethod
    def of(
        cls,
        ends_at: datetime,
        *,
        asked_at: datetime,
        closes_at: datetime,
        time_zone: str,
        rules: Rules,
    ) -> Self | None:
        """The window of a session that ends at `ends_at`; None where it would be over when due.

        Args:
            asked_at: logged late, the message is due from then on, but not in the night either.
            closes_at: the next session's start, or whatever else ends the time for answers.
            time_zone: the client's, an IANA name.

        >>> from datetime import UTC
        >>> rules = Rules(delay=timedelta(hours=2), remind_after=timedelta(hours=24),
        ...               open_for=timedelta(hours=96), quiet_hours=(time(21), time(8)))
        >>> noon = datetime(2026, 11, 19, 12, tzinfo=UTC)
        >>> window = Window.of(noon, asked_at=noon, closes_at=noon + timedelta(days=7),
        ...                    time_zone="Europe/London", rules=rules)
        >>> window.due_at.isoformat(), window.expires_at.isoformat()
        ('2026-11-19T14:00:00+00:00', '2026-11-23T14:00:00+00:00')
        """
        due = due_at(
            max(ends_at, asked_at.astimezone(UTC) - rules.delay),
            time_zone=time_zone,
            delay=rules.delay,
            quiet_hours=rules.quiet_hours,
        )
        return cls.from_due(due, closes_at=closes_at, time_zone=time_zone, rules=rules)

    @classmethod
    def from_due(
        cls, due: datetime, *, closes_at: datetime, time_zone: str, rules: Rules
    ) -> Self | None:
        """The rest of the window, for a message whose time is known."""
        due = due.astimezone(UTC)
        expires = min(due + rules.open_for, closes_at.astimezone(UTC))
        if expires <= due:
            return None
        remind = due_at(
            due, time_zone=time_zone, delay=rules.remind_after, quiet_hours=rules.quiet_hours
        )
        return cls(due, remind if remind < expires else None, expires)


def due_at(
    ends_at: datetime,
    *,
    time_zone: str,
    delay: timedelta,
    quiet_hours: tuple[time, time] | None,
) -> datetime:
    """`delay` after the session's end, put off to the end of the client's quiet hours.

    Args:
        ends_at: end of the therapy session, aware.
        time_zone: the client's, an IANA name.
        quiet_hours: start and end by the client's clock; they may pass midnight. None: none.

    >>> from datetime import UTC
    >>> evening = datetime(2026, 11, 19, 19, 30, tzinfo=UTC)
    >>> due_at(evening, time_zone="Europe/Berlin", delay=timedelta(hours=2),
    ...        quiet_hours=(time(21), time(8))).isoformat()
    '2026-11-20T07:00:00+00:00'
    """
    due = ends_at.astimezone(UTC) + delay
    if quiet_hours is None or not is_quiet(due, time_zone=time_zone, quiet_hours=quiet_hours):
        return due
    starts, ends = quiet_hours
    zone = ZoneInfo(time_zone)
    local = due.astimezone(zone)
    day = local.date() + timedelta(days=1 if starts > ends and local.time() >= starts else 0)
    return datetime.combine(day, ends, tzinfo=zone).astimezone(UTC)


def awake_before(
    end: datetime,
    spell: timedelta,
    *,
    time_zone: str,
    quiet_hours: tuple[time, time] | None,
) -> datetime:
    """The moment from which on a `spell` of time outside the quiet hours lies before `end`, to a
    quarter of an hour.

    >>> from datetime import UTC
    >>> morning = datetime(2026, 11, 20, 8, 30, tzinfo=UTC)
    >>> awake_before(morning, timedelta(hours=2), time_zone="Europe/London",
    ...              quiet_hours=(time(21), time(8))).isoformat()
    '2026-11-19T19:30:00+00:00'
    """
    since = end.astimezone(UTC)
    while spell > timedelta(0):
        since -= QUARTER
        if quiet_hours is None or not is_quiet(since, time_zone=time_zone, quiet_hours=quiet_hours):
            spell -= QUARTER
    return since


def is_quiet(moment: datetime, *, time_zone: str, quiet_hours: tuple[time, time]) -> bool:
    """Whether a moment lies in the quiet hours by the clock of `time_zone`."""
    starts, ends = quiet_hours
    clock = moment.astimezone(ZoneInfo(time_zone)).time()
    return starts <= clock or clock < ends if starts > ends else starts <= clock < ends
