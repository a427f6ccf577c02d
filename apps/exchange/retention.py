"""What was kept long enough is proposed for erasure. Nothing is erased by itself."""

from datetime import date, datetime, timedelta

from django.db.models import Exists, Max, OuterRef, Q, QuerySet
from django.utils import timezone

from apps.accounts.models import Practice
from apps.clients.models import Client, Treatment, TwoPersonRequest

ASKED_AGAIN_AFTER = timedelta(days=365)
"""Whoever withdraws a proposal keeps the client for another year."""


def due(practice: Practice, *, at: datetime) -> QuerySet[Client]:
    """Clients to be proposed for erasure: of those in `over`, not who is under a legal hold, has a
    request that is open, or had one that was withdrawn within a year.
    """
    requests = TwoPersonRequest.objects.filter(
        Q(closed_at=None) | Q(closed_at__gt=at - ASKED_AGAIN_AFTER),
        client=OuterRef("pk"),
        kind=TwoPersonRequest.Kind.ERASE_CLIENT,
    )
    return over(practice, at=at).filter(~Exists(requests), held_at=None)


def over(practice: Practice, *, at: datetime) -> QuerySet[Client]:
    """Clients whose last treatment and last logged session ended before the time of keeping."""
    if practice.retention_years is None:
        return Client.objects.none()
    last_kept = years_before(timezone.localdate(at), practice.retention_years)
    kept = Treatment.objects.filter(
        Q(ends_on__isnull=True) | Q(ends_on__gte=last_kept), client=OuterRef("pk")
    )
    # What was planned and never logged keeps nobody longer than the treatment does.
    logged = Q(treatments__therapy_sessions__attendance__gt="")
    return (
        Client.objects.filter(practice=practice, erased_at=None)
        .annotate(last_session=Max("treatments__therapy_sessions__starts_at", filter=logged))
        .filter(
            Q(last_session=None) | Q(last_session__date__lt=last_kept),
            ~Exists(kept),
            treatments__isnull=False,
        )
    )


def years_before(day: date, years: int) -> date:
    """The same day so many years before; after the 28th of a month the 28th, so never too early.

    >>> years_before(date(2028, 2, 29), 1)
    datetime.date(2027, 2, 28)
    """
    return day.replace(year=day.year - years, day=min(day.day, 28))
