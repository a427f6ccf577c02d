"""Asking where therapist and client sit together: a code, this device, or paper."""

from typing import Any
from uuid import UUID

import segno
from django.contrib import messages
from django.contrib.auth import logout
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST

from apps.accounts.permissions import MemberRequest, Permission, require
from apps.core import audit
from apps.core.typed import not_taken
from apps.feedback.asking import usable_channels
from apps.feedback.client_frame import ClientFrame
from apps.feedback.messages import link_to
from apps.feedback.paper_form import PaperForm
from apps.feedback.services import (
    AlreadyAnswered,
    CannotAsk,
    ask_in_room,
    questionnaire_for,
    record_from_paper,
    request_feedback,
)
from apps.feedback.tokens import ROOM, make_token
from apps.therapy_sessions.models import TherapySession


@require(Permission.LOG_SESSION)
@require_http_methods(["GET", "HEAD", "POST"])
def in_room(request: MemberRequest, logged_id: UUID) -> HttpResponse:
    """The code for the client's own phone, and the way to this device; a POST opens it anew."""
    session = _own_session(request, logged_id)
    if request.method == "POST":
        return _open(request, session)
    asked = session.feedback_requests.filter(room_until__gt=timezone.now()).first()
    client = session.treatment.client
    context: dict[str, Any] = {"session": session, "client": client, "asked": asked}
    if asked and asked.is_open(at=timezone.now(), in_room=True):
        context["qr"] = _qr(link_to(asked, way=ROOM))
        context["until"] = min(filter(None, (asked.room_until, asked.expires_at)))
    audit.read("view room", client_ids=[client.id], target=session, by=request.membership)
    return render(request, "feedback/in_room.html", context)


@require(Permission.LOG_SESSION)
@require_POST
def hand_over_device(request: MemberRequest, logged_id: UUID) -> HttpResponse:
    """End the therapist's own session on this device, then open the form alone."""
    session = _own_session(request, logged_id)
    asked = session.feedback_requests.filter(room_until__gt=timezone.now()).first()
    if asked is None or not asked.is_open(at=timezone.now(), in_room=True):
        messages.info(request, _("The code has ended. Open it again first."))
        return redirect("in_room", session.id)
    token = make_token(asked.id, generation=asked.generation, way=ROOM)
    audit.record(
        "hand over device", asked, client_id=session.treatment.client_id, by=request.membership
    )
    logout(request)
    response = redirect("feedback_form", token)
    # Nor may the browser show a page of before from memory when somebody goes back.
    response.headers["Clear-Site-Data"] = '"cache", "storage"'
    return response


@require(Permission.LOG_SESSION)
@require_POST
def send_instead(request: MemberRequest, logged_id: UUID) -> HttpResponse:
    """Ask by message after all, by the first channel that may be used."""
    session = _own_session(request, logged_id)
    kinds = [each.kind for each in reversed(usable_channels(session.treatment.client))]
    try:
        request_feedback(
            therapy_session=session,
            questionnaire=questionnaire_for(session),
            channel_kind=kinds[0] if kinds else "",
            by=request.membership,
        )
    except CannotAsk as error:
        messages.error(request, str(error))
        return redirect("in_room", session.id)
    messages.success(request, _("The form goes out by message instead."))
    return redirect("client", session.treatment.client_id)


@require(Permission.LOG_SESSION)
@require_http_methods(["GET", "HEAD", "POST"])
def paper(request: MemberRequest, logged_id: UUID) -> HttpResponse:
    """Enter what a client filled in on paper; it is marked as such."""
    session = _own_session(request, logged_id)
    practice = request.membership.practice
    questionnaire = questionnaire_for(session)
    sent = request.POST if request.method == "POST" else None
    form = PaperForm(
        sent,
        questionnaire=questionnaire,
        contact=ClientFrame.of_practice(practice).contact,
        session=session,
        today=request.today,
    )
    client = session.treatment.client
    if not form.is_valid():
        audit.read("view paper form", client_ids=[client.id], target=session, by=request.membership)
        context = {"form": form, "session": session, "client": client, "asked": questionnaire}
        return render(request, "feedback/paper.html", context)
    try:
        record_from_paper(
            therapy_session=session,
            questionnaire=questionnaire,
            answered_at=form.answered_at(),
            by=request.membership,
            **form.submission(),
        )
        messages.success(request, _("The answers are stored, marked “entered from paper”."))
    except AlreadyAnswered:
        why = _("This session has its answers already. Nothing was added.")
        return not_taken(request, why, back=reverse("client", args=[client.id]))
    return redirect("client", client.id)


def _open(request: MemberRequest, session: TherapySession) -> HttpResponse:
    try:
        ask_in_room(
            therapy_session=session,
            questionnaire=questionnaire_for(session),
            by=request.membership,
        )
    except CannotAsk as error:
        messages.error(request, str(error))
    return redirect("in_room", session.id)


def _own_session(request: MemberRequest, logged_id: UUID) -> TherapySession:
    """An attended session of the member's own caseload."""
    sessions = TherapySession.objects.conducted_by(request.membership).attended()
    return get_object_or_404(sessions.select_related("treatment__client__practice"), id=logged_id)


def _qr(address: str) -> SafeString:
    """The address as a drawing without styles: dark on white in either theme, as scanners need."""
    code = segno.make(address, error="m", micro=False)
    drawing = code.svg_inline(
        svgclass="rp-qr", lineclass=None, dark="#12201f", light="#ffffff", border=3, omitsize=True
    )
    return mark_safe(drawing)  # noqa: S308  made from our own address
