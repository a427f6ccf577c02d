"""The switch: whether this installation sends messages at all.

After a restore, messages that went out long ago may be waiting again. So sending is released for
one database, and pauses by itself where it finds another: restored into a new cluster, replayed
to a point in time (a new timeline), or read back as a new database or into the old one, emptied.
"""

from dataclasses import dataclass
from datetime import datetime

from django.db import connection, transaction
from django.utils import timezone

from apps.core.models import OutboxMessage, Sending

AFTER_A_RESTORE = "after a restore"


@dataclass(frozen=True)
class Pause:
    """Sending rests; `since` is None where a restore began it, `why` is in words, or ''."""

    since: datetime | None
    why: str


def paused() -> Pause | None:
    """The pause, if sending rests now."""
    row = Sending.objects.first()
    if row is None:
        return None
    if row.database != _database():
        return Pause(None, AFTER_A_RESTORE)
    return Pause(row.paused_at, row.why) if row.paused_at else None


def note_database() -> None:
    """Note which database a new installation sends from."""
    Sending.objects.get_or_create(id=1, defaults={"database": _database()})


def pause(*, why: str = "") -> None:
    """Let nothing out until `release`; what is being handed over this moment still goes."""
    note_database()
    Sending.objects.update(paused_at=timezone.now(), why=why)


@transaction.atomic
def release(*, drop: bool = False) -> int:
    """Send again; with `drop`, what is due by now is withdrawn instead. Returns how many were.

    Withdrawn messages are not counted as silence. Run as the schema's owner: it looks across
    practices.
    """
    now = timezone.now()
    dropped = 0
    if drop:
        dropped = (
            OutboxMessage.objects.filter(
                state__in=[*OutboxMessage.NOT_OUT, OutboxMessage.State.UNCERTAIN], due_at__lte=now
            )
            .exclude(state=OutboxMessage.State.UNCERTAIN, doubts__gt=1)
            .update(state=OutboxMessage.State.CANCELLED, lease_until=None)
        )
    Sending.objects.update_or_create(
        id=1, defaults={"database": _database(), "paused_at": None, "why": ""}
    )
    return dropped


def _database() -> str:
    """Cluster, timeline and the numbers of database and table: a restore changes one at least."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT format('%s/%s/%s/%s', (pg_control_system()).system_identifier,"
            " (pg_control_checkpoint()).timeline_id,"
            " (SELECT oid FROM pg_database WHERE datname = current_database()),"
            " 'core_sending'::regclass::oid)"
        )
        name: str = cursor.fetchone()[0]
    return name
