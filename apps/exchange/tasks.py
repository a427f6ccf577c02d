"""Doors for Celery: they call a service."""

from celery import shared_task
from django.utils import timezone

from apps.exchange import two_people


@shared_task
def propose_erasures() -> None:
    """Propose the erasure of what was kept long enough. Safe to run twice at once."""
    two_people.propose_in_every_practice(at=timezone.now())
