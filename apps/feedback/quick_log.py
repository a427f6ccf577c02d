"""Logging a planned session with one click: what most sessions need."""

from datetime import timedelta
from enum import StrEnum
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from apps.accounts.models import Membership
from apps.accounts.permissions import MemberRequest, Permission, require
from apps.feedback import corrections
from apps.feedback.models import FeedbackRequest
from apps.feedback.services import CannotAsk, log_session_and_ask
from apps.feedback.tokens import ROOM
from apps.therapy_sessions.models import TherapySession
from apps.therapy_sessions.services import AlreadyLogged, OfAnother

# What is called off sooner before its start than this is late.
LATE = timedelta(hours=24)


class How(StrEnum):
    """What one click can say about a session."""

    AS_LAST_TIME = "as_last_time"
    NO_SHOW = TherapySession.Attendance.NO_SHOW.value
    LATE_CANCELLATION = TherapySession.Attendance.LATE_CANCELLATION.value


def quick_log_session(*, planned: TherapySession, how: How, by: Membership) -> TherapySession:
    """Log a planned session as it was planned, asking for feedback the way it was last asked.

    Own view and tension stay unanswered: untouched never means none.

    Raises:
        CannotAsk: nothing is stored; the client was not asked last time, or may not be asked now.
        AlreadyLogged: nothing is stored; the session was logged before.
    """
    attended = how is How.AS_LAST_TIME
    return log_session_and_ask(
        treatment=planned.treatment,
        planned=planned,
        starts_at=planned.starts_at,
        duration_min=planned.duration_min,
        attendance=TherapySession.Attendance.ATTENDED if attended else how.value,
        own_view={},
        ask_by=_asked_last_time(planned) if attended else "",
        by=by,
    )


def _asked_last_time(session: TherapySession) -> str:
    """The way in which the client was asked after the attended session before this one."""
    before = (
        TherapySession.objects.attended()
        .filter(treatment=session.treatment_id, starts_at__lt=session.starts_at)
        .last()
    )
    request = FeedbackRequest.objects.filter(therapy_session=before).first() if before else None
    if request is None:
        raise CannotAsk(_("The client was not asked last time. Choose how to ask."))
    return request.channel_kind or ROOM


@require(Permission.LOG_SESSION)
@require_POST
def quick_log(request: MemberRequest, session_id: UUID) -> HttpResponse:
    """Log a planned session of one's own caseload in one click (`how`)."""
    sessions = TherapySession.objects.conducted_by(request.membership)
    session = get_object_or_404(sessions.select_related("treatment__client"), id=session_id)
    sent: Any = request.POST.get("how", "")
    by_hand = f"{reverse('log_session')}?session={session.id}"
    if sent not in list(How) or _is_still_to_come(session, How(sent)):
        return redirect(by_hand)
    try:
        logged = quick_log_session(planned=session, how=How(sent), by=request.membership)
    except TherapySession.DoesNotExist:  # handed over meanwhile
        raise Http404 from None
    except (CannotAsk, AlreadyLogged, OfAnother) as error:
        messages.info(request, str(error) or _("This session is logged already."))
        return redirect(by_hand)
    undo = reverse("undo_log", args=[logged.id])
    messages.success(request, _logged(logged), extra_tags=undo)
    if logged.feedback_requests.filter(channel_kind="").exists():
        return redirect("in_room", logged.id)
    return redirect(_week_of(session))


@require(Permission.LOG_SESSION)
@require_POST
def undo_log(request: MemberRequest, logged_id: UUID) -> HttpResponse:
    """Take back what a click has just logged about a session of one's own caseload."""
    sessions = TherapySession.objects.conducted_by(request.membership).exclude(attendance="")
    session = get_object_or_404(sessions.select_related("treatment__client"), id=logged_id)
    try:
        corrections.undo_log(session=session, by=request.membership)
    except corrections.CannotUndo as error:
        messages.info(request, str(error))
        return redirect("correct_session", session.id)
    code = session.treatment.client.code
    messages.success(
        request, _("Undone: the session with %(code)s is not logged.") % {"code": code}
    )
    return redirect(_week_of(session))


def _week_of(session: TherapySession) -> str:
    """The session's week in the diary."""
    return f"{reverse('diary')}?week={timezone.localdate(session.starts_at)}"


def _is_still_to_come(session: TherapySession, how: How) -> bool:
    """Nobody has attended or missed a session that has not begun; on its last day it can be
    cancelled late."""
    ahead = LATE if how is How.LATE_CANCELLATION else timedelta(0)
    return session.starts_at - timezone.now() > ahead


def _logged(session: TherapySession) -> str:
    return _("Logged for %(code)s: %(attendance)s.") % {
        "code": session.treatment.client.code,
        "attendance": session.get_attendance_display(),
    }
