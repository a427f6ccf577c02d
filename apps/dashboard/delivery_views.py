"""Whether messages go out and are answered: for the manager, and for one's own clients."""

from django.http import HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.utils.formats import date_format
from django.views.decorators.http import require_safe

from apps.accounts.permissions import MemberRequest, Permission, require
from apps.core.models import OutboxQuerySet
from apps.dashboard.selectors.delivery import delivery_page, of_own_clients, of_the_practice


@require(Permission.MANAGE_PRACTICE)
@require_safe
def delivery(request: MemberRequest) -> HttpResponse:
    """Messages of the practice, counts only."""
    messages = of_the_practice(request.membership.practice_id)
    return _page(request, messages, is_own=False)


@require(Permission.VIEW_CASELOAD)
@require_safe
def own_delivery(request: MemberRequest) -> HttpResponse:
    """Messages to one's own clients, counts only."""
    return _page(request, of_own_clients(request.membership), is_own=True)


def _page(request: MemberRequest, messages: OutboxQuerySet, *, is_own: bool) -> HttpResponse:
    at = timezone.now()
    page = delivery_page(messages, at=at, today=request.today)
    day = date_format(timezone.localtime(at), "l j F Y, H:i")
    context = {"page": page, "today_in_words": day, "is_own": is_own}
    return render(request, "dashboard/delivery.html", context)
