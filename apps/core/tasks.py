"""Doors for Celery: they take ids and call a service."""

from uuid import UUID

from celery import shared_task

from apps.core import outbox, sealer


@shared_task
def deliver_message(practice_id: str, message_id: str) -> None:
    """The doorbell: send this message if it is still due and nobody else has it."""
    outbox.deliver(practice_id=UUID(practice_id), message_id=UUID(message_id))


@shared_task
def deliver_due_messages() -> None:
    """The sweep: send all that is due. Safe to run twice at once."""
    outbox.deliver_due()


@shared_task
def seal_audit_trail() -> None:
    """Chain what every practice wrote since the last time. Safe to run twice at once."""
    for practice_id in sealer.practices_to_seal():
        sealer.seal(practice_id)
