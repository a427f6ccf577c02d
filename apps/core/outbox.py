"""The outbox: PostgreSQL is the truth about what must still be sent, Redis only a doorbell.

A message is a row, written in the transaction of what causes it. A sender claims due rows with
`SKIP LOCKED` and a lease, commits, sends, and marks them; if it dies in between, the lease runs
out and another sender takes over. Losing Redis loses nothing: a sweep finds what is due.
"""

import logging
import random
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import copy_context
from datetime import datetime, timedelta
from enum import StrEnum
from itertools import groupby
from operator import itemgetter
from uuid import UUID

from django.conf import settings
from django.db import OperationalError, connection, transaction
from django.utils import timezone
from django.utils.module_loading import import_string
from psycopg.errors import LockNotAvailable

from apps.core import carriers, sending, tenancy
from apps.core.carriers import AnsweredStop, MaybeSent, RenderedMessage, Unreachable
from apps.core.models import OutboxMessage

logger = logging.getLogger(__name__)

State = OutboxMessage.State
# What a carrier may take at most, and some seconds to write down how it ended.
SENDING_TAKES = timedelta(seconds=20)
# For the turn of a client whom an import, or new keys, may keep for long.
TURN_WAIT_MS = 10_000
TURN_AGAIN = timedelta(minutes=1)
CHANCE = random.SystemRandom()


class NothingToSend(Exception):
    """Raised by a renderer whose message has no use any more: it is cancelled, not sent."""


class Outcome(StrEnum):
    DELIVERED = "delivered"
    BOUNCED = "bounced"
    LOST = "lost"  # it was given up on the way: the address may take the next one
    REFUSED = "refused"  # it came back, as the phone had answered STOP, to whatever it was
    COMPLAINED = "complained"  # it arrived, and its reader says no


class NotYet(Exception):
    """Raised by a renderer whose message must wait until `until`, e.g. for quiet hours to end."""

    def __init__(self, until: datetime) -> None:
        super().__init__(until)
        self.until = until


class _NoTurn(Exception):
    """Somebody else has the client's turn: the message waits, and the slot does not."""


def enqueue(
    *,
    kind: str,
    subject_id: UUID,
    practice_id: UUID,
    not_before: datetime,
    channel: str = OutboxMessage.Channel.EMAIL,
) -> OutboxMessage:
    """Record that a message must go out at `not_before`; ring the doorbell if that is now.

    `kind` names the renderer in `settings.OUTBOX_RENDERERS`, `channel` the way it will probably
    go: the renderer decides. Call it in the transaction of what causes the message; enqueuing the
    same kind and subject again changes nothing.
    """
    message, created = OutboxMessage.objects.get_or_create(
        practice_id=practice_id,
        kind=kind,
        subject_id=subject_id,
        defaults={"not_before": not_before, "due_at": not_before, "channel": channel},
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


def cancel(*kinds: str, subject_id: UUID) -> int:
    """Withdraw messages that are not out yet; returns how many rows that concerned.

    One that may have gone out is not sent a second time.
    """
    return OutboxMessage.objects.filter(
        kind__in=kinds, subject_id=subject_id, state__in=[State.PENDING, State.UNCERTAIN]
    ).update(state=State.CANCELLED)


def reschedule(*, kind: str, subject_id: UUID, not_before: datetime) -> int:
    """Move a message that no sender has taken yet; returns how many rows that concerned."""
    return OutboxMessage.objects.filter(
        kind=kind, subject_id=subject_id, state=State.PENDING
    ).update(not_before=not_before, due_at=not_before)


def due(*, limit: int) -> list[tuple[UUID, UUID]]:
    """Practice and id of up to `limit` due messages of all practices, the longest due first."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT practice_id, id FROM due_messages(%s, %s)", [timezone.now(), limit])
        rows: list[tuple[UUID, UUID]] = cursor.fetchall()
    return rows


def is_late() -> bool:
    """Whether any message of any practice has waited for longer than `OutboxMessage.LATE_AFTER`."""
    now = timezone.now()
    with connection.cursor() as cursor:
        cursor.execute("SELECT waiting_since(%s)", [now])
        since: datetime | None = cursor.fetchone()[0]
    return since is not None and now - since > OutboxMessage.LATE_AFTER


def claim(*, practice_id: UUID, message_ids: list[UUID]) -> list[OutboxMessage]:
    """Take due messages of one practice for this sender alone, for `OutboxMessage.LEASE`.

    Left out is what is not due any more and what another sender has.
    """
    now = timezone.now()
    with transaction.atomic(durable=True), tenancy.practice(practice_id):
        claimed = list(
            OutboxMessage.objects.due(at=now)
            .filter(id__in=message_ids)
            .select_for_update(skip_locked=True)
        )
        for message in claimed:
            if message.state == State.CLAIMED:  # its sender died, maybe after it was out
                message.doubted_at = message.taken_at
            message.state = State.CLAIMED
            message.lease_until = now + OutboxMessage.LEASE
        OutboxMessage.objects.bulk_update(claimed, ["state", "lease_until", "doubted_at"])
    return claimed


def deliver(*, practice_id: UUID, message_id: UUID) -> bool:
    """Send one message if it is due and nobody else has it; True where it is out."""
    if sending.paused():
        return False
    claimed = claim(practice_id=practice_id, message_ids=[message_id])
    return bool(claimed) and _deliver(claimed[0])


def deliver_due(*, for_s: float = 25.0) -> int:
    """Send what is due, `settings.OUTBOX_SLOTS` messages at a time; returns how many are out.

    A message that hangs holds up its own slot alone. Nothing is begun after `for_s` seconds.
    """
    sending.note_database()
    messages, taking = _claimed(until=time.monotonic() + for_s), threading.Lock()

    def work() -> int:
        out = 0
        while True:
            with taking:
                message = next(messages, None)
            if message is None:
                return out
            out += _deliver(message)

    def work_in_a_thread() -> int:
        try:
            return work()
        finally:
            carriers.close()
            connection.close()

    beside = settings.OUTBOX_SLOTS - 1
    if not beside:
        return work()
    with ThreadPoolExecutor(beside) as pool:
        # In the sweep's context: what they do is its doing, to the trail and the log as well.
        others = [pool.submit(copy_context().run, work_in_a_thread) for _ in range(beside)]
        return work() + sum(other.result() for other in others)


def _claimed(*, until: float) -> Iterator[OutboxMessage]:
    """Claim due messages, no more at a time than are sent at once."""
    slots = settings.OUTBOX_SLOTS
    while time.monotonic() < until and not sending.paused():
        # Several senders look at the same rows: each takes some by chance.
        found = due(limit=4 * slots)
        if not found:
            return
        taken = sorted(CHANCE.sample(found, min(slots, len(found))))
        for practice_id, rows in groupby(taken, key=itemgetter(0)):
            yield from claim(practice_id=practice_id, message_ids=[row[1] for row in rows])


def _deliver(message: OutboxMessage) -> bool:
    """Send a claimed message and write down how it ended; True where it is out.

    What goes wrong is tried again, later each time, up to eight times within 24 hours.
    """
    try:
        rendered = _render(message)
        if message.lease_until and message.lease_until - timezone.now() < SENDING_TAKES:
            return _settle(message, state=State.PENDING) and False
        carriers.send(message, rendered)
    except NothingToSend:
        _let_go(message)
    except _NoTurn:
        _settle(message, state=State.PENDING, not_before=timezone.now() + TURN_AGAIN)
    except NotYet as later:
        _settle(message, state=State.PENDING, not_before=later.until, due_at=later.until)
    except MaybeSent:
        # Sent again once, with the same link and Message-ID: a second copy does no harm.
        _settle(
            message,
            state=State.UNCERTAIN,
            doubts=message.doubts + 1,
            doubted_at=message.taken_at,
            channel=rendered.channel,
            not_before=message.taken_at + OutboxMessage.HOLD,
            error=MaybeSent.__name__,
        )
        _note_out(message, rendered)
    except Unreachable as why:
        _give_up(message, rendered.channel, why)
    except Exception as error:  # noqa: BLE001 - one bad message must not hold up the others
        _put_off(message, error)
    else:
        is_out = _settle(
            message,
            state=State.SENT,
            sent_at=message.claimed_at,
            channel=rendered.channel,
            error="",
        )
        _note_out(message, rendered)
        return is_out
    return False


def _note_out(message: OutboxMessage, rendered: RenderedMessage) -> None:
    """Let whoever rendered it note that it is out, or may be."""
    if rendered.note_out is None:
        return
    try:
        with tenancy.practice(message.practice_id):
            rendered.note_out()
    except Exception as error:  # noqa: BLE001 - it is out, whatever could not be noted of it
        logger.warning("Message %s: %s as it was noted", message.id, type(error).__name__)


def _render(message: OutboxMessage) -> RenderedMessage:
    renderer = import_string(settings.OUTBOX_RENDERERS[message.kind])
    try:
        with tenancy.practice(message.practice_id), connection.cursor() as cursor:
            cursor.execute("SELECT set_config('lock_timeout', %s, true)", [str(TURN_WAIT_MS)])
            rendered: RenderedMessage = renderer(message.subject_id)
    except OperationalError as error:
        if isinstance(error.__cause__, LockNotAvailable):
            raise _NoTurn from error
        raise
    if not may_reach(rendered.recipient):
        logger.warning("Message %s: recipient is not in ALLOWED_RECIPIENTS", message.id)
        raise NothingToSend
    return rendered


def may_reach(recipient: str) -> bool:
    """Whether this installation may write to somebody: a copy of production must not.

    Entries of `settings.ALLOWED_RECIPIENTS` are whole addresses, or domains as '@example.org'.
    """
    allowed = settings.ALLOWED_RECIPIENTS
    host = f"@{recipient.rpartition('@')[2]}"
    return allowed is None or bool({recipient.lower(), host.lower()} & set(allowed))


def _let_go(message: OutboxMessage) -> None:
    told = settings.OUTBOX_NOT_SENT.get(message.kind)
    with _as_one(message):
        if told and not message.doubted_at:  # else it may be out
            import_string(told)(message.subject_id)
        _end(message, state=State.CANCELLED)


def _put_off(message: OutboxMessage, error: Exception) -> None:
    attempts = message.attempts + 1
    failed = attempts >= OutboxMessage.MAX_ATTEMPTS
    # 1, 3, 9 … 729 minutes, each up to 30 % longer, so that a recovered server is not stormed:
    # eight tries end within 24 hours.
    delay = timedelta(minutes=3 ** (attempts - 1)) * CHANCE.uniform(1, 1.3)
    _settle(
        message,
        state=State.FAILED if failed else State.PENDING,
        attempts=attempts,
        not_before=timezone.now() + delay,
        error=type(error).__name__,
    )
    logger.warning("Message %s: %s, attempt %s", message.id, type(error).__name__, attempts)


def _give_up(message: OutboxMessage, channel: str, why: Unreachable) -> None:
    outcome = Outcome.REFUSED if isinstance(why, AnsweredStop) else Outcome.BOUNCED
    with _as_one(message):
        tell_unreachable(message, channel=channel, outcome=outcome)
        _end(message, state=State.FAILED, channel=channel, error=type(why).__name__)
        logger.warning("Message %s: its address takes no messages", message.id)


@contextmanager
def _as_one(message: OutboxMessage) -> Iterator[None]:
    """Tell of a message that is not sent, and end it, both or neither: what fails is tried again.

    Telling comes first: it waits for the client's turn (ADR 19), and who has the turn may want the
    message's row.
    """
    try:
        with tenancy.practice(message.practice_id):
            yield
    except Exception as error:  # noqa: BLE001 - as in `_deliver`
        _put_off(message, error)


def _end(message: OutboxMessage, **changes: object) -> None:
    """Write the end of a claim; where another sender has it by now, undo what was told of it."""
    if not _settle(message, **changes):
        transaction.set_rollback(True)


def tell_unreachable(message: OutboxMessage, *, channel: str, outcome: Outcome) -> None:
    """Tell whoever sent a message of this kind what became of it, by the channel that it took."""
    told = settings.OUTBOX_UNREACHABLE.get(message.kind)
    if told:
        import_string(told)(
            message.subject_id,
            channel=channel,
            sent_at=message.taken_at,
            outcome=outcome,
        )


def tell_came_back(message: OutboxMessage) -> None:
    """Tell whoever sent a message of this kind that it reached nobody, once that is noted."""
    told = settings.OUTBOX_CAME_BACK.get(message.kind)
    if told:
        import_string(told)(message.subject_id)


def _settle(message: OutboxMessage, **changes: object) -> bool:
    """Write the end of a claim, unless the lease ran out and another sender has it by now."""
    with tenancy.practice(message.practice_id):
        return bool(
            OutboxMessage.objects.filter(
                id=message.id, state=State.CLAIMED, lease_until=message.lease_until
            ).update(lease_until=None, **changes)
        )
