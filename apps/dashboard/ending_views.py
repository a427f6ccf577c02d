"""Endings that need the whole course: the ending review, and what was passed on."""

from uuid import UUID

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from apps.accounts.permissions import MemberRequest, Permission, require
from apps.clients.models import Client, Treatment
from apps.core import audit
from apps.core.typed import not_taken
from apps.dashboard.selectors.endings import ending_page, passed_on_page
from apps.endings.forms import ClosingForm
from apps.endings.models import Move
from apps.endings.services import ChangesHands, ClosedAlready, withdraw_consent
from apps.endings.services import close_treatment as store_closing


@require(Permission.VIEW_CASELOAD)
@require_http_methods(["GET", "HEAD", "POST"])
def close_treatment(request: MemberRequest, client_id: UUID) -> HttpResponse:
    """Look back on a treatment and close it."""
    client = get_object_or_404(Client.objects.visible_to(request.membership), id=client_id)
    treatment = Treatment.objects.conducted_by(request.membership).filter(client=client).first()
    if treatment is None:
        raise PermissionDenied
    form = ClosingForm(request.POST if request.method == "POST" else None)
    if form.is_valid():
        try:
            return _close(request, treatment, form)
        except ChangesHands as why:
            form.add_error(None, str(why))
    audit.read("view ending", client_ids=[client.id], target=treatment, by=request.membership)
    context = {"page": ending_page(treatment, today=request.today), "form": form}
    return render(request, "dashboard/close_treatment.html", context)


def _close(request: MemberRequest, treatment: Treatment, form: ClosingForm) -> HttpResponse:
    try:
        store_closing(treatment=treatment, by=request.membership, **form.cleaned_data)
    except ClosedAlready:
        why = _("It was closed in another window, so nothing was saved here.")
        return not_taken(request, why, back=reverse("ended_treatments"))
    said = _("%(code)s is closed. You find it under Ended treatments.")
    messages.success(request, said % {"code": treatment.client.code})
    return redirect("caseload")


@require(Permission.VIEW_CASELOAD)
@require_http_methods(["GET", "HEAD", "POST"])
def passed_on(request: MemberRequest, client_id: UUID) -> HttpResponse:
    """What a client agreed to pass on, for the therapist they moved to, from that day on; sent,
    they take it back."""
    moves = Move.objects.passed_on_to(request.membership).filter(treatment__client=client_id)
    related = moves.select_related("treatment__client", "treatment__therapist")
    move = get_object_or_404(related.order_by("-arranged_at")[:1])
    if request.method == "POST":
        withdraw_consent(move=move, by=request.membership)
        said = _("Taken back: what was passed on stays with the treatment before.")
        messages.success(request, said)
        return redirect("client", client_id)
    if not move.passes_on:
        raise Http404
    audit.read("view passed on", client_ids=[client_id], target=move, by=request.membership)
    return render(
        request, "dashboard/passed_on.html", {"page": passed_on_page(move, today=request.today)}
    )
