"""The diary: one week of a therapist's sessions, planned and held, by day and hour."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any
from uuid import UUID

from django.urls import reverse
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext as _

from apps.accounts.models import Membership
from apps.dashboard.selectors import words
from apps.dashboard.selectors.feedback_states import FeedbackState
from apps.dashboard.selectors.standing import Standing, load_standings
from apps.ruptures.selectors import Status
from apps.therapy_sessions.models import TherapySession

Attendance = TherapySession.Attendance
WORKING_DAYS = 5
# Hours that are drawn also where nothing is planned.
MORNING, EVENING = 9, 17
FARTHEST = timedelta(days=10 * 366)
LOOKS = {
    Status.MARKED: "flag",
    Status.POSSIBLE: "flag",
    Status.RECOVERING: "mend",
    Status.REPAIRED: "mend",
}


@dataclass(frozen=True)
class Slot:
    """One session; see components/slot.html.

    `look` is '', 'log' (to be logged), 'flag', 'mend' or 'gone' (did not take place);
    `quick_log_url` is '' where nothing can be logged with one click, `move_url` where the session
    can no longer be moved or cancelled.
    """

    url: str
    initials: str
    code: str
    clock: str
    detail: str
    look: str
    day: date
    hour: int
    quick_log_url: str
    move_url: str
    has_begun: bool


@dataclass(frozen=True)
class Day:
    """A column of the week; `heading` reads 'Thu 19' or 'Thu 19, today'."""

    day: date
    heading: str
    is_today: bool
    slots: tuple[Slot, ...]


@dataclass(frozen=True)
class Cell:
    is_today: bool
    slots: tuple[Slot, ...]


@dataclass(frozen=True)
class Hour:
    """A row of the week: `clock` ('09:00') and what begins in that hour, by day."""

    clock: str
    cells: tuple[Cell, ...]


@dataclass(frozen=True)
class DiaryPage:
    """A week. The addresses lead to the week before, this week and the week after."""

    title: str
    days: tuple[Day, ...]
    hours: tuple[Hour, ...]
    earlier_url: str
    this_week_url: str
    later_url: str
    is_this_week: bool
    client_ids: tuple[UUID, ...]


def day_of(text: str, *, today: date) -> date:
    """The day that an address asks for; today where it asks for none of the twenty years around.

    >>> day_of("9999-12-31", today=date(2026, 11, 22)).isoformat()
    '2026-11-22'
    """
    try:
        day = date.fromisoformat(text)
    except ValueError:
        return today
    return day if abs(day - today) <= FARTHEST else today


def monday_of(text: str, *, today: date) -> date:
    """The Monday of the week that an address asks for by one of its days.

    >>> monday_of("2026-11-19", today=date(2027, 1, 1)).isoformat()
    '2026-11-16'
    >>> monday_of("soon", today=date(2026, 11, 22)).isoformat()
    '2026-11-16'
    """
    day = day_of(text, today=today)
    return day - timedelta(days=day.weekday())


def diary_page(membership: Membership, *, monday: date, today: date, at: datetime) -> DiaryPage:
    """The week from `monday` on, in a constant number of queries."""
    midnight = timezone.make_aware(datetime.combine(monday, time.min))
    sunday_night = timezone.make_aware(datetime.combine(monday + timedelta(days=7), time.min))
    sessions = list(
        TherapySession.objects.conducted_by(membership)
        .filter(starts_at__gte=midnight, starts_at__lt=sunday_night)
        .order_by("starts_at", "id")
    )
    standings, states = load_standings(membership, sessions, today=today, at=at)
    by_treatment = {each.treatment.id: each for each in standings}
    # A client may be handed over, a session cancelled, between two queries.
    sessions = [
        each for each in sessions if each.treatment_id in by_treatment and each.id in states
    ]
    is_over = monday + timedelta(days=7) <= today
    slots = [
        _slot(each, by_treatment[each.treatment_id], states[each.id], at=at, is_over=is_over)
        for each in sessions
    ]
    days = _days(slots, monday=monday, today=today)
    return DiaryPage(
        title=_title(days[0].day, days[-1].day),
        days=days,
        hours=_hours(days, slots),
        earlier_url=_address(monday - timedelta(days=7)),
        this_week_url=reverse("diary"),
        later_url=_address(monday + timedelta(days=7)),
        is_this_week=monday <= today < monday + timedelta(days=7),
        client_ids=tuple(
            {by_treatment[each.treatment_id].treatment.client_id for each in sessions}
        ),
    )


def _days(slots: Sequence[Slot], *, monday: date, today: date) -> tuple[Day, ...]:
    """Monday to Friday, and the weekend as far as there is something in it."""
    last = max((slot.day for slot in slots), default=monday)
    count = max(WORKING_DAYS, (last - monday).days + 1)
    days = [monday + timedelta(days=n) for n in range(count)]
    return tuple(
        Day(
            day=day,
            heading=_("%(day)s, today") % {"day": date_format(day, "D j")}
            if day == today
            else date_format(day, "D j"),
            is_today=day == today,
            slots=tuple(slot for slot in slots if slot.day == day),
        )
        for day in days
    )


def _hours(days: Sequence[Day], slots: Sequence[Slot]) -> tuple[Hour, ...]:
    first = min((slot.hour for slot in slots), default=MORNING)
    last = max((slot.hour for slot in slots), default=EVENING)
    return tuple(
        Hour(
            clock=f"{hour:02}:00",
            cells=tuple(
                Cell(day.is_today, tuple(slot for slot in day.slots if slot.hour == hour))
                for day in days
            ),
        )
        for hour in range(min(first, MORNING), max(last, EVENING) + 1)
    )


def _slot(
    session: TherapySession,
    standing: Standing,
    state: FeedbackState,
    *,
    at: datetime,
    is_over: bool,
) -> Slot:
    client: Any = standing.treatment.client
    starts_at = words.local(session.starts_at)
    planned = not session.attendance
    to_log = planned and session.starts_at <= at
    log_url = f"{reverse('log_session')}?session={session.id}"
    return Slot(
        url=log_url if to_log else standing.url,
        initials=client.initials,
        code=client.code,
        clock=words.clock(session.starts_at),
        detail=_detail(session, standing, state, to_log=to_log),
        look=_look(session, standing, to_log=to_log, is_over=is_over),
        day=starts_at.date(),
        hour=starts_at.hour,
        quick_log_url=reverse("quick_log", args=[session.id])
        if planned and starts_at.date() <= words.local(at).date()
        else "",
        move_url="" if to_log or not planned else reverse("move_session", args=[session.id]),
        has_begun=to_log,
    )


def _look(session: TherapySession, standing: Standing, *, to_log: bool, is_over: bool) -> str:
    if to_log:
        return "log"
    if session.attendance not in ("", Attendance.ATTENDED):
        return "gone"
    # A relationship's present status says nothing about a week that is over.
    return "" if is_over else LOOKS.get(standing.status, "")


def _detail(
    session: TherapySession, standing: Standing, state: FeedbackState, *, to_log: bool
) -> str:
    """What to know about it at a glance: how it went, else how the relationship stands."""
    if to_log:
        return _("log session")
    if session.attendance == Attendance.ATTENDED:
        return state.label
    if session.attendance:
        return session.get_attendance_display()
    return {
        Status.MARKED: _("possible rupture"),
        Status.POSSIBLE: _("possible rupture"),
        Status.RECOVERING: _("recovering"),
    }.get(standing.status, "")


def _title(first: date, last: date) -> str:
    """'16–20 November 2026', with what changes in between said twice."""
    if first.year != last.year:
        start = date_format(first, "j F Y")
    elif first.month != last.month:
        start = date_format(first, "j F")
    else:
        start = date_format(first, "j")
    return f"{start}–{date_format(last, 'j F Y')}"


def _address(monday: date) -> str:
    return f"{reverse('diary')}?week={monday.isoformat()}"
