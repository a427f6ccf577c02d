"""Doors to the outbox for Celery: they take ids and call a service."""

from uuid import UUID

from celery import shared_task

from apps.core import outbox


@shared_task
def deliver_message(message_id: str) -> None:
    """The doorbell: send this message if it is still due and nobody else has it."""
    for message in outbox.claim(limit=1, message_id=UUID(message_id)):
        outbox.deliver(message)


@shared_task
def deliver_due_messages() -> None:
    """The sweep: send all that is due. Safe to run twice at once."""
    outbox.deliver_due()
