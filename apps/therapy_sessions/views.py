"""Pages that add a client and plan sessions."""

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db import IntegrityError, transaction
from django.http import HttpResponse, QueryDict
from django.shortcuts import get_object_or_404, redirect, render
from django.template.loader import render_to_string
from django.utils.formats import date_format
from django.utils.timezone import localtime, now
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_http_methods

from apps.accounts.permissions import MemberRequest, Permission, require
from apps.clients.models import Client, Treatment
from apps.clients.services import add_client as store_client
from apps.core import audit
from apps.therapy_sessions.forms import AddClientForm, PlanSessionsForm
from apps.therapy_sessions.models import TherapySession
from apps.therapy_sessions.services import plan_therapy_sessions


@require(Permission.ADD_CLIENT)
@require_http_methods(["GET", "HEAD", "POST"])
def add_client(request: MemberRequest) -> HttpResponse:
    """Add a client to one's own caseload, with what was agreed and the first sessions."""
    form = AddClientForm(_sent(request), therapist=request.membership, today=request.today)
    treatment = _store(request, form) if form.is_valid() else None
    if treatment is None:
        subject = render_to_string("messages/feedback_request_subject.txt").strip()
        context = {"form": form, "practice": request.membership.practice, "subject": subject}
        return render(request, "therapy_sessions/add_client.html", context)
    messages.success(
        request, _("%(code)s is on your caseload.") % {"code": form.cleaned_data["code"]}
    )
    return redirect("client", treatment.client_id)


@require(Permission.LOG_SESSION)
@require_http_methods(["GET", "HEAD", "POST"])
def plan_sessions(request: MemberRequest, client_id: str) -> HttpResponse:
    """Plan sessions with a client of one's own caseload."""
    client = get_object_or_404(Client.objects.visible_to(request.membership), id=client_id)
    treatment = Treatment.objects.conducted_by(request.membership).filter(client=client).first()
    if treatment is None:
        raise PermissionDenied
    form = PlanSessionsForm(_sent(request), today=request.today)
    if not form.is_valid():
        audit.read("view client", client_ids=[client.id], target=client, by=request.membership)
        context = {"form": form, "client": client, "planned": _planned(treatment)}
        return render(request, "therapy_sessions/plan_sessions.html", context)
    planned = plan_therapy_sessions(treatment=treatment, **form.plan(), by=request.membership)
    messages.success(request, _planned_in_words(planned))
    return redirect("client", client.id)


def _sent(request: MemberRequest) -> QueryDict | None:
    return request.POST if request.method == "POST" else None


def _store(request: MemberRequest, form: AddClientForm) -> Treatment | None:
    """Store client and sessions; None where the code was taken in the meantime."""
    try:
        with transaction.atomic():
            treatment = store_client(
                therapist=request.membership, **form.client(), by=request.membership
            )
    except IntegrityError as error:
        if "client_code_unique" not in str(error):
            raise
        form.add_error("code", form.code_taken(form.cleaned_data["code"]))
        return None
    if form.plans_sessions:
        plan_therapy_sessions(treatment=treatment, **form.plan(), by=request.membership)
    return treatment


def _planned(treatment: Treatment) -> list[TherapySession]:
    """What stands in the diary already: the next five."""
    sessions = treatment.therapy_sessions.planned().filter(starts_at__gte=now())
    return list(sessions.order_by("starts_at")[:5])


def _planned_in_words(planned: list[TherapySession]) -> str:
    first = date_format(localtime(planned[0].starts_at), "D j M, H:i")
    words = ngettext(
        "One session is planned: %(first)s.",
        "%(count)s sessions are planned, the first on %(first)s.",
        len(planned),
    )
    return words % {"count": len(planned), "first": first}
