"""Doors to accounts for Celery."""

from uuid import UUID

from celery import shared_task
from django.core.management import call_command
from django.utils import timezone

from apps.accounts import digest, sign_in_services


@shared_task
def forget_ended_sessions() -> None:
    """Delete the rows of sessions whose time is over, drafts in them included."""
    call_command("clearsessions")


@shared_task
def mail_password_reset(user_id: str) -> None:
    """Mail a link for a new password. If the broker loses it, the person asks again."""
    sign_in_services.mail_password_reset(user_id=UUID(user_id))


@shared_task
def send_digests() -> None:
    """Send the weekly mail where it is Monday morning. Safe to run twice at once."""
    digest.send_digests(at=timezone.now())
