"""Supervision meetings: the list, and the page of one."""

from uuid import UUID

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_safe

from apps.accounts.permissions import MemberRequest, Permission, permissions_of, require
from apps.core import audit
from apps.dashboard.selectors.agenda import agenda_page, meetings_page
from apps.supervision.forms import DecisionForm, MeetingForm
from apps.supervision.models import Meeting
from apps.supervision.services import ChangedMeanwhile, MeetingOver, write_meeting


@require(Permission.MEET)
@require_safe
def meetings(request: MemberRequest) -> HttpResponse:
    """One's own meetings, as supervisor and as supervisee."""
    coming, past = meetings_page(request.membership, at=timezone.now())
    may_plan = Permission.SUPERVISE in permissions_of(request.membership)
    context = {"coming": coming, "past": past, "may_plan": may_plan}
    return render(request, "supervision/meetings.html", context)


@require(Permission.MEET)
@require_http_methods(["GET", "HEAD", "POST"])
def meeting(request: MemberRequest, meeting_id: UUID) -> HttpResponse:
    """One meeting; a POST saves what is written about it."""
    shown = get_object_or_404(
        Meeting.objects.visible_to(request.membership).select_related(
            "supervisor__practice", "supervisee"
        ),
        id=meeting_id,
    )
    sent = request.POST if request.method == "POST" else None
    form = MeetingForm(sent, meeting=shown, member=request.membership)
    if form.is_valid() and _save(request, shown, form):
        messages.success(request, _("Saved."))
        return redirect("meeting", shown.id)
    return _page(request, shown, form)


def _save(request: MemberRequest, meeting: Meeting, form: MeetingForm) -> bool:
    """Save; where the other one saved first, the form keeps both texts."""
    data = form.cleaned_data
    try:
        write_meeting(
            meeting=meeting,
            opened_version=data["version"],
            notes=data["notes"],
            wish=data.get("wish"),
            by=request.membership,
        )
    except MeetingOver:
        form.add_error(
            "notes",
            _(
                "Not saved: this meeting was a week ago, or this supervision has ended. What both"
                " of you wrote stays as it is."
            ),
        )
        return False
    except ChangedMeanwhile:
        meeting.refresh_from_db()
        form.show_theirs(meeting)
        return False
    return True


def _page(request: MemberRequest, meeting: Meeting, form: MeetingForm) -> HttpResponse:
    page = agenda_page(meeting, request.membership, today=request.today)
    audit.read("view meeting", client_ids=page.client_ids, by=request.membership)
    context = {
        "page": page,
        "meeting": meeting,
        "form": form,
        "decision_form": DecisionForm(meeting=meeting),
    }
    return render(request, "supervision/meeting.html", context)
