"""Pages of an ending: moving a client to another therapist, what one offers, opening again."""

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpResponse, QueryDict
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from apps.accounts.permissions import MemberRequest, Permission, require
from apps.clients.models import Client, Treatment
from apps.core import audit
from apps.core.typed import not_taken
from apps.endings import services
from apps.endings.forms import CallOffForm, ConsentForm, FitsForm, HandoverForm, OfferForm
from apps.endings.models import Ending, Move
from apps.endings.selectors import colleagues_for, wishes_in_words

FITS, CONSENT, HANDOVER, ARRANGED = "fits", "consent", "handover", "arranged"


@require(Permission.VIEW_CASELOAD)
@require_http_methods(["GET", "HEAD", "POST"])
def move_client(request: MemberRequest, client_id: UUID) -> HttpResponse:
    """Three steps to a better-fitting therapist; `step` is the one that is shown or sent. Once
    arranged, what can be sent is why it is called off."""
    treatment = _own_treatment(request, client_id)
    moves = Move.objects.conducted_by(request.membership).filter(treatment=treatment)
    move, called_off = moves.standing().first(), moves.called_off().first()
    step = _step(request, move)
    form = _form(request, step, move or called_off)
    if _is_stale(request, step):
        return _not_taken(request, client_id)
    if form.is_valid():
        try:
            return _take(request, treatment, move, step, form)
        except services.AlreadyArranged:
            move, step = moves.standing().get(), ARRANGED
            form = CallOffForm(None, move=move)
            messages.info(request, _("The move is arranged already; nothing was changed."))
        except services.ChangedMeanwhile as changed:
            if step != FITS:
                return _not_taken(request, client_id)
            form.show_theirs(changed.latest)
        except (services.ChangesHands, services.CannotHandOver, services.CannotCallOff) as why:
            form.add_error(None, str(why))
    audit.read("view move", client_ids=[client_id], target=treatment, by=request.membership)
    context = {
        "treatment": treatment,
        "move": move,
        "wishes": wishes_in_words(move) if move else "",
        "called_off": called_off,
        "step": step,
        "form": form,
    }
    return render(request, "endings/move_client.html", context)


@require(Permission.VIEW_CASELOAD)
@require_http_methods(["GET", "HEAD", "POST"])
def offer(request: MemberRequest) -> HttpResponse:
    """What the member can offer clients who move."""
    member = request.membership
    form = OfferForm(_sent(request), offer=getattr(member, "offer", None))
    if form.is_valid():
        services.set_offer(member=member, by=member, **form.cleaned_data)
        messages.success(request, _("Saved what you can offer."))
        return redirect("offer")
    return render(request, "endings/offer.html", {"form": form})


@require(Permission.VIEW_CASELOAD)
@require_safe
def ended_treatments(request: MemberRequest) -> HttpResponse:
    """Treatments the member closed, by code: nothing else of them can be read any more."""
    endings = Ending.objects.conducted_by(request.membership).select_related("treatment__client")
    shown = list(endings.with_what_goes_on(on=request.today).order_by("-closed_at"))
    client_ids = [ending.treatment.client_id for ending in shown]
    audit.read("view ended treatments", client_ids=client_ids, by=request.membership)
    return render(request, "endings/ended_treatments.html", {"endings": shown})


@require(Permission.ADD_CLIENT)
@require_POST
def reopen(request: MemberRequest, ending_id: UUID) -> HttpResponse:
    """Begin a new treatment of a client whose treatment the member closed."""
    endings = Ending.objects.conducted_by(request.membership).select_related("treatment")
    ending = get_object_or_404(endings, id=ending_id)
    try:
        treatment = services.reopen_treatment(ending=ending, by=request.membership)
    except services.CannotReopen as why:
        messages.info(request, str(why))
        return redirect("ended_treatments")
    messages.success(request, _("A new treatment has begun, with a new baseline."))
    return redirect("client", treatment.client_id)


def _own_treatment(request: MemberRequest, client_id: UUID) -> Treatment:
    client = get_object_or_404(Client.objects.visible_to(request.membership), id=client_id)
    own = Treatment.objects.conducted_by(request.membership).filter(client=client)
    treatment = own.select_related("client", "practice").first()
    if treatment is None:
        raise PermissionDenied
    return treatment


def _is_stale(request: MemberRequest, step: str) -> bool:
    """Whether a move is called off that is not arranged any more."""
    return request.POST.get("step") == ARRANGED and step != ARRANGED


def _not_taken(request: MemberRequest, client_id: UUID) -> HttpResponse:
    why = _("The move was changed meanwhile, so nothing was saved. Go through it again.")
    return not_taken(request, why, back=reverse("move_client", args=[client_id]))


def _sent(request: MemberRequest) -> QueryDict | None:
    return request.POST if request.method == "POST" else None


def _step(request: MemberRequest, move: Move | None) -> str:
    """The step asked for, as far as the steps before it are done."""
    if move is None:
        return FITS
    if move.arranged_at:
        return ARRANGED
    furthest = HANDOVER if move.agreed_on else CONSENT
    asked = (_sent(request) or request.GET).get("step", furthest)
    order = (FITS, CONSENT, HANDOVER)
    return asked if asked in order[: order.index(furthest) + 1] else furthest


def _form(request: MemberRequest, step: str, move: Move | None) -> Any:
    sent, today = _sent(request), request.today
    if step == FITS or move is None:
        return FitsForm(sent, move=move, today=today)
    if step == CONSENT:
        return ConsentForm(sent, move=move, today=today)
    if step == HANDOVER:
        colleagues = colleagues_for(move, therapist=request.membership)
        return HandoverForm(sent, move=move, colleagues=colleagues, today=today)
    calls_off = sent is not None and sent.get("step") == ARRANGED
    return CallOffForm(sent if calls_off else None, move=move)


def _take(
    request: MemberRequest, treatment: Treatment, move: Move | None, step: str, form: Any
) -> HttpResponse:
    by, typed = request.membership, form.cleaned_data
    if step == FITS:
        services.save_what_fits(treatment=treatment, by=by, **typed)
        messages.success(request, _("Saved. Now go through the parts with the client."))
    elif move and step == CONSENT:
        services.record_consent(move=move, by=by, **typed)
        messages.success(request, _("Saved what the client agreed to."))
    elif move and step == ARRANGED:
        services.call_off_move(move=move, by=by, **typed)
        messages.success(
            request, _("Called off: the client stays with you. Plan your next sessions again.")
        )
        return redirect("client", treatment.client_id)
    elif move:
        services.arrange_move(move=move, by=by, **typed)
        said = _("Arranged: the client moves to %(name)s.") % {"name": typed["to"].name}
        messages.success(request, said)
        if typed["moves_on"] <= request.today:
            return redirect("caseload")
    return redirect("move_client", treatment.client_id)
