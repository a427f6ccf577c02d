"""Whether a client may be asked for feedback now; reads only."""

from datetime import date, datetime, timedelta

from django.conf import settings
from django.db.models import Exists, OuterRef, Q
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from apps.clients.models import Client, ContactChannel
from apps.clients.services import reaches_staff
from apps.core.models import OutboxMessage
from apps.feedback import timing
from apps.feedback.models import MESSAGES, FeedbackRequest
from apps.feedback.tokens import ROOM

CAP_DAYS = timedelta(days=30)
NOT_SAFE = {
    "": gettext_lazy("No email address or phone number is recorded as safe to contact."),
    "email": gettext_lazy("No email address is recorded as safe to contact."),
    "text": gettext_lazy("No phone number is recorded as safe to contact."),
}
STAFF = gettext_lazy(
    "The address or number on record belongs to somebody at the practice by now. Record the"
    " client’s own."
)
WAYS = (*NOT_SAFE, ROOM)


def timing_rules() -> timing.Rules:
    """The practice-wide rules of asking, as the settings have them."""
    return timing.Rules(
        delay=settings.FEEDBACK_DELAY,
        remind_after=settings.FEEDBACK_REMIND_AFTER,
        open_for=settings.FEEDBACK_OPEN_FOR,
        quiet_hours=settings.FEEDBACK_QUIET_HOURS,
    )


def why_not_ask(client: Client, *, way: str = "") -> list[str]:
    """What is missing before this client may be asked by one of WAYS; empty: nothing."""
    times = requests_in_30_days(client, at=timezone.now())
    return why_not_ask_by_way(client, safe=list(client.channels.usable()), times=times)[way]


def why_not_ask_by_way(
    client: Client, *, safe: list[ContactChannel], times: int
) -> dict[str, list[str]]:
    """What is missing for each of WAYS; "" stands for any message. Three queries.

    Args:
        safe: the client's usable channels. Those that lead to staff count as missing.
        times: `requests_in_30_days`.
    """
    now = timezone.now()
    today = timezone.localdate(now)
    rests = _why_it_rests(client, times=times)
    missing = {
        way: [*rests, *why_not_agreed(client, on=today, by_message=way != ROOM)] for way in WAYS
    }
    is_open = FeedbackRequest.objects.of(client).awaited(at=now).exists()
    usable = {channel.kind for channel in safe if not reaches_staff(channel, client.practice)}
    taken = {channel.kind for channel in safe} - usable
    for way, lacking in NOT_SAFE.items():
        if is_open:
            missing[way].append(
                _("A form of this client is still open. Another follows when it has ended.")
            )
        if not (way in usable if way else usable):
            missing[way].append(str(STAFF if (way in taken if way else taken) else lacking))
    return missing


def usable_channels(client: Client) -> list[ContactChannel]:
    """Ways that a message may go out by now: safe, not stopped, and nobody's of the practice."""
    channels = client.channels.usable().order_by("kind")
    return [channel for channel in channels if not reaches_staff(channel, client.practice)]


def _why_it_rests(client: Client, *, times: int) -> list[str]:
    """What stands against asking, whatever the client agreed to."""
    reasons = []
    if not client.practice.has_independent_contact:
        reasons.append(
            _("The practice has not recorded whom clients can turn to beside their therapist.")
        )
    if client.pause_review_on:
        reasons.append(
            # Without the reason: a refusal may wait in the session, which is not encrypted.
            _("Asking is paused, to be reviewed on %(day)s; the reason is on the client’s page.")
            % {"day": date_format(client.pause_review_on, "j M Y")}
        )
    most = client.practice.most_requests_in_30_days
    if times >= most:
        reasons.append(
            ngettext(
                "The client was asked once in the last 30 days, as often as the practice allows.",
                "The client was asked %(most)s times in the last 30 days, as often as the practice"
                " allows.",
                most,
            )
            % {"most": most}
        )
    return reasons


def why_not_agreed(client: Client, *, on: date, by_message: bool = True) -> list[str]:
    """What is missing of the client's own consent on the day `on`."""
    if client.restricted_at:
        return [_("Processing of this client’s data is restricted.")]
    if not client.discussed_on:
        return [_("Feedback has not been discussed with the client yet.")]
    if by_message and client.consent == Client.Consent.IN_ROOM:
        return [_("The client agreed to be asked in the room only, not by message.")]
    if client.consent not in {Client.Consent.AGREED, Client.Consent.IN_ROOM}:
        return [_("The client has not agreed to be asked.")]
    if client.consent_has_lapsed(on=on):
        day = date_format(client.discussed_on, "j M Y")
        return [
            _("The consent of %(day)s is older than 180 days: ask the client again.") % {"day": day}
        ]
    return []


def asked_of_most(client: Client, *, times: int) -> str:
    """How often the client was asked (`requests_in_30_days`), beside how often they may be, such as
    '3 of at most 5'."""
    return _("%(times)s of at most %(most)s") % {
        "times": times,
        "most": client.practice.most_requests_in_30_days,
    }


def requests_in_30_days(client: Client, *, at: datetime) -> int:
    """How often the client was asked in the 30 days before `at`.

    What was withdrawn, or offered in the room and not taken up, does not count, unless a message of
    it may be out.
    """
    states = FeedbackRequest.State
    asked = FeedbackRequest.objects.of(client).filter(due_at__gt=at - CAP_DAYS)
    came_to_nothing = Q(state=states.CANCELLED) | Q(channel_kind="", state=states.EXPIRED)
    may_be_out = OutboxMessage.objects.may_be_out().filter(
        practice_id=client.practice_id, kind__in=MESSAGES, subject_id=OuterRef("id")
    )
    return asked.exclude(came_to_nothing & ~Exists(may_be_out)).count()
