"""Pages that move, cancel and correct a session."""

from uuid import UUID

from django.contrib import messages
from django.db.models import ProtectedError
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST

from apps.accounts.permissions import MemberRequest, Permission, require
from apps.core import audit
from apps.feedback import corrections
from apps.feedback.correct_form import CorrectSessionForm, MoveSessionForm
from apps.therapy_sessions.models import TherapySession
from apps.therapy_sessions.services import StartTaken


@require(Permission.LOG_SESSION)
@require_http_methods(["GET", "HEAD", "POST"])
def move_session(request: MemberRequest, session_id: UUID) -> HttpResponse:
    """Move a planned session of one's own caseload."""
    session = _own(request, session_id, planned=True)
    sent = request.POST if request.method == "POST" else None
    form = MoveSessionForm(sent, session=session, today=request.today)
    if form.is_valid():
        try:
            corrections.move_session(session=session, by=request.membership, **form.values())
        except StartTaken:
            form.add_error("start", _("Another session with this client starts then."))
        else:
            messages.success(request, _("The session is moved."))
            return redirect("client", session.treatment.client_id)
    return _page(request, "feedback/move_session.html", session, form)


@require(Permission.LOG_SESSION)
@require_POST
def cancel_session(request: MemberRequest, session_id: UUID) -> HttpResponse:
    """Take a planned session out of the diary."""
    session = _own(request, session_id, planned=True)
    try:
        corrections.cancel_session(session=session, by=request.membership)
        messages.success(request, _("The session is cancelled."))
    except ProtectedError:
        messages.error(
            request, _("Something is written about this session, so it stays. Move it instead.")
        )
    return redirect("client", session.treatment.client_id)


@require(Permission.LOG_SESSION)
@require_http_methods(["GET", "HEAD", "POST"])
def correct_session(request: MemberRequest, logged_id: UUID) -> HttpResponse:
    """Correct what was logged about a session of one's own caseload."""
    session = _own(request, logged_id, planned=False)
    sent = request.POST if request.method == "POST" else None
    form = CorrectSessionForm(sent, session=session, today=request.today)
    if form.is_valid():
        try:
            corrections.correct_session(session=session, by=request.membership, **form.values())
        except StartTaken:
            form.add_error("start", _("Another session with this client starts then."))
        except corrections.HasAnswers:
            form.add_error("attendance", _("The client has rated this session: it took place."))
        else:
            messages.success(request, _("The session is corrected."))
            return redirect("client", session.treatment.client_id)
    return _page(request, "feedback/correct_session.html", session, form)


def _own(request: MemberRequest, session_id: UUID, *, planned: bool) -> TherapySession:
    own = TherapySession.objects.conducted_by(request.membership)
    own = own.planned() if planned else own.exclude(attendance="")
    return get_object_or_404(own.select_related("treatment__client__practice"), id=session_id)


def _page(
    request: MemberRequest, template: str, session: TherapySession, form: MoveSessionForm
) -> HttpResponse:
    client = session.treatment.client
    audit.read("view session", client_ids=[client.id], target=session, by=request.membership)
    return render(request, template, {"form": form, "session": session, "client": client})
