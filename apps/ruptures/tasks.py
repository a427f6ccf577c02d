"""Doors for Celery: they take ids and call a service."""

from celery import shared_task

from apps.ruptures import transitions


@shared_task
def move_episodes_on() -> None:
    """Note waiting times and ends that were reached by now. Safe to run twice at once."""
    transitions.move_episodes_on()
