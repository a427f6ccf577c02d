"""The page that adds a client."""

from django.contrib import messages
from django.db import IntegrityError, transaction
from django.http import HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.template.loader import render_to_string
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from apps.accounts.permissions import MemberRequest, Permission, require
from apps.clients.models import Treatment
from apps.clients.services import add_client as store_client
from apps.therapy_sessions.forms import AddClientForm
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
