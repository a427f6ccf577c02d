"""Which practice a signed-in person works in during this request."""

import zoneinfo
from collections.abc import Callable
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.utils import timezone

from apps.accounts.models import Membership
from apps.core import tenancy


class PracticeMiddleware:
    """Set `request.membership` (None for strangers), `request.today` and the practice's clock.

    It owns the transaction in which row-level security shows this practice's rows; the one that
    Django opens around each view (`ATOMIC_REQUESTS`) is a savepoint in it, so that a view that
    raises still leaves nothing behind. Where a person belongs to several practices, the first by
    name is theirs until they switch.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        membership = membership_of(request.user.pk)
        request.membership = membership  # type: ignore[attr-defined]
        if membership is None:
            request.today = timezone.localdate()  # type: ignore[attr-defined]
            return self.get_response(request)
        zone = zoneinfo.ZoneInfo(membership.practice.time_zone)
        with timezone.override(zone), tenancy.practice(membership.practice_id):
            request.today = timezone.localdate()  # type: ignore[attr-defined]
            response = self.get_response(request)
        response.headers.setdefault("Cache-Control", "no-store")
        return response


def membership_of(user_id: UUID | None) -> Membership | None:
    """The active membership that a signed-in person works in; None for strangers."""
    if user_id is None:
        return None
    with tenancy.user(user_id):
        return (
            Membership.objects.filter(user=user_id, is_active=True)
            .select_related("practice")
            .order_by("practice__name", "practice_id")
            .first()
        )
