"""The repair record: its page, its worksheet and its outcome."""

from uuid import UUID

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST

from apps.accounts.permissions import MemberRequest, Permission, require
from apps.core import audit
from apps.core.typed import not_taken
from apps.dashboard.selectors.repair import repair_page
from apps.ruptures import services
from apps.ruptures.forms import OutcomeForm, WorksheetForm
from apps.ruptures.models import RuptureEpisode
from apps.ruptures.repair import ChangedMeanwhile, EpisodeClosed, latest_worksheet, save_worksheet


@require(Permission.REVIEW_EPISODE)
@require_http_methods(["GET", "HEAD", "POST"])
def repair(request: MemberRequest, episode_id: UUID) -> HttpResponse:
    """The record of an episode of one's own, open or closed; a POST saves its worksheet."""
    episode = _own_episode(request, episode_id)
    sent = request.POST if request.method == "POST" else None
    form = WorksheetForm(sent, worksheet=latest_worksheet(episode))
    if form.is_valid() and _save(request, episode, form):
        messages.success(request, _("Saved."))
        return redirect("repair", episode.id)
    return _page(request, episode, form, OutcomeForm(None, fall=episode.fall))


@require(Permission.REVIEW_EPISODE)
@require_POST
def record_outcome(request: MemberRequest, episode_id: UUID) -> HttpResponse:
    """End an episode; a form with errors comes back on the record as it was typed."""
    episode = _own_episode(request, episode_id, lock=True)
    form = OutcomeForm(request.POST, fall=episode.fall)
    if not episode.outcome and not form.is_valid():
        worksheet = WorksheetForm(worksheet=latest_worksheet(episode))
        return _page(request, episode, worksheet, form)
    if episode.outcome:
        return _recorded_already(request, episode)
    if form.cleaned_data["outcome"] == RuptureEpisode.Outcome.MOVED:
        # Recorded when the move is arranged.
        return redirect("move_client", episode.treatment.client_id)
    services.record_outcome(episode=episode, by=request.membership, **form.cleaned_data)
    messages.success(request, _("Outcome recorded."))
    return redirect("client", episode.treatment.client_id)


def _recorded_already(request: MemberRequest, episode: RuptureEpisode) -> HttpResponse:
    """Twice equals once; other words come too late, and are given back."""
    why = _("An outcome is recorded already; nothing was changed.")
    if request.POST.get("reason", "") not in ("", episode.outcome_reason):
        return not_taken(request, why, back=reverse("repair", args=[episode.id]))
    messages.info(request, why)
    return redirect("client", episode.treatment.client_id)


def _own_episode(request: MemberRequest, episode_id: UUID, *, lock: bool = False) -> RuptureEpisode:
    episodes = RuptureEpisode.objects.conducted_by(request.membership)
    # A withdrawn one whose session is planned again has no place in the course.
    related = episodes.exclude(opened_by__attendance="").select_related(
        "treatment__client", "treatment__therapist", "treatment__practice", "opened_by"
    )
    return get_object_or_404(
        related.select_for_update(of=("self",), no_key=True) if lock else related, id=episode_id
    )


def _save(request: MemberRequest, episode: RuptureEpisode, form: WorksheetForm) -> bool:
    """Save the worksheet; where it cannot be, the form keeps what was typed and says why."""
    try:
        save_worksheet(
            episode=episode,
            sheet=form.sheet(),
            opened_version=form.cleaned_data["version"],
            by=request.membership,
        )
    except ChangedMeanwhile as changed:
        form.show_theirs(changed.latest)
        return False
    except EpisodeClosed:
        form.add_error(
            None,
            _("Not saved: the outcome of this episode is recorded. What you typed is still below."),
        )
        return False
    return True


def _page(
    request: MemberRequest,
    episode: RuptureEpisode,
    form: WorksheetForm,
    outcome_form: OutcomeForm,
) -> HttpResponse:
    page = repair_page(episode, today=request.today)
    audit.read(
        "view repair record", client_ids=[page.client_id], target=episode, by=request.membership
    )
    context = {
        "page": page,
        "form": form,
        "rows": list(zip(page.steps, form.steps, strict=True)),
        "outcome_form": outcome_form,
    }
    return render(request, "dashboard/repair.html", context)
