"""What a message to a client says: neutral words, a link, nothing else."""

from datetime import datetime, timedelta
from functools import partial
from uuid import UUID

from django.conf import settings
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import timezone, translation

from apps.clients.models import ContactChannel
from apps.clients.services import note_reached, wait_for_turn
from apps.core.models import OutboxMessage
from apps.core.outbox import NothingToSend, NotYet, RenderedMessage
from apps.feedback import timing
from apps.feedback.asking import usable_channels, why_not_agreed
from apps.feedback.models import KIND, FeedbackRequest
from apps.feedback.tokens import make_token


def link_to(request: FeedbackRequest, *, way: str = "email", page: str = "feedback_form") -> str:
    """The address of one of the client's pages; whoever holds it can answer, once."""
    return settings.BASE_URL + reverse(page, args=[token_of(request, way=way)])


def token_of(request: FeedbackRequest, *, way: str = "email") -> str:
    """The token of a link that goes by `way` to where that leads now."""
    mailbox = request.mailboxes().get(way, b"")
    return make_token(request.id, generation=request.generation, way=way, mailbox=mailbox)


def render_feedback_request(subject_id: UUID) -> RenderedMessage:
    """The message that asks for feedback, in the client's language.

    Raises:
        NothingToSend: the request is answered, withdrawn or over, the treatment has ended, the
            client may no longer be asked, nobody independent is named, or the channel is no longer
            recorded as safe or has become a colleague's.
        NotYet: it is night where the client is.
    """
    request = _open_request(subject_id)
    channels = usable_channels(request.therapy_session.treatment.client)
    channel = next((each for each in channels if each.kind == request.channel_kind), None)
    if channel is None:
        raise NothingToSend
    return _render(request, channel)


def render_feedback_reminder(subject_id: UUID) -> RenderedMessage:
    """The one reminder: on the other channel where there is one, else on the same.

    Raises:
        NothingToSend, NotYet: as above, and a day must lie between the message and its reminder
            also where the message was late, or may be out for all that is known.
    """
    request = _open_request(subject_id)
    channels = usable_channels(request.therapy_session.treatment.client)
    # False sorts first: another channel before the one that was used.
    channels.sort(key=lambda each: each.kind == request.channel_kind)
    if not channels:
        raise NothingToSend
    first = OutboxMessage.objects.get(kind=KIND, subject_id=request.id)
    is_to_come = first.state in OutboxMessage.NOT_OUT  # perhaps once more
    out_since = timezone.now() if is_to_come else first.sent_at or first.doubted_at
    if out_since:
        _wait_until(request, out_since + settings.FEEDBACK_REMIND_AFTER)
    return _render(request, channels[0])


def _open_request(request_id: UUID) -> FeedbackRequest:
    # So that the address and the mailbox its link speaks for are those of one moment.
    wait_for_turn(treatments__therapy_sessions__feedback_requests=request_id)
    request = FeedbackRequest.objects.select_related(
        "practice", "therapy_session__treatment__client", "therapy_session__treatment__therapist"
    ).get(id=request_id)
    now = timezone.now()
    treatment, client = request.therapy_session.treatment, request.therapy_session.treatment.client
    agreed = not why_not_agreed(client, on=timezone.localdate(now)) and not client.pause_review_on
    may_ask = agreed and request.practice.has_independent_contact
    if not (request.is_open(at=now) and may_ask) or treatment.has_ended:
        raise NothingToSend
    _wait_until(request, now)
    return request


def _wait_until(request: FeedbackRequest, moment: datetime) -> None:
    """Go on only if `moment` is over and it is no quiet hour; retries come at any time."""
    quiet, zone = settings.FEEDBACK_QUIET_HOURS, request.therapy_session.treatment.client.time_zone
    moment = timing.due_at(moment, time_zone=zone, delay=timedelta(0), quiet_hours=quiet)
    if moment >= request.expires_at:
        raise NothingToSend
    if moment > timezone.now():
        raise NotYet(moment)


def _render(request: FeedbackRequest, channel: ContactChannel) -> RenderedMessage:
    client = request.therapy_session.treatment.client
    with translation.override(client.language):
        link = link_to(request, way=channel.kind)
        context = {"practice": request.practice, "link": link}
        return RenderedMessage(
            recipient=channel.address,
            subject=render_to_string("messages/feedback_request_subject.txt", context).strip(),
            body=render_to_string("messages/feedback_request.txt", context),
            sender_name=request.practice.sender,
            channel=channel.kind,
            language=client.language,
            stop_url=link_to(request, way=channel.kind, page="feedback_stop"),
            note_out=partial(note_reached, channel),
        )
