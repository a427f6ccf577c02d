"""Doors for Celery: they call a service."""

from celery import shared_task
from django.utils import timezone

from apps.feedback.models import FeedbackRequest
from apps.feedback.services import expire_request


@shared_task
def expire_feedback_requests() -> None:
    """Close every request whose time is over. Safe to run twice at once."""
    run_out = FeedbackRequest.objects.run_out(at=timezone.now())
    for request_id in run_out.values_list("id", flat=True):
        expire_request(request_id=request_id)
