"""What was kept long enough is proposed for erasure. Nothing is erased by itself."""

from datetime import date, datetime, timedelta

from django.db import connection
from django.db.models import Exists, Max, OuterRef, Q, QuerySet
from django.utils import timezone

from apps.accounts.models import Practice
from apps.clients.models import Client, Treatment, TwoPersonRequest
from apps.core import tenancy
from apps.exchange.two_people import Kind, ask_to_erase

ASKED_AGAIN_AFTER = timedelta(days=365)
"""Whoever withdraws a proposal keeps the client for another year."""


def propose_in_every_practice(*, at: datetime) -> int:
    """Propose in every practice that has a time of keeping; returns how many clients are due."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT practices_with_retention()")
        practice_ids = [row[0] for row in cursor.fetchall()]
    proposed = 0
    for practice_id in practice_ids:
        with tenancy.one_of_many(practice_id):
            for client in due(Practice.objects.get(id=practice_id), at=at):
                ask_to_erase(client=client, by=None)
                proposed += 1
    return proposed


def due(practice: Practice, *, at: datetime) -> QuerySet[Client]:
    """Clients whose last treatment and last therapy session ended before the time of keeping.

    Not those under a legal hold, erased, with a request that is open, or with one that was
    withdrawn within a year.
    """
    if practice.retention_years is None:
        return Client.objects.none()
    last_kept = years_before(timezone.localdate(at), practice.retention_years)
    requests = TwoPersonRequest.objects.filter(
        Q(closed_at=None) | Q(closed_at__gt=at - ASKED_AGAIN_AFTER),
        client=OuterRef("pk"),
        kind=Kind.ERASE_CLIENT,
    )
    kept = Treatment.objects.filter(
        Q(ends_on__isnull=True) | Q(ends_on__gte=last_kept), client=OuterRef("pk")
    )
    return (
        Client.objects.filter(practice=practice, held_at=None, erased_at=None)
        .annotate(last_session=Max("treatments__therapy_sessions__starts_at"))
        .filter(
            Q(last_session=None) | Q(last_session__date__lt=last_kept),
            ~Exists(kept),
            ~Exists(requests),
            treatments__isnull=False,
        )
    )


def years_before(day: date, years: int) -> date:
    """The same day so many years before; after the 28th of a month the 28th, so never too early.

    >>> years_before(date(2028, 2, 29), 1)
    datetime.date(2027, 2, 28)
    """
    return day.replace(year=day.year - years, day=min(day.day, 28))
