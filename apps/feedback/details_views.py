"""Pages by which a therapist changes how, and whether, a client is asked."""

from uuid import UUID

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST

from apps.accounts.permissions import MemberRequest, Permission, require
from apps.clients import services
from apps.clients.forms import ChangeClientForm, PauseForm
from apps.clients.models import Client, Treatment
from apps.core import audit
from apps.feedback.lifecycle import withdraw_unsent


@require(Permission.ADD_CLIENT)
@require_http_methods(["GET", "HEAD", "POST"])
def change_client(request: MemberRequest, client_id: UUID) -> HttpResponse:
    """Correct a client's details: contacts, what was agreed."""
    client = _own_client(request, client_id)
    sent = request.POST if request.method == "POST" else None
    form = ChangeClientForm(sent, client=client, today=request.today)
    if not form.is_valid():
        return _details(request, client, form, PauseForm(today=request.today))
    services.change_client(client=client, by=request.membership, **form.contact())
    if form.cleaned_data["consent"] != Client.Consent.AGREED:
        withdraw_unsent(client)
    messages.success(request, _("Details saved."))
    return redirect("client", client.id)


@require(Permission.ADD_CLIENT)
@require_POST
def pause_asking(request: MemberRequest, client_id: UUID) -> HttpResponse:
    """Let asking rest, with a clinical reason and a day to look at it again."""
    client = _own_client(request, client_id)
    form = PauseForm(request.POST, today=request.today)
    if not form.is_valid():
        details = ChangeClientForm(None, client=client, today=request.today)
        return _details(request, client, details, form)
    services.pause_asking(client=client, by=request.membership, **form.cleaned_data)
    withdraw_unsent(client)
    messages.success(request, _("Asking is paused. What had not been sent is withdrawn."))
    return redirect("client", client.id)


@require(Permission.ADD_CLIENT)
@require_POST
def end_pause(request: MemberRequest, client_id: UUID) -> HttpResponse:
    """Ask again from the next session on."""
    client = _own_client(request, client_id)
    services.end_pause(client=client, by=request.membership)
    messages.success(request, _("The pause has ended."))
    return redirect("client", client.id)


@require(Permission.ADD_CLIENT)
@require_POST
def confirm_consent(request: MemberRequest, client_id: UUID) -> HttpResponse:
    """One click: the client was asked again today, and agrees as before."""
    client = _own_client(request, client_id)
    if client.consent not in {Client.Consent.AGREED, Client.Consent.IN_ROOM}:
        messages.error(request, _("No agreement is recorded that could be confirmed."))
    else:
        services.confirm_consent(client=client, on=request.today, by=request.membership)
        messages.success(request, _("Consent is confirmed as of today."))
    return redirect("client", client.id)


def _own_client(request: MemberRequest, client_id: UUID) -> Client:
    """A client whom the member treats; 404 for a stranger's, 403 for a supervisee's."""
    client = get_object_or_404(
        Client.objects.visible_to(request.membership).select_related("practice"), id=client_id
    )
    if not Treatment.objects.conducted_by(request.membership).filter(client=client).exists():
        raise PermissionDenied
    return client


def _details(
    request: MemberRequest, client: Client, form: ChangeClientForm, pause_form: PauseForm
) -> HttpResponse:
    audit.read("view details", client_ids=[client.id], target=client, by=request.membership)
    context = {
        "form": form,
        "pause_form": pause_form,
        "client": client,
    }
    return render(request, "clients/change_client.html", context)
