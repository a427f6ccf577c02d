"""Doors for Celery: they call a service."""

from celery import shared_task

from apps.feedback.lifecycle import expire_requests


@shared_task
def expire_feedback_requests() -> None:
    """Close every request whose time is over. Safe to run twice at once."""
    expire_requests()
