"""Whether messages go out: counts and times only, no message and nobody's name."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from uuid import UUID

from django.db.models import Count, Min, Q

from apps.core.models import OutboxMessage
from apps.dashboard.selectors import words

LATE_AFTER = timedelta(seconds=120)
COUNTED_DAYS = 7


@dataclass(frozen=True)
class Delivery:
    """Messages of one practice. `oldest_due` and `delayed_since` are times in words, or ''."""

    due: int
    later: int
    sent: int
    failed: int
    oldest_due: str
    delayed_since: str


def delayed_since(practice_id: UUID, *, at: datetime, today: date) -> str:
    """Since when the practice's oldest due message has waited; '' up to two minutes."""
    oldest = OutboxMessage.objects.waiting(at=at).filter(practice_id=practice_id)
    return _delayed(oldest.aggregate(since=Min("due_at"))["since"], at, today)


def delivery(practice_id: UUID, *, at: datetime, today: date) -> Delivery:
    """What is due now, what waits for its time, and what went out or failed in 7 days."""
    messages = OutboxMessage.objects.filter(practice_id=practice_id)
    since = at - timedelta(days=COUNTED_DAYS)
    state = OutboxMessage.State
    due = messages.waiting(at=at).aggregate(count=Count("pk"), oldest=Min("due_at"))
    counts = messages.aggregate(
        later=Count("pk", filter=Q(state=state.PENDING, due_at__gt=at)),
        sent=Count("pk", filter=Q(state=state.SENT, sent_at__gte=since)),
        failed=Count("pk", filter=Q(state=state.FAILED, created_at__gte=since)),
    )
    return Delivery(
        due=due["count"],
        **counts,
        oldest_due=words.clock_or_moment(due["oldest"], today) if due["oldest"] else "",
        delayed_since=_delayed(due["oldest"], at, today),
    )


def _delayed(oldest: datetime | None, at: datetime, today: date) -> str:
    return words.clock_or_moment(oldest, today) if oldest and at - oldest > LATE_AFTER else ""
