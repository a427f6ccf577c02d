"""What providers and gateways report later: a message came back, or its reader complained."""

from enum import StrEnum
from uuid import UUID

from django.utils import timezone

from apps.core import outbox, tenancy
from apps.core.models import OutboxMessage

State = OutboxMessage.State
COMPLAINED = "Complained"


class Outcome(StrEnum):
    DELIVERED = "delivered"
    BOUNCED = "bounced"
    COMPLAINED = "complained"


def note(*, practice_id: UUID, message_id: UUID, outcome: Outcome) -> bool:
    """Take a report on one message; True where it changed something.

    Reports come repeated, in any order, and before the sender has noted that the message is out:
    of all that say a message must not be followed by others, the first one counts. `DELIVERED`
    ends a doubt. The caller has checked who reports.
    """
    with tenancy.practice(practice_id):
        rows = OutboxMessage.objects.filter(id=message_id)
        if outcome == Outcome.DELIVERED:
            return bool(
                rows.filter(state=State.UNCERTAIN).update(state=State.SENT, sent_at=timezone.now())
            )
        known = rows.exclude(error=COMPLAINED).filter(
            state__in=[State.SENT, State.CLAIMED, State.UNCERTAIN]
        )
        message = known.select_for_update().first()
        if message is None:
            return False
        message.sent_at = message.sent_at or timezone.now()
        message.lease_until = None
        message.state = State.BOUNCED if outcome == Outcome.BOUNCED else State.SENT
        message.error = "" if outcome == Outcome.BOUNCED else COMPLAINED
        message.save(update_fields=["sent_at", "lease_until", "state", "error"])
        outbox.tell_unreachable(message, channel=message.channel)
    return True
