"""The audit trail: one call inside each service, and in each view that shows a client's data."""

from typing import Any
from uuid import UUID

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
        action=action,
        object_type=target._meta.label,
        object_id=target.id,
        client_id=client_id,
    )
