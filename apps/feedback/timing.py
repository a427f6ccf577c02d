"""When a feedback request may go out, and until when it can be answered."""

from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo


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
    due = ends_at + delay
    if quiet_hours is None:
        return due
    starts, ends = quiet_hours
    zone = ZoneInfo(time_zone)
    local = due.astimezone(zone)
    clock = local.time()
    is_quiet = starts <= clock or clock < ends if starts > ends else starts <= clock < ends
    if not is_quiet:
        return due
    day = local.date() + timedelta(days=1 if starts > ends and clock >= starts else 0)
    return datetime.combine(day, ends, tzinfo=zone).astimezone(due.tzinfo)


def expires_at(due: datetime, *, open_for: timedelta, next_starts_at: datetime | None) -> datetime:
    """`open_for` after it was due, or the next session's start, whichever is first."""
    latest = due + open_for
    return min(latest, next_starts_at) if next_starts_at else latest
