"""What providers and gateways report later: a message came back, or its reader wants none."""

from uuid import UUID

from django.db.models import Q
from django.db.models.functions import Coalesce

from apps.core import outbox, tenancy
from apps.core.models import OutboxMessage
from apps.core.outbox import Outcome

State = OutboxMessage.State
UNWANTED = "Unwanted"


def note(*, practice_id: UUID, message_id: UUID, outcome: Outcome, channel: str) -> bool:
    """Take a report on one message; True where it changed something.

    Reports come repeated, in any order, and before the sender has noted that the message is out,
    and by which `channel`: who reports knows it. Of several bounces the first counts; a person's
    no counts whatever was known before. `DELIVERED` ends a doubt. What was in doubt may be out,
    whatever became of its second try. The caller has checked who reports.
    """
    with tenancy.practice(practice_id):
        rows = OutboxMessage.objects.filter(id=message_id)
        in_doubt = Q(doubted_at__isnull=False) & ~Q(state=State.BOUNCED)
        if outcome == Outcome.DELIVERED:
            over = [State.CLAIMED, State.SENT]
            held = rows.filter(Q(state=State.UNCERTAIN) | in_doubt & ~Q(state__in=over))
            return any(held.update(state=State.SENT, sent_at=each.taken_at) for each in held)
        unwanted = outcome == Outcome.COMPLAINED
        known = rows.exclude(error=UNWANTED)
        if not unwanted:
            out = Q(state__in=[State.SENT, State.CLAIMED, State.UNCERTAIN])
            known = known.filter(out | in_doubt)
        message = known.first()
        if message is None:
            return False
        # First: it waits for the client's turn (ADR 19), and who has the turn may want this row.
        outbox.tell_unreachable(message, channel=channel, outcome=outcome)
        known.update(
            state=State.SENT if unwanted else State.BOUNCED,
            channel=channel,
            sent_at=Coalesce("sent_at", message.taken_at),
            lease_until=None,
            error=UNWANTED if unwanted else "",
        )
        if not unwanted:
            outbox.tell_came_back(message)
    return True
