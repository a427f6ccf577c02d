"""Doors for Celery: they take ids and call a service."""

from uuid import UUID

from celery import shared_task

from apps.ruptures import rule_replay, transitions


@shared_task
def move_episodes_on() -> None:
    """Note waiting times and ends that were reached by now. Safe to run twice at once."""
    transitions.move_episodes_on()


@shared_task(soft_time_limit=240, time_limit=270)
def replay_rule_change(practice_id: str, change_id: str) -> None:
    """Replay a proposed rule over the past. A second time it changes nothing."""
    rule_replay.replay_change(practice_id=UUID(practice_id), change_id=UUID(change_id))
