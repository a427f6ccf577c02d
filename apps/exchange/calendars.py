"""One's own sessions as an iCalendar file (RFC 5545), for the calendar on a phone or desk.

The file leaves the house, for programs and servers that Rapport knows nothing of: it holds codes
and times, nothing else. Its address is a secret of its own, and can be ended at any time.
"""

import secrets
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as Base64Error
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import F
from django.utils import timezone

from apps.accounts.models import Membership
from apps.accounts.permissions import Permission, permissions_of
from apps.core import audit
from apps.exchange.models import CalendarFeed
from apps.therapy_sessions.models import TherapySession

SECRET_BYTES = 24
BACK, AHEAD = timedelta(days=30), timedelta(days=366)


@transaction.atomic
def open_calendar(*, by: Membership) -> str:
    """Make the address of the member's calendar anew; an earlier one ends.

    It ends with the sessions of `by.user` as handed in, also where those have ended meanwhile.

    Returns:
        Its token: the practice's id and a secret, 54 characters. It is stored nowhere.
    """
    secret = secrets.token_bytes(SECRET_BYTES)
    feed, _created = CalendarFeed.objects.update_or_create(
        membership=by,
        defaults={
            "practice_id": by.practice_id,
            "digest": _digest(secret),
            "sessions_ended": by.user.sessions_ended if by.user else 0,
            "created_at": timezone.now(),
        },
    )
    audit.record("open calendar", feed, by=by)
    return _spelled(by.practice_id.bytes + secret)


@transaction.atomic
def close_calendar(*, by: Membership) -> None:
    """End the address of the member's calendar. Twice equals once."""
    for feed in CalendarFeed.objects.filter(membership=by):
        audit.record("close calendar", feed, by=by)
        feed.delete()


def feed_of(member: Membership) -> CalendarFeed | None:
    """The member's own address, as far as it is kept."""
    return CalendarFeed.objects.filter(membership=member).first()


def read_token(token: str) -> tuple[UUID, str] | None:
    """The practice that a token speaks of and the digest of its secret; None for no token.

    A token has one spelling, which its reads are counted by.
    """
    try:
        raw = urlsafe_b64decode(token.encode("ascii") + b"=" * (-len(token) % 4))
    except (Base64Error, UnicodeEncodeError):
        return None
    if len(raw) != 16 + SECRET_BYTES or _spelled(raw) != token:
        return None
    return UUID(bytes=raw[:16]), _digest(raw[16:])


def owner(digest: str) -> Membership | None:
    """Whose calendar it is, as long as they have a caseload; within their practice only.

    An address ends with the person's sessions: at a new password or second step, other roles, or
    when their account is closed.
    """
    feed = (
        CalendarFeed.objects.select_related("membership__practice", "membership__user")
        .filter(
            digest=digest,
            membership__user__is_active=True,
            membership__user__sessions_ended=F("sessions_ended"),
        )
        .first()
    )
    if feed is None or Permission.VIEW_CASELOAD not in permissions_of(feed.membership):
        return None
    return feed.membership


def sessions_in_calendar(member: Membership, *, at: datetime) -> list[Any]:
    """The member's own sessions, a month back and a year ahead, without those called off."""
    called_off = [
        TherapySession.Attendance.LATE_CANCELLATION,
        TherapySession.Attendance.THERAPIST_CANCELLED,
    ]
    return list(
        TherapySession.objects.conducted_by(member)
        .filter(starts_at__gte=at - BACK, starts_at__lte=at + AHEAD)
        .exclude(attendance__in=called_off)
        .select_related("treatment__client")
        .order_by("starts_at", "id")
    )


def calendar_file(sessions: Iterable[Any], *, at: datetime) -> bytes:
    """The sessions as an iCalendar file. Times are UTC: the reader's program shows its own."""
    from icalendar import Calendar, Event

    calendar = Calendar()
    calendar.add("prodid", "-//Rapport//Diary//EN")
    calendar.add("version", "2.0")
    calendar.add("x-wr-calname", "Rapport")
    calendar.add("refresh-interval", timedelta(hours=1), parameters={"VALUE": "DURATION"})
    for session in sessions:
        event = Event()
        event.add("uid", str(session.id))
        event.add("dtstamp", at)
        event.add("dtstart", session.starts_at.astimezone(UTC))
        event.add("dtend", session.ends_at.astimezone(UTC))
        event.add("summary", session.treatment.client.code)
        event.add("class", "PRIVATE")
        calendar.add_component(event)
    return bytes(calendar.to_ical())


def _spelled(raw: bytes) -> str:
    return urlsafe_b64encode(raw).rstrip(b"=").decode()


def _digest(secret: bytes) -> str:
    return sha256(secret).hexdigest()
