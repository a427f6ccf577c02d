"""The pages that look: caseload, client, supervision, practice."""

from uuid import UUID

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_safe

from apps.accounts import notices
from apps.accounts.forms import PracticeSettingsForm
from apps.accounts.permissions import MemberRequest, Permission, permissions_of, require
from apps.accounts.services import change_practice
from apps.accounts.sign_in import SEARCHED, require_recent_sign_in
from apps.clients.models import Client, Treatment
from apps.core import audit
from apps.dashboard.selectors import practice_overview as overview
from apps.dashboard.selectors.caseload import FEEDBACK, FILTERS, CaseloadFilter, caseload_page
from apps.dashboard.selectors.client import TimelineFilter, client_page
from apps.dashboard.selectors.contact import client_news
from apps.dashboard.selectors.practice import practice_page
from apps.dashboard.selectors.supervision import (
    SupervisionFilter,
    supervised_episode_page,
    supervision_page,
)
from apps.ruptures.forms import CausesForm
from apps.ruptures.models import RuptureEpisode
from apps.ruptures.services import shorten_waits

SEARCH_LENGTH = 100
START_PAGES = {
    Permission.VIEW_CASELOAD: "caseload",
    Permission.SUPERVISE: "supervision",
    Permission.MANAGE_PRACTICE: "practice",
}


@require_safe
def home(request: HttpRequest) -> HttpResponse:
    """Lead each person to the first page that is theirs."""
    allowed = permissions_of(getattr(request, "membership", None))
    for permission, name in START_PAGES.items():
        if permission in allowed:
            return redirect(name)
    raise PermissionDenied


@require_safe
def help_sheet(request: HttpRequest) -> HttpResponse:
    """Who sees what, what can be taken back, and the keys."""
    if getattr(request, "membership", None) is None:
        raise PermissionDenied
    return render(request, "dashboard/help.html")


@require(Permission.VIEW_CASELOAD)
@require_http_methods(["GET", "HEAD", "POST"])
def caseload(request: MemberRequest) -> HttpResponse:
    """Needs your attention, today, all clients; a POST finds some of them."""
    is_search, asked = request.method == "POST", request.POST or request.GET
    if is_search:
        # A browser remembers addresses: none says whom somebody looked for.
        request.session[SEARCHED] = asked.get("q", "").strip()[:SEARCH_LENGTH]
        audit.record("find clients", request.membership, by=request.membership)
    chosen = CaseloadFilter(
        query=request.session.get(SEARCHED, "") if is_search or "found" in asked else "",
        status=asked.get("status", "") if asked.get("status", "") in FILTERS else "",
        feedback=asked.get("feedback", "") if asked.get("feedback", "") in FEEDBACK else "",
        page=asked.get("page", "1"),
    )
    if is_search:
        return redirect(f"{reverse('caseload')}{chosen.address(chosen.status)}#all-clients")
    page = caseload_page(request.membership, today=request.today, chosen=chosen)
    told = notices.unread(request.membership)
    shown = page.client_ids | notices.clients_of(told)
    audit.read("view caseload", client_ids=shown, by=request.membership)
    template = "dashboard/caseload.html" if page.clients else "dashboard/caseload_empty.html"
    return render(request, template, {"caseload": page, "notices": told})


@require(Permission.VIEW_CASELOAD)
@require_safe
def client(request: MemberRequest, client_id: UUID) -> HttpResponse:
    """One client of one's own."""
    seen = get_object_or_404(Client.objects.visible_to(request.membership), id=client_id)
    treatment = Treatment.objects.conducted_by(request.membership).filter(client=seen).first()
    if treatment is None:
        raise PermissionDenied
    chosen = TimelineFilter(
        show=request.GET.get("show", ""), earlier=bool(request.GET.get("earlier"))
    )
    page = client_page(treatment, chosen=chosen, today=request.today, at=timezone.now())
    causes_form = CausesForm(initial={"causes": page.episode.causes} if page.episode else None)
    news = client_news(treatment.client, today=request.today)
    audit.read("view client", client_ids=[client_id], target=seen, by=request.membership)
    context = {"page": page, "news": news, "causes_form": causes_form}
    return render(request, "dashboard/client.html", context)


@require(Permission.SUPERVISE)
@require_safe
def supervision(request: MemberRequest) -> HttpResponse:
    """Episodes that wait for a conversation, and one panel per supervisee."""
    chosen = SupervisionFilter(
        supervisee=request.GET.get("supervisee", ""), why=request.GET.get("why", "")
    )
    page = supervision_page(
        request.membership, today=request.today, at=timezone.now(), chosen=chosen
    )
    told = notices.unread(request.membership)
    shown = page.client_ids | notices.clients_of(told)
    audit.read("view supervision", client_ids=shown, by=request.membership)
    return render(request, "dashboard/supervision.html", {"page": page, "notices": told})


@require(Permission.SUPERVISE)
@require_safe
def supervised_episode(request: MemberRequest, episode_id: UUID) -> HttpResponse:
    """One episode of a supervisee, for reading only."""
    episodes = RuptureEpisode.objects.for_supervisor(request.membership)
    episode = get_object_or_404(
        episodes.select_related("treatment__client", "treatment__therapist", "practice"),
        id=episode_id,
    )
    page = supervised_episode_page(episode, reader=request.membership, today=request.today)
    audit.read(
        "view episode",
        client_ids=[episode.treatment.client_id],
        target=episode,
        by=request.membership,
    )
    return render(request, "dashboard/supervised_episode.html", {"page": page})


@require(Permission.MANAGE_PRACTICE)
@require_http_methods(["GET", "HEAD", "POST"])
def practice(request: MemberRequest) -> HttpResponseBase:
    """People, links and delivery; a POST changes what is decided for everybody."""
    form = PracticeSettingsForm(request.POST or None, practice=request.membership.practice)
    if request.method == "POST" and form.is_valid():
        return _change_practice(request, form)
    page = practice_page(request.membership, today=request.today, at=timezone.now())
    told = notices.unread(request.membership)
    audit.read("view practice", client_ids=notices.clients_of(told), by=request.membership)
    ours = request.membership.practice
    context = {"page": page, "form": form, "notices": told, "practice": ours}
    return render(request, "dashboard/practice.html", context)


@require_recent_sign_in
def _change_practice(request: MemberRequest, form: PracticeSettingsForm) -> HttpResponse:
    change_practice(
        practice=request.membership.practice, by=request.membership, **form.cleaned_data
    )
    shorten_waits(by=request.membership)
    messages.success(request, _("Saved."))
    return redirect("practice")


@require(Permission.MANAGE_PRACTICE)
@require_safe
def practice_overview(request: MemberRequest) -> HttpResponse:
    """What a practice can learn from: counts only, of the whole of it."""
    quarters = overview.practice_overview(request.membership, today=request.today)
    context = {"quarters": quarters, "fewest": overview.FEWEST_CLIENTS}
    return render(request, "dashboard/practice_overview.html", context)
