"""The diary of one's own sessions."""

from django.http import HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_safe

from apps.accounts.permissions import MemberRequest, Permission, require
from apps.core import audit
from apps.dashboard.selectors.diary import diary_page, monday_of


@require(Permission.VIEW_CASELOAD)
@require_safe
def diary(request: MemberRequest) -> HttpResponse:
    """One week, the present one unless ?week= names a day of another."""
    monday = monday_of(request.GET.get("week", ""), today=request.today)
    page = diary_page(request.membership, monday=monday, today=request.today, at=timezone.now())
    audit.read("view diary", client_ids=page.client_ids, by=request.membership)
    return render(request, "dashboard/diary.html", {"diary": page})
