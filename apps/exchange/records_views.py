"""The Records page of a client: what they may ask for, as buttons."""

from dataclasses import dataclass
from datetime import date
from uuid import UUID

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from apps.accounts.models import Membership
from apps.accounts.permissions import MemberRequest, Permission, require
from apps.accounts.sign_in import require_recent_sign_in
from apps.clients.models import Client, Treatment, TwoPersonRequest
from apps.core import audit
from apps.core.downloads import download
from apps.exchange import rights, two_people
from apps.exchange.records import Treatments, staff_texts
from apps.exchange.records_files import access_export, portable_copy
from apps.exchange.records_forms import EraseTextsForm, ReviewForm
from apps.exchange.texts import Text, texts_of

ON_HOLD = gettext_lazy("A legal hold stands: nothing of this client may be erased.")
ACTIONS = {
    "restrict": rights.restrict,
    "lift_restriction": rights.lift_restriction,
    "request_erasure": two_people.ask_to_erase,
}


@require(Permission.KEEP_RECORDS)
@require_safe
def records(request: MemberRequest, client_id: UUID) -> HttpResponse:
    """What can be done for a client of one's own, and what stands."""
    access = access_to(request, client_id)
    client = access.client
    erasures = TwoPersonRequest.objects.in_practice_of(request.membership).filter(
        kind=TwoPersonRequest.Kind.ERASE_CLIENT, closed_at=None
    )
    asked = erasures.filter(client=client).first()
    audit.read("view records", client_ids=[client.id], by=request.membership)
    context = {
        "client": client,
        "asked": asked,
        "is_held": access.is_held,
        "is_anothers": access.is_anothers,
    }
    return render(request, "exchange/records.html", context)


@require(Permission.KEEP_RECORDS)
@require_recent_sign_in
@require_http_methods(["GET", "HEAD", "POST"])
def export(request: MemberRequest, client_id: UUID) -> HttpResponse:
    """Review the texts of staff, then take everything away as one file."""
    access = access_to(request, client_id)
    client, treatments = access.client, access.treatments
    texts = staff_texts(client, treatments=treatments, by=request.membership)
    form = ReviewForm(request.POST if request.method == "POST" else None, texts=texts)
    audit.read("view texts for export", client_ids=[client.id], by=request.membership)
    if request.method == "POST" and form.is_valid():
        content = access_export(client, kept=form.cleaned_data["keep"], treatments=treatments)
        audit.record("export records", client, client_id=client.id, by=request.membership)
        return download(content, name="records.zip", content_type="application/zip")
    context = {"client": client, "form": form, "texts": texts}
    return render(request, "exchange/review.html", context)


@require(Permission.KEEP_RECORDS)
@require_recent_sign_in
@require_safe
def portable(request: MemberRequest, client_id: UUID) -> HttpResponse:
    """What the client supplied, as one file to take along."""
    access = access_to(request, client_id)
    audit.read("export portable copy", client_ids=[client_id], by=request.membership)
    content = portable_copy(access.client, treatments=access.treatments)
    return download(content, name="portable.zip", content_type="application/zip")


@require(Permission.KEEP_RECORDS)
@require_recent_sign_in
@require_POST
def act(request: MemberRequest, client_id: UUID) -> HttpResponse:
    """Restrict processing or lift that, or ask for erasure; by the holder if nobody treats now."""
    access = access_to(request, client_id)
    client = access.client
    if access.is_anothers:
        raise PermissionDenied
    action = ACTIONS.get(request.POST.get("action", ""))
    try:
        if action:
            action(client=client, by=request.membership)
            messages.success(request, _("Done, and noted in the audit trail."))
    except rights.OnHold:
        messages.error(request, ON_HOLD)
    return redirect("records", client.id)


@require(Permission.KEEP_RECORDS)
@require_recent_sign_in
@require_http_methods(["GET", "HEAD", "POST"])
def erase_texts(request: MemberRequest, client_id: UUID) -> HttpResponse:
    """Choose single texts: one's own are erased at once, others wait for a second person."""
    access = access_to(request, client_id)
    client = access.client
    texts = texts_of(
        client,
        treatments=access.treatments,
        reader=request.membership,
        as_such=not access.is_anothers,
    )
    form = EraseTextsForm(request.POST if request.method == "POST" else None, texts=texts)
    if form.is_valid():
        _erase(request, client, [each for each in texts if each.key in form.cleaned_data["what"]])
        return redirect("records", client.id)
    audit.read("view texts to erase", client_ids=[client.id], by=request.membership)
    context = {"client": client, "texts": texts, "form": form}
    return render(request, "exchange/erase_texts.html", context)


def _erase(request: MemberRequest, client: Client, chosen: list[Text]) -> None:
    me = request.membership
    own = [each.key for each in chosen if not each.takes_two]
    others = [each.key for each in chosen if each.takes_two]
    try:
        if own:
            count = rights.erase_texts(client=client, keys=own, by=me)
            messages.success(request, _("%(count)d texts are erased.") % {"count": count})
        if others:
            two_people.ask_to_erase_texts(client=client, keys=others, by=me)
            said = _("%(count)d texts are erased once a second person confirms it.")
            messages.success(request, said % {"count": len(others)})
    except rights.OnHold:
        messages.error(request, ON_HOLD)


@dataclass(frozen=True)
class Access:
    """A client whose records a member opens: as their therapist, or as the record holder."""

    client: Client
    member: Membership
    today: date
    is_held: bool

    @property
    def is_anothers(self) -> bool:
        """Whether the member holds the records, and somebody else treats the client now."""
        return self.is_held and self.client.treatments.current(on=self.today).exists()

    @property
    def treatments(self) -> Treatments:
        """Whose rows a copy holds: to the record holder those left to them, else one's own."""
        if self.is_held:
            return self.client.treatments.left_to_holder(on=self.today)
        return self.client.treatments.filter(therapist=self.member)


def access_to(request: MemberRequest, client_id: UUID) -> Access:
    """A client of one's own caseload, or one whose records one holds.

    404 for strangers, 403 where one only knows of them.
    """
    me, today = request.membership, request.today
    held = Client.objects.kept_by(me).filter(id=client_id).first()
    if held:
        return Access(held, me, today, is_held=True)
    client = get_object_or_404(Client.objects.visible_to(me), id=client_id)
    if not Treatment.objects.conducted_by(me).filter(client=client).exists():
        raise PermissionDenied
    return Access(client, me, today, is_held=False)
