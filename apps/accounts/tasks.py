"""Doors to accounts for Celery."""

from celery import shared_task
from django.core.management import call_command


@shared_task
def forget_ended_sessions() -> None:
    """Delete the rows of sessions whose time is over, drafts in them included."""
    call_command("clearsessions")
