"""Handing over a caseload: the manager's page, by client codes and without clinical data."""

from datetime import date
from uuid import UUID

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.formats import date_format
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_http_methods

from apps.accounts.models import Membership
from apps.accounts.permissions import MemberRequest, Permission, require
from apps.accounts.sign_in import require_recent_sign_in
from apps.core import audit
from apps.endings import services
from apps.endings.handover_forms import HandoverForm


@require(Permission.MANAGE_PRACTICE)
@require_http_methods(["GET", "HEAD", "POST"])
@require_recent_sign_in
def hand_over(request: MemberRequest, member_id: UUID) -> HttpResponse:
    """Give clients of one therapist to another."""
    manager, today = request.membership, request.today
    therapist = get_object_or_404(Membership.objects.colleagues_of(manager), id=member_id)
    sent = request.POST if request.method == "POST" else None
    form = HandoverForm(sent, manager=manager, therapist=therapist, today=today)
    if form.is_valid():
        treatments = list(form.cleaned_data["treatments"])
        try:
            on = services.hand_over(treatments, to=form.cleaned_data["to"], by=manager)
        except services.CannotHandOver as why:
            form.add_error("treatments", _("%s Nothing was handed over.") % why)
        else:
            messages.success(request, _handed_over(len(treatments), on if on > today else None))
            return redirect("people")
    audit.read("view codes to hand over", client_ids=form.client_ids, by=manager)
    return render(request, "endings/hand_over.html", {"form": form, "therapist": therapist})


def _handed_over(number: int, later: date | None) -> str:
    if later:
        said = ngettext(
            "%(number)d client changes hands on %(day)s. Their therapist is told now.",
            "%(number)d clients change hands on %(day)s. Their therapist is told now.",
            number,
        )
        return said % {"number": number, "day": date_format(later, "j M")}
    return (
        ngettext(
            "%d client handed over. The former therapist’s access has ended.",
            "%d clients handed over. The former therapist’s access has ended.",
            number,
        )
        % number
    )
