"""Before a session: the brief of one client, and the sheet of a day."""

from uuid import UUID

from django.core.exceptions import PermissionDenied
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, render
from django.utils import timezone
from django.views.decorators.http import require_safe

from apps.accounts.permissions import MemberRequest, Permission, require
from apps.clients.models import Client
from apps.core import audit
from apps.dashboard.selectors.brief import client_brief
from apps.dashboard.selectors.brief import day_sheet as day_sheet_page
from apps.dashboard.selectors.diary import day_of


@require(Permission.VIEW_CASELOAD)
@require_safe
def brief(request: MemberRequest, client_id: UUID) -> HttpResponse:
    """What to have in mind before the next session with a client of one's own."""
    client = get_object_or_404(Client.objects.visible_to(request.membership), id=client_id)
    page = client_brief(request.membership, client, today=request.today, at=timezone.now())
    if page is None:
        raise PermissionDenied
    audit.read("view brief", client_ids=[client.id], target=client, by=request.membership)
    return render(request, "dashboard/brief.html", {"brief": page})


@require(Permission.VIEW_CASELOAD)
@require_safe
def day_sheet(request: MemberRequest) -> HttpResponse:
    """What to pick up, one line for each session of `?day=` (today)."""
    day = day_of(request.GET.get("day", ""), today=request.today)
    page = day_sheet_page(request.membership, day=day, today=request.today, at=timezone.now())
    audit.read("view day sheet", client_ids=page.client_ids, by=request.membership)
    return render(request, "dashboard/day_sheet.html", {"sheet": page})
