"""What providers and gateways report later: a message came back, or its reader wants none."""

from enum import StrEnum
from uuid import UUID

from django.db.models.functions import Coalesce

from apps.core import outbox, tenancy
from apps.core.models import OutboxMessage

State = OutboxMessage.State
UNWANTED = "Unwanted"


class Outcome(StrEnum):
    DELIVERED = "delivered"
    BOUNCED = "bounced"
    LOST = "lost"  # it was given up on the way: the address may take the next one
    REFUSED = "refused"  # it came back, as its reader had said no before
    COMPLAINED = "complained"  # it arrived, and its reader says no


def note(*, practice_id: UUID, message_id: UUID, outcome: Outcome, channel: str) -> bool:
    """Take a report on one message; True where it changed something.

    Reports come repeated, in any order, and before the sender has noted that the message is out,
    and by which `channel`: who reports knows it. Of several bounces the first counts; a person's
    no counts whatever was known before. `DELIVERED` ends a doubt. The caller has checked who
    reports.
    """
    with tenancy.practice(practice_id):
        rows = OutboxMessage.objects.filter(id=message_id)
        if outcome == Outcome.DELIVERED:
            held = rows.filter(state=State.UNCERTAIN)
            return any(held.update(state=State.SENT, sent_at=each.taken_at) for each in held)
        unwanted = outcome in {Outcome.REFUSED, Outcome.COMPLAINED}
        known = rows.exclude(error=UNWANTED)
        if not unwanted:
            known = known.filter(state__in=[State.SENT, State.CLAIMED, State.UNCERTAIN])
        message = known.first()
        if message is None:
            return False
        # First: it waits for the client's turn (ADR 19), and who has the turn may want this row.
        stopped = "" if outcome == Outcome.LOST else channel
        outbox.tell_unreachable(message, channel=stopped, unwanted=unwanted)
        known.update(
            state=State.SENT if outcome == Outcome.COMPLAINED else State.BOUNCED,
            channel=channel,
            sent_at=Coalesce("sent_at", message.taken_at),
            lease_until=None,
            error=UNWANTED if unwanted else "",
        )
        if outcome != Outcome.COMPLAINED:
            outbox.tell_came_back(message)
    return True
