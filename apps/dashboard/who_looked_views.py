"""Who looked at a client, for the treating therapist."""

from uuid import UUID

from django.core.exceptions import PermissionDenied
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, render
from django.utils import timezone
from django.views.decorators.http import require_safe

from apps.accounts.permissions import MemberRequest, Permission, require
from apps.clients.models import Client, Treatment
from apps.core import audit
from apps.dashboard.selectors.who_looked import LookFilter, who_looked_page


@require(Permission.VIEW_CASELOAD)
@require_safe
def who_looked(request: MemberRequest, client_id: UUID) -> HttpResponse:
    """Every read and change of one's own client's data; this look is on the list from now on."""
    client = get_object_or_404(Client.objects.visible_to(request.membership), id=client_id)
    if not Treatment.objects.conducted_by(request.membership).filter(client=client).exists():
        raise PermissionDenied
    names = ("who", "what", "when", "page")
    chosen = LookFilter(**{name: request.GET[name] for name in names if name in request.GET})
    page = who_looked_page(
        client, chosen=chosen, today=request.today, at=timezone.now(), reader=request.membership
    )
    audit.read("view who looked", client_ids=[client.id], target=client, by=request.membership)
    return render(request, "dashboard/who_looked.html", {"page": page})
