"""The outbox: PostgreSQL is the truth about what must still be sent, Redis only a doorbell.

A message is a row, written in the transaction of what causes it. A sender claims due rows with
`SKIP LOCKED` and a lease, commits, sends, and marks them; if it dies in between, the lease runs
out and another sender takes over. Losing Redis loses nothing: a sweep finds what is due.
"""

import logging
import random
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple
from uuid import UUID

from django.conf import settings
from django.core.mail import EmailMessage
from django.db import connection, transaction
from django.utils import timezone
from django.utils.module_loading import import_string

from apps.core import tenancy
from apps.core.models import OutboxMessage

logger = logging.getLogger(__name__)


class NothingToSend(Exception):
    """Raised by a renderer whose message has no use any more: it is cancelled, not sent."""


@dataclass(frozen=True)
class RenderedMessage:
    """A message as it leaves: made at the last moment, stored nowhere."""

    recipient: str
    subject: str
    body: str
    sender_name: str


def enqueue(
    *, kind: str, subject_id: UUID, practice_id: UUID, not_before: datetime
) -> OutboxMessage:
    """Record that a message must go out at `not_before`; ring the doorbell if that is now.

    `kind` names the renderer in `settings.OUTBOX_RENDERERS`. Call it in the transaction of what
    causes the message; enqueuing the same kind and subject again changes nothing.
    """
    message, created = OutboxMessage.objects.get_or_create(
        practice_id=practice_id,
        kind=kind,
        subject_id=subject_id,
        defaults={"not_before": not_before},
    )
    if created and not_before <= timezone.now():
        transaction.on_commit(lambda: ring(practice_id, message.id), robust=True)
    return message


def ring(practice_id: UUID, message_id: UUID) -> None:
    """Tell a worker that a message is due. A broker that is away is no error: the sweep comes."""
    from apps.core.tasks import deliver_message

    try:
        deliver_message.apply_async(args=(str(practice_id), str(message_id)), retry=False)
    except deliver_message.OperationalError:
        logger.warning("The broker is away; the sweep will send what is due.")


def cancel(*, kind: str, subject_id: UUID) -> int:
    """Withdraw a message that is not out yet; returns how many rows that concerned."""
    return OutboxMessage.objects.filter(
        kind=kind, subject_id=subject_id, state=OutboxMessage.State.PENDING
    ).update(state=OutboxMessage.State.CANCELLED)


class Due(NamedTuple):
    """A message that may be sent now, and whose it is; read across practices."""

    practice_id: UUID
    message_id: UUID
    not_before: datetime


def due(*, limit: int) -> list[Due]:
    """Up to `limit` due messages of all practices, the longest due first."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT practice_id, id, not_before FROM due_messages(%s) LIMIT %s",
            [timezone.now(), limit],
        )
        return [Due(*row) for row in cursor.fetchall()]


def claim(*, practice_id: UUID, message_id: UUID) -> OutboxMessage | None:
    """Take a due message for this sender alone, for `OutboxMessage.LEASE`; None if taken."""
    now = timezone.now()
    with transaction.atomic(durable=True), tenancy.practice(practice_id):
        message = (
            OutboxMessage.objects.due(at=now)
            .filter(id=message_id)
            .select_for_update(skip_locked=True)
            .first()
        )
        if message:
            message.state = OutboxMessage.State.CLAIMED
            message.lease_until = now + OutboxMessage.LEASE
            message.save(update_fields=["state", "lease_until"])
    return message


def deliver_due(*, limit: int = 100) -> int:
    """Send up to `limit` due messages, one at a time; returns how many are out."""
    return sum(
        deliver(practice_id=each.practice_id, message_id=each.message_id)
        for each in due(limit=limit)
    )


def deliver(*, practice_id: UUID, message_id: UUID) -> bool:
    """Send one message if it is due and nobody else has it; True where it is out.

    What goes wrong is tried again, later each time, up to eight times.
    """
    message = claim(practice_id=practice_id, message_id=message_id)
    if message is None:
        return False
    try:
        with tenancy.practice(practice_id):
            rendered = import_string(settings.OUTBOX_RENDERERS[message.kind])(message.subject_id)
        _send_email(message, rendered)
    except NothingToSend:
        _settle(message, state=OutboxMessage.State.CANCELLED)
        return False
    except Exception as error:  # noqa: BLE001 - one bad message must not hold up the others
        _put_off(message, error)
        return False
    return _settle(message, state=OutboxMessage.State.SENT, sent_at=timezone.now())


def _send_email(message: OutboxMessage, rendered: RenderedMessage) -> None:
    host = settings.DEFAULT_FROM_EMAIL.rpartition("@")[2]
    EmailMessage(
        subject=rendered.subject,
        body=rendered.body,
        from_email=f"{rendered.sender_name} <{settings.DEFAULT_FROM_EMAIL}>",
        to=[rendered.recipient],
        headers={"Message-ID": f"<{message.id}.{message.attempts}@{host}>"},
    ).send()


def _put_off(message: OutboxMessage, error: Exception) -> None:
    attempts = message.attempts + 1
    failed = attempts >= OutboxMessage.MAX_ATTEMPTS
    # 1, 2, 4 … 64 minutes, each up to half longer, so that a recovered server is not stormed.
    delay = timedelta(minutes=2 ** (attempts - 1)) * random.uniform(1, 1.5)  # noqa: S311 - no secret
    _settle(
        message,
        state=OutboxMessage.State.FAILED if failed else OutboxMessage.State.PENDING,
        attempts=attempts,
        not_before=timezone.now() + delay,
        error=type(error).__name__,
    )
    logger.warning("Message %s: %s, attempt %s", message.id, type(error).__name__, attempts)


def _settle(message: OutboxMessage, **changes: object) -> bool:
    """Write the end of a claim, unless the lease ran out and another sender has it by now."""
    with tenancy.practice(message.practice_id):
        return bool(
            OutboxMessage.objects.filter(
                id=message.id, state=OutboxMessage.State.CLAIMED, lease_until=message.lease_until
            ).update(lease_until=None, **changes)
        )
