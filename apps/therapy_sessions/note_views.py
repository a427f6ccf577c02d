"""The page of a process note: its author's and nobody else's."""

from uuid import UUID

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from apps.accounts.permissions import MemberRequest, Permission, require
from apps.core import audit
from apps.therapy_sessions.forms import READ_BY_YOU_ALONE, ProcessNoteForm
from apps.therapy_sessions.models import ProcessNote, TherapySession
from apps.therapy_sessions.services import NoteChanged, NoteHeld, save_process_note


@require(Permission.LOG_SESSION)
@require_http_methods(["GET", "HEAD", "POST"])
def process_note(request: MemberRequest, session_id: UUID) -> HttpResponse:
    """Write, read again or take away one's own note about a session of one's own caseload."""
    own = TherapySession.objects.conducted_by(request.membership)
    session = get_object_or_404(own.select_related("treatment__client"), id=session_id)
    client = session.treatment.client
    mine = ProcessNote.objects.written_by(request.membership)
    sent = request.POST if request.method == "POST" else None
    form = ProcessNoteForm(sent, note=mine.filter(therapy_session=session).first())
    if form.is_valid() and _is_saved(request, session, form):
        return redirect("client", client.id)
    audit.read("view process note", client_ids=[client.id], by=request.membership)
    context = {"form": form, "session": session, "client": client, "readers": READ_BY_YOU_ALONE}
    return render(request, "therapy_sessions/process_note.html", context)


def _is_saved(request: MemberRequest, session: TherapySession, form: ProcessNoteForm) -> bool:
    try:
        save_process_note(therapy_session=session, by=request.membership, **form.cleaned_data)
    except NoteChanged as changed:
        form.show_saved(changed.latest)
        return False
    except NoteHeld:
        form.add_error("text", _("Not saved: under a legal hold a note stays; add to it below."))
        return False
    messages.success(request, _("Your note is saved. Only you can read it."))
    return True
