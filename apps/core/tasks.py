"""Doors for Celery: they take ids and call a service."""

import logging
from uuid import UUID

from celery import shared_task
from django.conf import settings
from django.db import DatabaseError
from django.utils import timezone
from django.utils.module_loading import import_string

from apps.core import outbox, sealer, tenancy

logger = logging.getLogger(__name__)


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
    """Chain what every practice wrote since the last time. Safe to run twice at once.

    One practice's broken chain stops neither the others' nor anybody's watchers, and a watcher's
    error nothing else.
    """
    for practice_id in sealer.practices_to_seal():
        try:
            sealer.seal(practice_id)
        except DatabaseError:
            logger.exception("Practice %s was not sealed; run verify_audit", practice_id)
        with tenancy.one_of_many(practice_id):
            for watcher in settings.AUDIT_WATCHERS:
                import_string(watcher)(practice_id, at=timezone.now())
