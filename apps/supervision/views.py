"""Writing in supervision: messages, meetings, decisions."""

from uuid import UUID

from django.contrib import messages
from django.forms import Form
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST

from apps.accounts.permissions import MemberRequest, Permission, require
from apps.core.typed import not_taken
from apps.ruptures.models import RuptureEpisode
from apps.supervision import services
from apps.supervision.forms import DecisionForm, PlanMeetingForm, SupportForm
from apps.supervision.models import Decision, Meeting


@require(Permission.MEET)
@require_POST
def write_support(request: MemberRequest, episode_id: UUID) -> HttpResponse:
    """Ask for support about an episode of one's own, or offer it about a supervisee's."""
    episodes = RuptureEpisode.objects.discussable_by(request.membership)
    episode = get_object_or_404(episodes.select_related("treatment__therapist"), id=episode_id)
    own = episode.treatment.therapist_id == request.membership.id
    back = reverse("repair" if own else "supervised_episode", args=[episode.id])
    form = SupportForm(request.POST)
    why = _write(request, episode, form.cleaned_data["text"]) if form.is_valid() else _errors(form)
    if why:
        return not_taken(request, why, back=back)
    messages.success(request, _("Sent."))
    return redirect(back)


def _write(request: MemberRequest, episode: RuptureEpisode, text: str) -> str:
    """Send the message; returns why that was not possible, in words."""
    try:
        services.write_support(episode=episode, text=text, by=request.membership)
    except services.NobodySupervises:
        return _("Nobody is recorded as your supervisor today, so nothing was sent.")
    except services.EpisodeClosed:
        return _("This episode is closed: its outcome is recorded. Nothing was sent.")
    return ""


@require(Permission.SUPERVISE)
@require_http_methods(["GET", "HEAD", "POST"])
def plan_meeting(request: MemberRequest) -> HttpResponse:
    """Plan a meeting with a supervisee (?with= to start from one)."""
    form = PlanMeetingForm(
        request.POST if request.method == "POST" else None,
        supervisor=request.membership,
        today=request.today,
        initial={"supervisee": request.GET.get("with", ""), "day": request.today},
    )
    meeting = _planned(request, form) if form.is_valid() else None
    if meeting is None:
        return render(request, "supervision/plan_meeting.html", {"form": form})
    messages.success(request, _("The meeting is planned."))
    return redirect("meeting", meeting.id)


def _planned(request: MemberRequest, form: PlanMeetingForm) -> Meeting | None:
    try:
        return services.plan_meeting(by=request.membership, **form.plan())
    except services.MeetsSomebodyElse as who:
        form.add_error("start", _("You meet %(who)s then. Choose another time.") % {"who": who})
        return None


@require(Permission.SUPERVISE)
@require_POST
def send_agenda(request: MemberRequest, meeting_id: UUID) -> HttpResponse:
    """Tell the supervisee that the agenda is ready."""
    meetings = Meeting.objects.visible_to(request.membership).filter(supervisor=request.membership)
    meeting = get_object_or_404(meetings.select_related("supervisee"), id=meeting_id)
    try:
        services.send_agenda(meeting=meeting, by=request.membership)
    except services.MeetingOver:
        messages.info(
            request, _("Not sent: this meeting was a week ago, or this supervision has ended.")
        )
    else:
        said = _("%(who)s can see the agenda.") % {"who": meeting.supervisee.name}
        messages.success(request, said)
    return redirect("meeting", meeting.id)


@require(Permission.MEET)
@require_POST
def decide(request: MemberRequest, meeting_id: UUID) -> HttpResponse:
    """Record a decision of a meeting of one's own."""
    meeting = get_object_or_404(Meeting.objects.visible_to(request.membership), id=meeting_id)
    form = DecisionForm(request.POST, meeting=meeting)
    if form.is_valid():
        try:
            services.decide(meeting=meeting, by=request.membership, **form.cleaned_data)
        except services.MeetingOver:
            form.add_error(
                None, _("Not recorded: this meeting was a week ago, or this supervision has ended.")
            )
        except services.NotOnTheAgenda:
            form.add_error("episode", form.fields["episode"].error_messages["invalid_choice"])
        else:
            messages.success(request, _("Decision recorded."))
            return redirect("meeting", meeting.id)
    return not_taken(request, _errors(form), back=reverse("meeting", args=[meeting.id]))


@require(Permission.MEET)
@require_POST
def mark_decision_done(request: MemberRequest, decision_id: UUID) -> HttpResponse:
    """Tick off a decision of a meeting of one's own."""
    decisions = Decision.objects.visible_to(request.membership)
    decision = get_object_or_404(decisions.select_related("episode__treatment"), id=decision_id)
    services.mark_done(decision=decision, by=request.membership)
    return redirect("meeting", decision.meeting_id)


def _errors(form: Form) -> str:
    """What is wrong with a form that is not shown again, in one line."""
    return " ".join(str(error) for errors in form.errors.values() for error in errors)
