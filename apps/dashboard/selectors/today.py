"""Today's sessions of a caseload: what is planned, what is logged, what comes next."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any
from uuid import UUID

from django.db.models import Count, F, Q
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from apps.accounts.models import Membership
from apps.dashboard.selectors import words
from apps.dashboard.selectors.feedback_states import FeedbackState
from apps.dashboard.selectors.standing import Standing
from apps.ruptures.selectors import Status
from apps.therapy_sessions.models import TherapySession, waits_to_be_logged


@dataclass(frozen=True)
class TodaySession:
    """One of today's sessions; see components/today.html."""

    url: str
    initials: str
    code: str
    starts_at: str
    starts_iso: str
    about: str
    detail: str
    logged: bool
    now: bool
    log_url: str
    brief_url: str


def sessions_of_today(membership: Membership, today: date) -> list[Any]:
    """The day's sessions by time; `earlier` counts the logged ones before in the treatment."""
    midnight = timezone.make_aware(datetime.combine(today, time.min))
    is_before = Q(treatment__therapy_sessions__starts_at__lt=F("starts_at"))
    is_logged = ~Q(treatment__therapy_sessions__attendance="")
    return list(
        TherapySession.objects.conducted_by(membership)
        .filter(starts_at__gte=midnight, starts_at__lt=midnight + timedelta(days=1))
        .annotate(earlier=Count("treatment__therapy_sessions", filter=is_before & is_logged))
        .order_by("starts_at", "id")
    )


def today_strip(
    sessions: Sequence[Any],
    standings: Iterable[Standing],
    states: dict[UUID, FeedbackState],
    *,
    at: datetime,
) -> tuple[TodaySession, ...]:
    """The strip; the session that 'Log session' begins with stands out."""
    by_treatment = {each.treatment.id: each for each in standings}
    to_log = waits_to_be_logged(sessions, at=at)
    return tuple(
        _today_session(
            session,
            by_treatment[session.treatment_id],
            states[session.id],
            is_now=session is to_log,
            at=at,
        )
        for session in sessions
        # A client may be handed over, a session cancelled, between two queries.
        if session.treatment_id in by_treatment and session.id in states
    )


def _today_session(
    session: Any, standing: Standing, state: FeedbackState, *, is_now: bool, at: datetime
) -> TodaySession:
    client = standing.treatment.client
    logged = bool(session.attendance)
    number = session.earlier + 1
    about = _("session %(number)d") % {"number": number}
    detail = _logged(session, state) if logged else _expected(standing)
    if is_now and session.ends_at <= at:
        about, detail = _ended(session, at), _("Session %(number)d") % {"number": number}
    return TodaySession(
        url=standing.url,
        initials=client.initials,
        code=client.code,
        starts_at=words.clock(session.starts_at),
        starts_iso=words.clock(session.starts_at),
        about=about,
        detail=detail,
        logged=logged,
        now=is_now,
        log_url="" if logged else f"{reverse('log_session')}?session={session.id}",
        brief_url=reverse("brief", args=[client.id]),
    )


def _ended(session: TherapySession, at: datetime) -> str:
    minutes = int((at - session.ends_at).total_seconds() // 60)
    if minutes < 60:
        return _("ended %(minutes)d min ago") % {"minutes": minutes}
    return ngettext("ended %(hours)d hour ago", "ended %(hours)d hours ago", minutes // 60) % {
        "hours": minutes // 60
    }


def _logged(session: TherapySession, state: FeedbackState) -> str:
    """'Logged · form sent 11:50'; times of another day carry the day."""
    if session.attendance != TherapySession.Attendance.ATTENDED:
        return session.get_attendance_display()
    at = words.clock_or_moment(state.at, timezone.localdate()) if state.at else ""
    return {
        "answered": _("Logged · answered %(at)s"),
        "sent": _("Logged · form sent %(at)s"),
        "due": _("Logged · form goes out %(at)s"),
        "no_answer": _("Logged · no answer"),
        "undelivered": _("Logged · form not delivered"),
        "not_asked": _("Logged · not asked this time"),
    }[state.state] % {"at": at}


def _expected(standing: Standing) -> str:
    """What to have in mind before the session; '' where there is nothing."""
    return {
        Status.MARKED: _("Possible rupture · marked"),
        Status.POSSIBLE: _("Possible rupture"),
        Status.RECOVERING: _("Recovering: repaired?"),
        Status.BASELINE_FORMING: _("Baseline forming"),
    }.get(standing.status, "")
