"""Keeping, erasing and handing over: what takes two people, and the record holder's pages."""

from collections.abc import Callable
from functools import partial
from uuid import UUID

from django.contrib import messages
from django.core.paginator import Paginator
from django.db.models import QuerySet
from django.http import Http404, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from apps.accounts.oneself import NotOneself, TooNew, works_alone
from apps.accounts.permissions import MemberRequest, Permission, permissions_of, require
from apps.accounts.sign_in import require_recent_sign_in
from apps.clients.models import Client, TwoPersonRequest
from apps.core import audit
from apps.core.downloads import download, download_file
from apps.exchange import holder, rights, two_people
from apps.exchange.records_files import access_export
from apps.exchange.records_forms import HoldForm, KeepingForm, ReasonForm, ReviewForm
from apps.exchange.records_views import ON_HOLD

HELD_PER_PAGE = 100


@require(Permission.CONFIRM_ERASURE)
@require_safe
def erasures(request: MemberRequest) -> HttpResponse:
    """Requests that wait for a second person, by code only; what the record holder has to do."""
    me = request.membership
    waiting = list(_waiting(request))
    left = holder.clients_with_left_notes(me)
    held = Client.objects.kept_by(me).order_by("code")
    page = Paginator(held, HELD_PER_PAGE).get_page(request.GET.get("page"))
    shown = {each.client_id for each in waiting if each.client_id}
    shown |= {each.id for each in left} | {each.id for each in page}
    audit.read("view erasures", client_ids=shown, by=me)
    may_confirm = partial(two_people.may_be_confirmed_from, is_alone=works_alone(me), by=me)
    context = {
        "shown": [(each, may_confirm(each)) for each in waiting],
        "lapsed": two_people.told_as_lapsed(waiting, to=me),
        "exports": two_people.exports_of(me, at=timezone.now()),
        "left": left,
        "opening_later": holder.opening_later(me),
        "held": page,
        "may_hold": Permission.HOLD in permissions_of(me),
        "now": timezone.now(),
    }
    return render(request, "exchange/erasures.html", context)


# By what was pressed, in the words that the page of kept forms shows.
DOES: dict[str, Callable[..., object]] = {
    "ask_for_this": two_people.take_up,
    "erase_for_good": two_people.confirm,
    "give_out_all_records": two_people.confirm,
    "withdraw_the_request": two_people.withdraw,
}


@require(Permission.CONFIRM_ERASURE)
@require_recent_sign_in
@require_POST
def close_erasure(request: MemberRequest, erasure_id: UUID) -> HttpResponse:
    """Carry a request out, or withdraw it."""
    asked = get_object_or_404(_waiting(request), id=erasure_id)
    do = DOES.get(request.POST.get("do", ""))
    if do is None:
        messages.error(request, _("Nothing was done: choose one of the buttons."))
        return redirect("erasures")
    try:
        do(request=asked, by=request.membership)
        messages.success(request, _("Done, and noted in the audit trail."))
    except two_people.AskedMeanwhile:
        said = _(
            "Somebody asked for this meanwhile, so yours would be the second word. Read again."
        )
        messages.error(request, said)
    except rights.OnHold:
        messages.error(request, ON_HOLD)
    except two_people.NotTheHolder:
        messages.error(request, _("The record holder is somebody else now: ask for it again."))
    except two_people.Lapsed:
        messages.error(
            request, _("This does not hold any more. Withdraw it; whoever wants it asks anew.")
        )
    except two_people.InTreatment:
        messages.error(
            request, _("This client is in treatment: their therapist has to be one of the two.")
        )
    except two_people.Closed:
        messages.error(request, _("Somebody closed this request meanwhile."))
    except two_people.NotYet as error:
        until = error.until and date_format(timezone.localtime(error.until), "D j M Y, H:i")
        messages.error(
            request,
            _("This can be confirmed from %(until)s.") % {"until": until}
            if until
            else _("Somebody else of the practice has to confirm this."),
        )
    return redirect("erasures")


@require(Permission.MANAGE_PRACTICE)
@require_http_methods(["GET", "HEAD", "POST"])
@require_recent_sign_in
def keeping(request: MemberRequest) -> HttpResponse:
    """How long records are kept, and who holds them."""
    ours = request.membership.practice
    form = KeepingForm(
        request.POST if request.method == "POST" else None,
        by=request.membership,
        initial={"retention_years": ours.retention_years, "record_holder": ours.record_holder_id},
    )
    if form.is_valid():
        try:
            two_people.change_keeping(practice=ours, by=request.membership, **form.cleaned_data)
        except TooNew as error:
            form.add_error("record_holder", str(error))
        else:
            messages.success(request, _("Saved."))
            return redirect("keeping")
    return render(request, "exchange/keeping.html", {"form": form, "holder": ours.record_holder})


@require(Permission.HOLD)
@require_http_methods(["GET", "HEAD", "POST"])
@require_recent_sign_in
def holds(request: MemberRequest) -> HttpResponse:
    """Legal holds, by client code: which stand, set one, lift one."""
    me = request.membership
    form = HoldForm(request.POST if request.method == "POST" else None, by=me)
    if form.is_valid():
        try:
            sets = "lift" not in request.POST
            rights.set_hold(client=form.cleaned_data["code"], held=sets, by=me)
        except NotOneself:
            form.add_error("code", _("You treat this client: another manager decides it."))
        except TooNew as error:
            form.add_error("code", str(error))
        else:
            messages.success(request, _("Done, and noted in the audit trail."))
            return redirect("holds")
    held = rights.clients_on_hold(me)
    audit.read("view legal holds", client_ids=[each.id for each in held], by=me)
    return render(request, "exchange/holds.html", {"form": form, "held": held})


@require(Permission.MANAGE_PRACTICE)
@require_recent_sign_in
@require_POST
def ask_for_export(request: MemberRequest) -> HttpResponse:
    """Ask that the record holder may take all records away."""
    try:
        two_people.ask_for_export(by=request.membership)
        messages.success(request, _("Asked for: a second person confirms it."))
    except two_people.NotTheHolder:
        messages.error(request, _("Nobody is the record holder yet: name somebody first."))
    return redirect("erasures")


@require(Permission.CONFIRM_ERASURE)
@require_recent_sign_in
@require_safe
def take_export(request: MemberRequest, export_id: UUID) -> HttpResponseBase:
    """All records as one file, for the record holder, within a day of two people's word."""
    me = request.membership
    if export_id not in {each.id for each in two_people.exports_of(me, at=timezone.now())}:
        raise Http404
    clients = holder.clients_of_all_records(me)
    audit.read("export all records", client_ids=[each.id for each in clients], by=me)
    made = holder.all_records(clients)
    return download_file(made, name="all-records.zip", content_type="application/zip")


@require(Permission.CONFIRM_ERASURE)
@require_recent_sign_in
@require_http_methods(["GET", "HEAD", "POST"])
def left_notes(request: MemberRequest, client_id: UUID) -> HttpResponse:
    """Say why, then read the notes of who has left, then take the client's export with them."""
    me = request.membership
    client = get_object_or_404(holder.clients_with_left_notes(me), id=client_id)
    if request.GET.get("review"):
        return _reviewed(request, client)
    form = ReasonForm(request.POST if request.method == "POST" else None)
    if form.is_valid():
        review = holder.open_left_notes(client=client, by=me, **form.cleaned_data)
        return redirect(f"{reverse('left_notes', args=[client.id])}?review={review.id}")
    audit.read("view client with notes of who has left", client_ids=[client.id], by=me)
    return render(request, "exchange/left_notes.html", {"client": client, "form": form})


def _reviewed(request: MemberRequest, client: Client) -> HttpResponse:
    me = request.membership
    review = holder.newest_review(client, by=me)
    if review is None or str(review.id) != request.GET["review"]:
        raise Http404
    ended = client.treatments.left_to_holder(on=request.today)
    texts = holder.left_notes(review, treatments=ended)
    form = ReviewForm(request.POST if request.method == "POST" else None, texts=texts)
    audit.read("read notes of who has left", client_ids=[client.id], target=review, by=me)
    if form.is_valid():
        content = access_export(client, kept=form.cleaned_data["keep"], treatments=ended)
        audit.record(
            "export records with notes of who has left", review, client_id=client.id, by=me
        )
        return download(content, name="records.zip", content_type="application/zip")
    return render(
        request,
        "exchange/review.html",
        {"client": client, "form": form, "back": reverse("erasures")},
    )


def _waiting(request: MemberRequest) -> QuerySet[TwoPersonRequest]:
    """Open requests of the practice: any colleague may be the second person."""
    waiting = TwoPersonRequest.objects.in_practice_of(request.membership).filter(closed_at=None)
    return waiting.order_by("requested_at")
