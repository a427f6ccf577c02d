"""The audit trail: `record` inside each service that changes, `read` in each view that shows.

Both write one row, in the transaction of what they tell of, with the route at work. Rows are
inserted unchained; `apps.core.sealer` chains them within seconds.
"""

from collections.abc import Iterable
from typing import Any
from uuid import UUID

from apps.core import tracing
from apps.core.models import AuditEntry


def record(action: str, target: Any, *, client_id: UUID | None = None, by: Any) -> AuditEntry:
    """Note that `by` did `action` to `target`.

    Args:
        action: a verb and its object in words, e.g. "log therapy session"; no client data.
        target: a saved row with `id` and `practice_id` (a practice stands for itself).
        client_id: client whose data it is; None where it concerns no client.
        by: acting member (anything with an `id`); None where a client or a task acted.
    """
    return AuditEntry.objects.create(
        practice_id=getattr(target, "practice_id", target.id),
        actor_id=by.id if by else None,
        route=tracing.route(),
        action=action,
        object_type=target._meta.label,
        object_id=target.id,
        client_ids=[client_id] if client_id else [],
    )


def read(action: str, *, client_ids: Iterable[UUID], target: Any = None, by: Any) -> None:
    """Note that a page showed `by` something of these clients: once a request, before it renders.

    Args:
        action: e.g. "view caseload"; no client data.
        client_ids: every client of whom the page shows anything, be it a code. A page that shows
            nobody leaves no row.
        target: the row that was asked for; None for a list, which stands under who asked.
        by: the member who looks.
    """
    shown = sorted(set(client_ids))
    if not shown:
        return
    target = target or by
    AuditEntry.objects.create(
        practice_id=by.practice_id,
        actor_id=by.id,
        route=tracing.route(),
        is_read=True,
        action=action,
        object_type=target._meta.label,
        object_id=target.id,
        client_ids=shown,
    )
