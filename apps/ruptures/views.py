"""What a therapist does with an open episode: each a POST that leads back to the client."""

from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_POST

from apps.accounts.permissions import MemberRequest, Permission, require
from apps.core.addresses import is_own
from apps.ruptures import repair, services
from apps.ruptures.forms import CausesForm, SharingForm
from apps.ruptures.models import RuptureEpisode

CLOSED = gettext_lazy("This episode is closed: its outcome is recorded. Nothing was changed.")


@require(Permission.REVIEW_EPISODE)
@require_POST
def acknowledge(request: MemberRequest, episode_id: UUID) -> HttpResponse:
    """Note that the therapist has seen it, up to the fall that their page was about."""
    episode = _own_episode(request, episode_id)
    if episode.outcome:
        messages.info(request, CLOSED)
    elif episode.fall > request.POST.get("fall", ""):
        said = _("Ratings fell again after that page was opened. Look once more, then acknowledge.")
        messages.warning(request, said)
    else:
        services.acknowledge_episode(episode=episode, by=request.membership)
        said = _("Acknowledged. It stays on your list until you record an outcome.")
        messages.success(request, said)
    return _back(request, episode)


@require(Permission.REVIEW_EPISODE)
@require_POST
def share(request: MemberRequest, episode_id: UUID) -> HttpResponse:
    """Show it to the therapist's current supervisors."""
    episode = _own_episode(request, episode_id)
    if episode.outcome:
        messages.info(request, CLOSED)
    else:
        services.share_episode(episode=episode, by=request.membership)
        messages.success(request, _("Shared: your supervisor sees this episode by client code."))
    return _back(request, episode)


@require(Permission.REVIEW_EPISODE)
@require_POST
def set_sharing(request: MemberRequest, episode_id: UUID) -> HttpResponse:
    """Say what current supervisors may see of it; unticking takes it back."""
    episode = _own_episode(request, episode_id)
    form = SharingForm(request.POST)
    form.full_clean()
    try:
        repair.set_sharing(episode=episode, by=request.membership, **form.cleaned_data)
        messages.success(request, _("Saved who can see this."))
    except repair.EpisodeClosed:
        messages.info(request, CLOSED)
    return _back(request, episode)


@require(Permission.REVIEW_EPISODE)
@require_POST
def set_causes(request: MemberRequest, episode_id: UUID) -> HttpResponse:
    """Note what may be behind it."""
    episode = _own_episode(request, episode_id)
    form = CausesForm(request.POST)
    if episode.outcome:
        messages.info(request, CLOSED)
    elif form.is_valid():
        repair.set_causes(episode=episode, by=request.membership, **form.cleaned_data)
        messages.success(request, _("Saved what may be behind it."))
    else:
        messages.error(request, _("Not saved: tick causes from the list only."))
    return _back(request, episode)


def _own_episode(request: MemberRequest, episode_id: UUID) -> RuptureEpisode:
    """The episode of the member's own caseload, locked: twice at once equals once."""
    episodes = RuptureEpisode.objects.conducted_by(request.membership)
    return get_object_or_404(episodes.select_for_update(no_key=True), id=episode_id)


def _back(request: HttpRequest, episode: RuptureEpisode) -> HttpResponse:
    """To the page of this house the form was on, else to the client."""
    url = request.POST.get("next", "")
    if is_own(url, request):
        return redirect(url)
    return redirect("client", episode.treatment.client_id)
