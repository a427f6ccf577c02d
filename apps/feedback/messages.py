"""What a message to a client says: neutral words, a link, nothing else."""

from uuid import UUID

from django.conf import settings
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import timezone, translation

from apps.core.outbox import NothingToSend, RenderedMessage
from apps.feedback.models import FeedbackRequest
from apps.feedback.tokens import make_token


def link_to(request: FeedbackRequest) -> str:
    """The address the client answers at; whoever holds it can answer, once."""
    token = make_token(request.id, generation=request.generation)
    return settings.BASE_URL + reverse("feedback_form", args=[token])


def render_feedback_request(subject_id: UUID) -> RenderedMessage:
    """The message that asks for feedback, in the client's language.

    Raises:
        NothingToSend: the request is answered, withdrawn or over, or its channel is no longer
            recorded as safe.
    """
    request = FeedbackRequest.objects.select_related(
        "practice", "therapy_session__treatment__client"
    ).get(id=subject_id)
    client = request.therapy_session.treatment.client
    channel = client.channels.filter(kind=request.channel_kind, safe_to_contact=True).first()
    is_open = request.state == FeedbackRequest.State.OPEN and timezone.now() < request.expires_at
    if not (is_open and channel and client.consent == client.Consent.AGREED):
        raise NothingToSend
    with translation.override(client.language):
        context = {"practice": request.practice, "link": link_to(request)}
        return RenderedMessage(
            recipient=channel.address,
            subject=render_to_string("messages/feedback_request_subject.txt", context).strip(),
            body=render_to_string("messages/feedback_request.txt", context),
            sender_name=request.practice.sender_name,
        )
