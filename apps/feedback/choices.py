"""What a client decides about messages, behind their own link; their therapist is told at once."""

from django.db import transaction

from apps.clients.models import Client, ContactChannel
from apps.clients.services import resume_channel, stop_channel, wait_for_turn
from apps.feedback.lifecycle import revoke_links, stop_messages, take_silence_back
from apps.feedback.models import FeedbackRequest

Reason = ContactChannel.StopReason
STOP = "stop"


def on_offer(client: Client) -> list[ContactChannel]:
    """Recorded ways that the client may choose from: safe, and stopped by nothing but a switch."""
    channels = client.channels.filter(safe_to_contact=True).order_by("kind")
    return list(channels.filter(stop_reason__in=["", Reason.SWITCHED]))


@transaction.atomic
def choose(*, client: Client, how: str) -> None:
    """Stop all messages, or have them by one of the recorded ways alone.

    Args:
        how: STOP, or the kind of a channel that is `on_offer`.
    """
    wait_for_turn(id=client.id)
    if how == STOP:
        stop_messages(client=client)
        return
    for channel in on_offer(client):
        if channel.kind == how:
            resume_channel(channel=channel, by=None)
        else:
            stop_channel(channel=channel, why=Reason.SWITCHED, by=None)
    FeedbackRequest.objects.of(client).filter(state=FeedbackRequest.State.OPEN).exclude(
        channel_kind=""
    ).update(channel_kind=how)


@transaction.atomic
def not_for_me(*, asked: FeedbackRequest, way: str) -> None:
    """Stop the channel that reached somebody else, and end every link that went out.

    Whoever got the message learns nothing by it: their link is unknown from then on. No answer to
    the form that they were sent was no silence of the client's.
    """
    client = asked.therapy_session.treatment.client
    wait_for_turn(id=client.id)
    take_silence_back(asked.id)
    for channel in client.channels.filter(kind=way):
        stop_channel(channel=channel, why=Reason.NOT_MINE, by=None)
    revoke_links(client=client, by=None)
