"""Which practice a signed-in person works in during this request."""

import zoneinfo
from collections.abc import Callable

from django.http import HttpRequest, HttpResponse
from django.utils import timezone

from apps.accounts.models import Membership


class PracticeMiddleware:
    """Set `request.membership` (None for strangers), `request.today` and the practice's clock.

    Pages show the time of the practice. Where a person belongs to several practices, the first by
    name is theirs until they switch.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        membership = None
        if request.user.is_authenticated:
            membership = (
                Membership.objects.filter(user=request.user, is_active=True)
                .select_related("practice")
                .order_by("practice__name", "practice_id")
                .first()
            )
        request.membership = membership  # type: ignore[attr-defined]
        zone = zoneinfo.ZoneInfo(membership.practice.time_zone) if membership else None
        with timezone.override(zone):
            request.today = timezone.localdate()  # type: ignore[attr-defined]
            response = self.get_response(request)
        if membership:
            response.headers.setdefault("Cache-Control", "no-store")
        return response
