"""Doors to the outbox for Celery: they take ids and call a service."""

from uuid import UUID

from celery import shared_task

from apps.core import outbox


@shared_task
def deliver_message(practice_id: str, message_id: str) -> None:
    """The doorbell: send this message if it is still due and nobody else has it."""
    outbox.deliver(practice_id=UUID(practice_id), message_id=UUID(message_id))


@shared_task
def deliver_due_messages() -> None:
    """The sweep: send all that is due. Safe to run twice at once."""
    outbox.deliver_due()
