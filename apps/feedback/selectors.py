"""Reads for the client's pages (by link) and for the page that logs a session (by caseload)."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import NamedTuple
from uuid import UUID

from django.conf import settings
from django.core.exceptions import PermissionDenied
from django.db.models import Count, Q
from django.http import Http404
from django.shortcuts import get_object_or_404
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from apps.accounts.models import Membership
from apps.alliance.models import AllianceRating
from apps.clients.models import Client, ContactChannel, ReachedMailbox, Treatment
from apps.core.names import first_name
from apps.feedback import timing
from apps.feedback.asking import asked_of_most, requests_in_30_days, why_not_ask_by_way
from apps.feedback.lifecycle import has_fresh_link
from apps.feedback.models import FeedbackRequest
from apps.feedback.tokens import ROOM, read_request_id, way_of
from apps.ruptures.models import RuptureEpisode, Screening
from apps.ruptures.reasons import RATINGS_BEFORE_RANGE
from apps.ruptures.selectors import status
from apps.therapy_sessions.models import (
    TherapySession,
    TherapySessionQuerySet,
    waits_to_be_logged,
)

# A session is mostly logged on its day; the one before a weekend or an illness is offered too.
OFFERED_FOR = timedelta(days=14)


@dataclass(frozen=True)
class Chosen:
    """Whom the page is about, and the planned session it is filled in from, where there is one."""

    treatment: Treatment | None = None
    session: TherapySession | None = None
    # Asked for by its id, not guessed from the clock.
    by_id: bool = False


@dataclass(frozen=True)
class ClientCard:
    """What the therapist may want to know of a client while logging a session."""

    client: Client
    status: str
    facts: tuple[tuple[str, str], ...]
    arranged: tuple[str, ...]
    missing: dict[str, list[str]]
    ask_again: str

    @property
    def before_asking(self) -> list[str]:
        """What is to be mended first; nothing where the client may be asked as they agreed."""
        in_room = self.client.consent == Client.Consent.IN_ROOM
        return self.missing[ROOM if in_room else ""]


class Link(NamedTuple):
    """A genuine link: the request it is for, and the way it went (one of `tokens.WAYS`)."""

    token: str
    asked: FeedbackRequest
    way: str

    @property
    def client(self) -> Client:
        return self.asked.therapy_session.treatment.client

    @property
    def is_open(self) -> bool:
        return self.asked.is_open(at=timezone.now(), in_room=self.way == ROOM)

    @property
    def channel(self) -> ContactChannel | None:
        """Where the link went; None in the room."""
        return self.client.channels.filter(kind=self.way).exclude(address="").first()

    def named_therapist(self) -> str:
        """With whom the session was, where who reads the mailbox that the link went to may be asked
        about one with another therapist too; else ''.

        The first name; all of it where that does not tell them apart. It counts whom messages may
        go to there, or went to, and no treatment but those now and, of whom they went to, those
        that ended lately: of anybody else the reader learns nothing, nor what the client's other
        ways lead to. In the room, too, the therapist sees the page.
        """
        treatment, today = self.asked.therapy_session.treatment, timezone.localdate()
        if (channel := self.channel) is None:
            return ""
        may_go = ContactChannel.objects.beside(channel).usable()
        may_go = may_go.filter(client__consent=Client.Consent.AGREED, client__restricted_at=None)
        went = ReachedMailbox.objects.beside(channel)
        goes_on = Treatment.objects.current(on=today).filter(client__in=may_go.values("client"))
        others = goes_on | Treatment.objects.lately(on=today).filter(
            client__in=went.values("client")
        )
        names = others.exclude(therapist=treatment.therapist_id).values_list(
            "therapist__name", flat=True
        )
        first_names = {first_name(name).casefold() for name in names}
        name = treatment.therapist.name if first_names else ""
        first = first_name(name)
        is_enough = first.casefold() not in first_names
        return first if is_enough else name


def find_link(token: str, *, to_stop: bool = False) -> Link | None:
    """What a genuine link is for, with all that its pages need; else None, as where the channel
    leads to another mailbox by now than the link went to, or a code of the room was kept.

    Args:
        to_stop: for the page that stops messages alone: a message whose link a fresh one took the
            place of stays its reader's way to say no.
    """
    request_id = read_request_id(token)
    if request_id is None:
        return None
    requests = FeedbackRequest.objects.select_related(
        "practice",
        "questionnaire",
        "therapy_session__treatment__client__practice",
        "therapy_session__treatment__therapist__user",
    )
    asked = requests.filter(id=request_id).first()
    if asked is None:
        return None
    for mailboxes in (asked.mailboxes, asked.mailboxes_as_before):
        if way := way_of(token, generation=asked.generation, mailboxes=mailboxes()):
            is_kept = way == ROOM and not asked.was_in_room_lately(at=timezone.now())
            return None if is_kept else Link(token, asked, way)
        if to_stop and asked.generation and has_fresh_link(asked):
            way = way_of(token, generation=asked.generation - 1, mailboxes=mailboxes())
            if way and way != ROOM:
                return Link(token, asked, way)
    return None


def choose_session(
    member: Membership, *, session_id: str = "", client_id: str = "", at: datetime
) -> Chosen:
    """The session that the page starts with.

    Args:
        session_id: a session of the member's own caseload.
        client_id: a client of theirs; the planned session nearest to `at` is offered, up to the
            end of the day. With neither, the latest of all their clients that has ended and is
            not logged, else the one under way: what is still to come cannot be saved as attended.

    Raises:
        Http404: the member may not know of it, or it does not exist.
        PermissionDenied: they may know of the client, but do not treat them.
    """
    sessions = TherapySession.objects.conducted_by(member)
    sessions = sessions.select_related("treatment__client__practice")
    if session_id:
        asked_for = get_object_or_404(sessions, id=_uuid(session_id))
        return Chosen(asked_for.treatment, asked_for, by_id=True)
    treatment = None
    if client_id:
        client = get_object_or_404(Client.objects.visible_to(member), id=_uuid(client_id))
        treatments = Treatment.objects.conducted_by(member).filter(client=client)
        treatment = treatments.select_related("client__practice").order_by("-starts_on").first()
        if treatment is None:
            raise PermissionDenied
    session = _nearest_planned(sessions.planned(), treatment, at=at)
    return Chosen(session.treatment if session else treatment, session)


def _uuid(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError as error:
        raise Http404 from error


def _nearest_planned(
    planned: TherapySessionQuerySet, treatment: Treatment | None, *, at: datetime
) -> TherapySession | None:
    today = timezone.localtime(at).replace(hour=0, minute=0, second=0, microsecond=0)
    planned = planned.filter(starts_at__gte=today - OFFERED_FOR)
    if treatment is None:
        return waits_to_be_logged(planned.filter(starts_at__lte=at).order_by("id"), at=at)
    planned = planned.filter(treatment=treatment, starts_at__lt=today + timedelta(days=1))
    # One that has begun comes before one that has not: sessions are logged afterwards.
    return min(
        planned,
        key=lambda session: (session.starts_at > at, abs(session.starts_at - at)),
        default=None,
    )


def client_card(treatment: Treatment, *, starts_at: datetime, at: datetime) -> ClientCard:
    """Facts of one client at `at`, for a session that starts at `starts_at`; a dozen queries."""
    client = treatment.client
    sessions = TherapySession.objects.filter(treatment=treatment)
    counts = sessions.aggregate(
        before=Count("id", filter=~Q(attendance="") & Q(starts_at__lt=starts_at)),
        asked=Count("id", filter=Q(attendance="attended", asked=True)),
    )
    answered = AllianceRating.objects.used().filter(therapy_session__treatment=treatment).count()
    screenings = Screening.objects.current().filter(treatment=treatment)
    newest = screenings.order_by("-therapy_session__starts_at").first()
    episodes = RuptureEpisode.objects.filter(treatment=treatment)
    following = sessions.planned().filter(starts_at__gt=max(starts_at, at)).order_by("starts_at")
    next_session = following.first()
    facts = (
        (_("This session"), _("number %(number)s") % {"number": counts["before"] + 1}),
        (_("Latest rating"), _latest_rating(treatment)),
        (
            _("Forms answered"),
            _("%(answered)s of %(asked)s asked")
            % {"answered": answered, "asked": max(answered, counts["asked"])}
            if answered or counts["asked"]
            else _("none asked yet"),
        ),
        (
            _("Next session"),
            date_format(timezone.localtime(next_session.starts_at), "D j M, H:i")
            if next_session
            else _("none planned"),
        ),
    )
    safe = list(client.channels.usable().order_by("kind"))
    times = requests_in_30_days(client, at=at)
    return ClientCard(
        client=client,
        status=status(
            episode=episodes.open().first(),
            newest=newest,
            last_closed=episodes.exclude(outcome="").order_by("-outcome_at").first(),
            was_asked=bool(answered or counts["asked"]),
            at=at,
        ),
        facts=facts,
        arranged=_arranged(client, safe, times=times),
        missing=why_not_ask_by_way(client, safe=safe, times=times),
        ask_again=_ask_again(client, timezone.localdate(at)),
    )


def _latest_rating(treatment: Treatment) -> str:
    rated = (
        Screening.objects.current()
        .filter(treatment=treatment, pomp__isnull=False)
        .order_by("-therapy_session__starts_at")
        .first()
    )
    if rated is None or rated.pomp is None:
        return _("none yet")
    if rated.ratings_before < RATINGS_BEFORE_RANGE:
        return str(round(rated.pomp))
    return _("%(rating)s, usually %(low)s–%(high)s") % {
        "rating": round(rated.pomp),
        "low": max(0, round(rated.low)),
        "high": min(100, round(rated.high)),
    }


def _arranged(client: Client, safe: list[ContactChannel], *, times: int) -> tuple[str, ...]:
    arranged = []
    if client.discussed_on and client.consent == Client.Consent.AGREED:
        day = date_format(client.discussed_on, "j M Y")
        arranged.append(_("Discussed with the client on %(day)s, consent recorded") % {"day": day})
    if safe:
        kinds = ", ".join(channel.get_kind_display() for channel in safe).lower()
        arranged.append(_("Safe to contact: %(channels)s") % {"channels": kinds})
    arranged.append(_("Asked %(times)s in 30 days") % {"times": asked_of_most(client, times=times)})
    return tuple(arranged)


def _ask_again(client: Client, today: date) -> str:
    by = client.consent_holds_until
    if by is None or client.consent not in {Client.Consent.AGREED, Client.Consent.IN_ROOM}:
        return ""
    words = (
        _("Consent was to be asked about again by %(day)s")
        if client.consent_has_lapsed(on=today)
        else _("Ask about consent again by %(day)s")
    )
    return words % {"day": date_format(by, "j M Y")}


def when_sent(client: Client, *, ends_at: datetime | None, at: datetime) -> str:
    """When a message about a session that ends at `ends_at` would go out, as a sentence.

    `ends_at` is None while the start is not known.
    """
    delay = _delay_in_words(settings.FEEDBACK_DELAY)
    if ends_at is None:
        return _("Sent %(delay)s after the end.") % {"delay": delay}
    due = timing.due_at(
        max(ends_at, at - settings.FEEDBACK_DELAY),
        time_zone=client.time_zone,
        delay=settings.FEEDBACK_DELAY,
        quiet_hours=settings.FEEDBACK_QUIET_HOURS,
    )
    if due <= at:
        return _("Sent as soon as you save.")
    local = timezone.localtime(due)
    if due > ends_at + settings.FEEDBACK_DELAY:
        return _("Sent on %(day)s at %(time)s, after the client’s quiet hours.") % {
            "day": date_format(local, "D j M"),
            "time": date_format(local, "H:i"),
        }
    return _("Sent %(delay)s after the end, at %(time)s.") % {
        "delay": delay,
        "time": date_format(local, "H:i"),
    }


def _delay_in_words(delay: timedelta) -> str:
    hours, rest = divmod(int(delay.total_seconds()), 3600)
    if not rest:
        return _("%(hours)s h") % {"hours": hours}
    minutes = int(delay.total_seconds()) // 60
    return ngettext("%(minutes)s minute", "%(minutes)s minutes", minutes) % {"minutes": minutes}


def next_today(member: Membership, *, after: datetime) -> TherapySession | None:
    """The member's next planned session of the same day."""
    midnight = timezone.localtime(after).replace(hour=0, minute=0, second=0, microsecond=0)
    return (
        TherapySession.objects.conducted_by(member)
        .planned()
        .filter(starts_at__gt=after, starts_at__lt=midnight + timedelta(days=1))
        .select_related("treatment__client")
        .order_by("starts_at")
        .first()
    )
