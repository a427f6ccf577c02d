"""The Records page of a client: what they may ask for, as buttons."""

from uuid import UUID

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from apps.accounts.permissions import MemberRequest, Permission, require
from apps.accounts.sign_in import require_recent_sign_in
from apps.clients.models import Client, ErasureRequest, Treatment
from apps.core import audit
from apps.core.downloads import download
from apps.exchange import rights
from apps.exchange.records import staff_texts
from apps.exchange.records_files import access_export, portable_copy
from apps.exchange.records_forms import EraseFieldsForm, ReviewForm

ACTIONS = {
    "restrict": rights.restrict,
    "lift_restriction": rights.lift_restriction,
    "hold": lambda **who: rights.set_hold(held=True, **who),
    "lift_hold": lambda **who: rights.set_hold(held=False, **who),
    "request_erasure": rights.request_erasure,
}


@require(Permission.VIEW_CASELOAD)
@require_safe
def records(request: MemberRequest, client_id: UUID) -> HttpResponse:
    """What can be done for a client of one's own, and what stands."""
    client = own_client(request, client_id)
    asked = _waiting(request).filter(client=client).first()
    audit.read("view records", client_ids=[client.id], by=request.membership)
    context = {"client": client, "asked": asked, "form": EraseFieldsForm()}
    return render(request, "exchange/records.html", context)


@require(Permission.VIEW_CASELOAD)
@require_recent_sign_in
@require_http_methods(["GET", "HEAD", "POST"])
def export(request: MemberRequest, client_id: UUID) -> HttpResponse:
    """Review the texts of staff, then take everything away as one file."""
    client = own_client(request, client_id)
    texts = staff_texts(client, reader=request.membership)
    form = ReviewForm(request.POST if request.method == "POST" else None, texts=texts)
    audit.read("view texts for export", client_ids=[client.id], by=request.membership)
    if request.method == "POST" and form.is_valid():
        content = access_export(client, kept=form.cleaned_data["keep"])
        audit.record("export records", client, client_id=client.id, by=request.membership)
        return download(content, name="records.zip", content_type="application/zip")
    context = {"client": client, "form": form, "texts": texts}
    return render(request, "exchange/review.html", context)


@require(Permission.VIEW_CASELOAD)
@require_recent_sign_in
@require_safe
def portable(request: MemberRequest, client_id: UUID) -> HttpResponse:
    """What the client supplied, as one file to take along."""
    client = own_client(request, client_id)
    audit.read("export portable copy", client_ids=[client.id], by=request.membership)
    return download(portable_copy(client), name="portable.zip", content_type="application/zip")


@require(Permission.VIEW_CASELOAD)
@require_recent_sign_in
@require_POST
def act(request: MemberRequest, client_id: UUID) -> HttpResponse:
    """Restrict, hold, ask for erasure, or undo it."""
    client = own_client(request, client_id)
    action = ACTIONS.get(request.POST.get("action", ""))
    try:
        if action:
            action(client=client, by=request.membership)
            messages.success(request, _("Done, and noted in the audit trail."))
    except rights.OnHold:
        messages.error(request, _("A legal hold stands: nothing of this client may be erased."))
    return redirect("records", client.id)


@require(Permission.VIEW_CASELOAD)
@require_recent_sign_in
@require_POST
def erase_fields(request: MemberRequest, client_id: UUID) -> HttpResponse:
    """Erase some texts of a client for good."""
    client = own_client(request, client_id)
    form = EraseFieldsForm(request.POST)
    try:
        if form.is_valid():
            count = rights.erase_fields(client=client, by=request.membership, **form.cleaned_data)
            messages.success(request, _("%(count)d texts are erased.") % {"count": count})
        else:
            messages.error(request, _("Choose what to erase."))
    except rights.OnHold:
        messages.error(request, _("A legal hold stands: nothing of this client may be erased."))
    return redirect("records", client.id)


@require(Permission.CONFIRM_ERASURE)
@require_safe
def erasures(request: MemberRequest) -> HttpResponse:
    """Requests that wait for a second person, by code only."""
    waiting = _waiting(request)
    shown = [(each, rights.may_be_confirmed_from(each, by=request.membership)) for each in waiting]
    audit.read(
        "view erasures", client_ids=[each.client_id for each in waiting], by=request.membership
    )
    context = {"shown": shown, "now": timezone.now()}
    return render(request, "exchange/erasures.html", context)


@require(Permission.CONFIRM_ERASURE)
@require_recent_sign_in
@require_POST
def close_erasure(request: MemberRequest, erasure_id: UUID) -> HttpResponse:
    """Erase the client for good, or withdraw the request."""
    asked = get_object_or_404(_waiting(request), id=erasure_id)
    try:
        if "withdraw" in request.POST:
            rights.withdraw_erasure(request=asked, by=request.membership)
        else:
            rights.confirm_erasure(request=asked, by=request.membership)
        messages.success(request, _("Done, and noted in the audit trail."))
    except rights.OnHold:
        messages.error(request, _("A legal hold stands: nothing of this client may be erased."))
    except rights.NotYet as error:
        until = error.until and date_format(timezone.localtime(error.until), "D j M Y, H:i")
        messages.error(
            request,
            _("This can be confirmed from %(until)s.") % {"until": until}
            if until
            else _("Somebody else of the practice has to confirm this."),
        )
    return redirect("erasures")


def own_client(request: MemberRequest, client_id: UUID) -> Client:
    """A client of one's own caseload: 404 for strangers, 403 where one only knows of them."""
    client = get_object_or_404(Client.objects.visible_to(request.membership), id=client_id)
    if not Treatment.objects.conducted_by(request.membership).filter(client=client).exists():
        raise PermissionDenied
    return client


def _waiting(request: MemberRequest) -> QuerySet[ErasureRequest]:
    """Open requests of the practice: any colleague may be the second person."""
    return ErasureRequest.objects.in_practice_of(request.membership).filter(closed_at=None)
