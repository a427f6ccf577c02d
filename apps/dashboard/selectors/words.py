"""Days and moments as people say them, by the practice's clock."""

from datetime import date, datetime

from django.utils import timezone
from django.utils.formats import date_format
from django.utils.text import capfirst
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

RECENT_DAYS = 13
NEAR = {-1: gettext_lazy("yesterday"), 0: gettext_lazy("today"), 1: gettext_lazy("tomorrow")}


def local(moment: datetime) -> datetime:
    return timezone.localtime(moment)


def clock(moment: datetime) -> str:
    """'10:58'."""
    return f"{local(moment):%H:%M}"


def short_day(when: date, today: date) -> str:
    """'8 Oct', with the year where it is another one."""
    return date_format(when, "j M" if when.year == today.year else "j M Y")


def day_inside(when: date, today: date) -> str:
    """Inside a sentence: 'today', 'tomorrow', 'yesterday' or 'Thu 26 Nov', with the year where it
    is another one."""
    near = NEAR.get((when - today).days)
    return str(near or date_format(when, "D j M" if when.year == today.year else "D j M Y"))


def day(when: date, today: date) -> str:
    """The same standing alone: 'Today' or 'Thu 26 Nov'."""
    return capfirst(day_inside(when, today))


def moment_inside(when: datetime, today: date) -> str:
    """Inside a sentence: 'today, 10:58' or 'Thu 26 Nov, 10:00'."""
    said = day_inside(local(when).date(), today)
    return _("%(day)s, %(time)s") % {"day": said, "time": clock(when)}


def moment(when: datetime, today: date) -> str:
    """The same standing alone: 'Today, 10:58' or 'Thu 26 Nov, 10:00'."""
    return capfirst(moment_inside(when, today))


def clock_or_moment(when: datetime, today: date) -> str:
    """Inside a sentence: '10:58' today, 'yesterday, 14:21' or 'Thu 26 Nov, 10:00' else."""
    return clock(when) if local(when).date() == today else moment_inside(when, today)


def as_of(today: date, screened_at: datetime | None) -> str:
    """'Thursday 19 November 2026 · flags as of 12:24'; `screened_at`: the newest screening.

    >>> from datetime import UTC
    >>> as_of(date(2026, 11, 19), datetime(2026, 11, 18, 14, 21, tzinfo=UTC))
    'Thursday 19 November 2026 · flags as of yesterday, 14:21'
    """
    said = date_format(today, "l j F Y")
    if screened_at is None:
        return said
    return _("%(day)s · flags as of %(moment)s") % {
        "day": said,
        "moment": clock_or_moment(screened_at, today),
    }


def opened(when: datetime, today: date) -> str:
    """'Opened today', 'Opened 2 days ago' or 'Opened 8 Oct'."""
    opened_on = local(when).date()
    days = (today - opened_on).days
    if days <= 0:
        return _("Opened today")
    if days > RECENT_DAYS:
        return _("Opened %(day)s") % {"day": short_day(opened_on, today)}
    return ngettext("Opened yesterday", "Opened %(days)d days ago", days) % {"days": days}


def opened_with_time(when: datetime, today: date) -> str:
    """'Opened today, 10:58'; the hour matters on the first day only."""
    if local(when).date() < today:
        return opened(when, today)
    return _("%(opened)s, %(time)s") % {"opened": opened(when, today), "time": clock(when)}


def waiting(since: datetime, today: date) -> str:
    """'Today', '1 day' or '12 days'."""
    days = (today - local(since).date()).days
    if days <= 0:
        return _("Today")
    return ngettext("%(days)d day", "%(days)d days", days) % {"days": days}
