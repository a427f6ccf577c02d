"""Whether messages go out and are answered: counts and times only, no message and nobody's name."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from uuid import UUID

from django.db.models import BooleanField, Count, Exists, Min, OuterRef, Q
from django.db.models.functions import TruncDate
from django.utils import timezone
from django.utils.translation import gettext as _

from apps.accounts.models import Membership
from apps.clients.models import ContactChannel, Treatment
from apps.core import sending
from apps.core.models import OutboxMessage, OutboxQuerySet
from apps.dashboard.message_bars import Bars, Day, bars
from apps.dashboard.selectors import words
from apps.feedback.models import KIND, REMINDER, FeedbackRequest

COUNTED_DAYS = 7
DRAWN_DAYS = 14
State = OutboxMessage.State
# What a row of the outbox is, and whether its request was answered.
OUT = Q(state__in=[State.SENT, State.BOUNCED])
UNDELIVERED = Q(state__in=[State.FAILED, State.BOUNCED])
ANSWERED = Q(is_answered=True, state=State.SENT)


@dataclass(frozen=True)
class Banner:
    """What everybody must know of sending: that it rests, or lags. Times in words, or ''."""

    paused: bool
    why: str
    since: str
    waiting: int


@dataclass(frozen=True)
class Delivery:
    """Messages of one practice; counts of 7 days, `due` and `later` now, `oldest_due` in words."""

    due: int
    later: int
    sent: int
    undelivered: int
    oldest_due: str


@dataclass(frozen=True)
class ChannelRow:
    """How one way of reaching clients did in 7 days; reminders are counted apart."""

    name: str
    due: int
    sent: int
    undelivered: int
    answered: int


@dataclass(frozen=True)
class DeliveryPage:
    """`delivered` is what went out and did not come back; `waited` how long the oldest waits."""

    banner: Banner | None
    delivery: Delivery
    waited: str
    delivered: int
    answered: int
    channels: tuple[ChannelRow, ...]
    bars: Bars


def banner(messages: OutboxQuerySet, *, at: datetime, today: date) -> Banner | None:
    """What to say of `messages` above the page; None where they go out in time. Three queries.

    A therapist is told of their own clients' alone: when others are due tells when colleagues work.
    """
    found = messages.waiting(at=at).aggregate(count=Count("pk"), since=Min("due_at"))
    pause = sending.paused()
    if pause:
        since = words.clock_or_moment(pause.since, today) if pause.since else ""
        return Banner(True, pause.why, since, found["count"])
    if found["since"] and at - found["since"] > OutboxMessage.LATE_AFTER:
        return Banner(False, "", words.clock_or_moment(found["since"], today), found["count"])
    return None


def delivery(messages: OutboxQuerySet, *, at: datetime, today: date) -> Delivery:
    """What is due now, what waits for its time, and what went out or did not in 7 days."""
    since = at - timedelta(days=COUNTED_DAYS)
    counts = messages.aggregate(
        due=Count("pk", filter=Q(state__in=OutboxMessage.NOT_OUT, due_at__lte=at)),
        later=Count("pk", filter=Q(state=State.PENDING, due_at__gt=at)),
        sent=Count("pk", filter=OUT & Q(sent_at__gte=since)),
        undelivered=Count("pk", filter=UNDELIVERED & Q(due_at__gte=since)),
        oldest=Min("due_at", filter=Q(state__in=OutboxMessage.NOT_OUT, due_at__lte=at)),
    )
    oldest = counts.pop("oldest")
    return Delivery(**counts, oldest_due=words.clock_or_moment(oldest, today) if oldest else "")


def of_the_practice(practice_id: UUID) -> OutboxQuerySet:
    """All messages to clients of a practice."""
    return OutboxMessage.objects.filter(practice_id=practice_id, kind__in=[KIND, REMINDER])


def of_own_clients(membership: Membership) -> OutboxQuerySet:
    """Messages to the clients whom the member treats."""
    treatments = Treatment.objects.conducted_by(membership)
    requests = FeedbackRequest.objects.filter(therapy_session__treatment__in=treatments)
    return of_the_practice(membership.practice_id).filter(subject_id__in=requests.values("id"))


def delivery_page(messages: OutboxQuerySet, *, at: datetime, today: date) -> DeliveryPage:
    """Compose the page from `messages` in six queries."""
    answered = FeedbackRequest.objects.filter(
        id=OuterRef("subject_id"), state=FeedbackRequest.State.ANSWERED
    )
    messages = messages.annotate(is_answered=Exists(answered, output_field=BooleanField()))
    forms = messages.filter(kind=KIND)
    since = at - timedelta(days=COUNTED_DAYS)
    seen = forms.filter(sent_at__gte=since).aggregate(
        delivered=Count("pk", filter=Q(state=State.SENT)), answered=Count("pk", filter=ANSWERED)
    )
    now = delivery(messages, at=at, today=today)
    oldest = messages.waiting(at=at).aggregate(since=Min("due_at"))["since"]
    return DeliveryPage(
        banner=banner(messages, at=at, today=today),
        delivery=now,
        waited=_duration(at - oldest) if oldest else "",
        channels=_channels(messages, since=since, at=at),
        bars=_bars(forms, today=today, is_paused=sending.paused() is not None),
        **seen,
    )


def _channels(messages: OutboxQuerySet, *, since: datetime, at: datetime) -> tuple[ChannelRow, ...]:
    counted = {
        (row["kind"], row["channel"]): row
        for row in messages.values("kind", "channel").annotate(
            due=Count("pk", filter=Q(state__in=OutboxMessage.NOT_OUT, due_at__lte=at)),
            out=Count("pk", filter=OUT & Q(sent_at__gte=since)),
            undelivered=Count("pk", filter=UNDELIVERED & Q(due_at__gte=since)),
            answered=Count("pk", filter=ANSWERED & Q(sent_at__gte=since)),
        )
    }
    rows = [
        (str(kind.label), [counted.get((KIND, kind.value))])
        for kind in (ContactChannel.Kind.TEXT, ContactChannel.Kind.EMAIL)
    ]
    rows.append((_("Reminders"), [row for key, row in counted.items() if key[0] == REMINDER]))
    return tuple(
        ChannelRow(
            name,
            *(
                sum(row[column] for row in found if row)
                for column in ("due", "out", "undelivered", "answered")
            ),
        )
        for name, found in rows
    )


def _bars(forms: OutboxQuerySet, *, today: date, is_paused: bool) -> Bars:
    first = today - timedelta(days=DRAWN_DAYS - 1)
    zone = timezone.get_current_timezone()
    counted = {
        row["day"]: row
        for row in forms.annotate(day=TruncDate("due_at", tzinfo=zone))
        .filter(day__gte=first, day__lte=today)
        .values("day")
        .annotate(
            answered=Count("pk", filter=ANSWERED),
            sent=Count("pk", filter=Q(state=State.SENT)),
            undelivered=Count("pk", filter=UNDELIVERED),
        )
    }
    days = []
    for n in range(DRAWN_DAYS):
        day = first + timedelta(days=n)
        row = counted.get(day, {"answered": 0, "sent": 0, "undelivered": 0})
        label = words.short_day(day, today) if n in (0, DRAWN_DAYS - 1) else str(day.day)
        days.append(
            Day(
                label=label,
                name=words.short_day(day, today),
                answered=row["answered"],
                open=row["sent"] - row["answered"],
                undelivered=row["undelivered"],
            )
        )
    return bars(days, is_paused=is_paused)


def _duration(waited: timedelta) -> str:
    minutes = int(waited.total_seconds()) // 60
    if minutes < 60:
        return _("%(minutes)d min") % {"minutes": minutes}
    return _("%(hours)d h %(minutes)d min") % {"hours": minutes // 60, "minutes": minutes % 60}
