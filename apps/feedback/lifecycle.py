"""What becomes of a request once it is asked: it moves, ends, is withdrawn or opened once more."""

from datetime import datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

from django.db import connection, transaction
from django.db.models import Q, QuerySet
from django.db.models.functions import Least
from django.utils import timezone

from apps.accounts.models import Membership
from apps.alliance.models import AllianceRating, Questionnaire
from apps.alliance.services import ACCEPTED_FOR, accepted_until, count_what_is_in_time
from apps.clients.models import Client, ContactChannel, Treatment
from apps.clients.services import reaches_staff, stop_channel, wait_for_turn
from apps.core import audit, outbox, tenancy
from apps.core.models import OutboxMessage
from apps.core.outbox import Outcome
from apps.feedback import timing
from apps.feedback.asking import timing_rules, usable_channels, why_not_agreed
from apps.feedback.models import FRESH_LINK, KIND, MESSAGES, REMINDER, FeedbackRequest
from apps.ruptures.transitions import screen_by_now
from apps.therapy_sessions.models import TherapySession

Reason = ContactChannel.StopReason
LEAST_TIME = timedelta(hours=8)
"""Outside the quiet hours. In less of it even a willing client may not have seen the form: no
answer says nothing."""


class RequestClosed(Exception):
    """The request has run out or was withdrawn."""


def enqueue(request: FeedbackRequest, kind: str, not_before: datetime) -> None:
    """Put one of the request's messages into the outbox."""
    outbox.enqueue(
        kind=kind,
        subject_id=request.id,
        practice_id=request.practice_id,
        not_before=not_before,
        channel=request.channel_kind,
    )


def settle(
    request: FeedbackRequest,
    state: FeedbackRequest.State,
    *,
    rating: AllianceRating | None,
    was_asked: bool,
) -> None:
    """End a request: no message of it goes out any more, and its session is screened. Where that
    counts as not asked, it stands on the next agenda, however long after its time it ends."""
    if not was_asked:
        request.therapy_session.corrected_at = timezone.now()
        request.therapy_session.save(update_fields=["corrected_at"])
    request.state = state
    request.rating = rating
    request.save(update_fields=["state", "rating"])
    outbox.cancel(*MESSAGES, subject_id=request.id)
    screen(request, was_asked=was_asked)


def screen(request: FeedbackRequest, *, was_asked: bool) -> None:
    """Screen the request's session, with what is known by now about having asked."""
    session = request.therapy_session
    session.asked = was_asked
    session.save(update_fields=["asked"])
    screen_by_now(treatment=session.treatment, questionnaire=request.questionnaire, since=session)


def screen_changed(*, since: TherapySession, questionnaire: Questionnaire) -> None:
    """Screen a treatment of which sessions have changed from `since` on, or from an earlier one
    whose rating is not late by what they are now."""
    counted = count_what_is_in_time(since.treatment)
    screen_by_now(
        treatment=since.treatment,
        questionnaire=questionnaire,
        since=min([since, *counted], key=lambda each: (each.starts_at, each.id)),
    )


def expire_requests() -> None:
    """Close every request of every practice whose time is over."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT practice_id, id FROM run_out_requests(%s)", [timezone.now()])
        run_out = cursor.fetchall()
    for practice_id, request_id in run_out:
        with tenancy.one_of_many(practice_id):
            expire_request(request_id=request_id)


@transaction.atomic
def expire_request(*, request_id: UUID, is_cut_short: bool = False) -> None:
    """Close a request whose time is over. Only silence to a form that went out is silence; to one
    that nobody would have read, that ended with its treatment, or that the client had for less than
    `LEAST_TIME`, as the next session was moved ahead, it is none. Nor is it where the client may
    not be asked by that way as it ends (`_is_silence`).

    Args:
        is_cut_short: it was open until this moment, and a session that is logged now ends it.
    """
    wait_for_turn(treatments__therapy_sessions__feedback_requests=request_id)
    request = (
        FeedbackRequest.objects.run_out(at=timezone.now())
        .select_related("therapy_session__treatment__therapist", "questionnaire")
        .filter(id=request_id)
        .first()
    )
    if request is None:
        return
    if request.therapy_session.treatment.has_ended:
        settle(request, FeedbackRequest.State.CANCELLED, rating=None, was_asked=False)
    else:
        by_message = request.is_read and bool(request.channel_kind) and not is_cut_short
        was_asked = by_message and not request.ended_too_soon and _is_silence(request)
        settle(request, FeedbackRequest.State.EXPIRED, rating=None, was_asked=was_asked)


@transaction.atomic
def end_unsent(request_id: UUID) -> None:
    """Let a request whose message is not sent run out now: nobody waits for an answer to it.

    The outbox calls it. One that can be answered in the room meanwhile ends with its code.
    """
    wait_for_turn(treatments__therapy_sessions__feedback_requests=request_id)
    now = timezone.now()
    unsent = FeedbackRequest.objects.awaited(at=now).filter(id=request_id, due_at__lt=now)
    if unsent.filter(room_until__gt=now).exists():
        _leave_to_the_room(request_id)
    elif unsent.update(expires_at=now):
        expire_request(request_id=request_id)


@transaction.atomic
def revoke_links(*, client: Client, by: Membership | None) -> int:
    """End every link this client was ever sent: whoever holds one sees what a stranger sees.

    For a message that reached a wrong person. What still waited for an answer is withdrawn, and
    counts as not asked: silence to it says nothing. So does silence to what had run out, where a
    fresh link could still have been asked for. Ratings given stay.

    Returns:
        How many links ended.
    """
    wait_for_turn(id=client.id)
    ended = FeedbackRequest.objects.of(client).select_related(
        "therapy_session__treatment", "questionnaire"
    )
    for request in ended:
        # By two: that of the link before a fresh one still stops messages (`find_link`).
        request.generation += 2
        request.save(update_fields=["generation"])
        if request.state == FeedbackRequest.State.OPEN:
            settle(request, FeedbackRequest.State.CANCELLED, rating=None, was_asked=False)
    _take_back_what_would_count(client)
    audit.record("revoke links", client, client_id=client.id, by=by)
    return len(ended)


@transaction.atomic
def refit_requests(treatment: Treatment) -> None:
    """Fit every open request to its session and the one after it, when one of them has moved.

    A message that is not out yet moves with its session; one that could no longer be answered in
    time is withdrawn; a form whose time is over by now is closed, and ends now: one that was ended
    by a session logged late ended when that was logged, whichever meeting lies in between.
    """
    now = timezone.now()
    opened = FeedbackRequest.objects.filter(
        therapy_session__treatment=treatment, state=FeedbackRequest.State.OPEN
    )
    for request in opened.select_related("therapy_session__treatment__client", "questionnaire"):
        session, was_open = request.therapy_session, request.expires_at > now
        closes_at = max(accepted_until(session), now)
        rules, time_zone = timing_rules(), session.treatment.client.time_zone
        if went_out(request) or request.ends_with_its_code:
            window = timing.Window.from_due(
                request.due_at, closes_at=closes_at, time_zone=time_zone, rules=rules
            )
        else:
            window = timing.Window.of(
                min(session.ends_at, _logged_end(session)),
                asked_at=now,
                closes_at=closes_at,
                time_zone=time_zone,
                rules=rules,
            )
        if window is None:
            settle(request, FeedbackRequest.State.CANCELLED, rating=None, was_asked=False)
            continue
        if request.ends_with_its_code:
            request.expires_at = min(request.expires_at, closes_at)
        else:
            request.expires_at = closes_at if has_fresh_link(request) else window.expires_at
        request.due_at = window.due_at
        request.save(update_fields=["due_at", "expires_at"])
        outbox.reschedule(kind=KIND, subject_id=request.id, not_before=window.due_at)
        outbox.reschedule(
            kind=REMINDER, subject_id=request.id, not_before=window.remind_at or window.expires_at
        )
        expire_request(request_id=request.id, is_cut_short=was_open)


def _logged_end(session: TherapySession) -> datetime:
    """The latest end that its log allows: a session has begun when it is logged. So no later day
    puts its form off for ever."""
    return (session.logged_at or session.ends_at) + timedelta(minutes=session.duration_min)


def has_fresh_link(request: FeedbackRequest) -> bool:
    """Whether the client asked for the form once more: it is open as long as an answer counts."""
    return OutboxMessage.objects.filter(kind=FRESH_LINK, subject_id=request.id).exists()


def went_out(request: FeedbackRequest) -> bool:
    """Whether a message of the request is out, or may be, wherever it led to."""
    return _out(request, MESSAGES).exists()


def link_is_out(request: FeedbackRequest) -> bool:
    """Whether the client got a link that still opens the form, or may have got one. What went
    where their ways led before alone is no such link; who is told that a form ended, or when it is
    due, goes by `went_out`: an address is typed to and fro in a moment."""
    return any(link.leads for link in _links(request))


def _is_silence(request: FeedbackRequest) -> bool:
    """Whether no answer to a form that ends says something.

    The client had it in time, and all along: no link of it went, or may have, to a mailbox other
    than the one that its way leads to now. And they may still be asked by that way: nobody who has
    said no, or whose mailbox others read, is silent.
    """
    client, links = request.therapy_session.treatment.client, _links(request)
    if client.pause_review_on or why_not_agreed(client, on=timezone.localdate(request.expires_at)):
        return False
    by, open_ways = _least_before_end(request), _open_ways(client)
    in_time = {link.way for link in links if link.was_sent(by=by)}
    return all(link.leads for link in links) and bool(in_time & open_ways)


def _open_ways(client: Client) -> set[str]:
    """Ways that are safe, and that nobody said no to: to switch to another, or that a message came
    back, is no such word."""
    no_word = client.channels.filter(
        safe_to_contact=True, stop_reason__in=[Reason.SWITCHED, Reason.BOUNCED]
    )
    channels = (*client.channels.usable(), *no_word)
    return {each.kind for each in channels if not reaches_staff(each, client.practice)}


def _least_before_end(request: FeedbackRequest) -> datetime:
    """By when the client must have had the form, if no answer is to say anything.

    By the practice's clock as well: the client's is as their therapist says at the moment.
    """
    client, quiet_hours = request.therapy_session.treatment.client, timing_rules().quiet_hours
    return min(
        timing.awake_before(request.expires_at, LEAST_TIME, time_zone=zone, quiet_hours=quiet_hours)
        for zone in (client.time_zone, client.practice.time_zone)
    )


class _Link(NamedTuple):
    """One that is out, or may be (`sent_at` is None then), and opens the form: `leads` where it led
    to where its way leads now."""

    way: str
    sent_at: datetime | None
    leads: bool

    def was_sent(self, *, by: datetime) -> bool:
        return self.sent_at is not None and self.sent_at <= by


def _links(request: FeedbackRequest) -> list[_Link]:
    channels = request.therapy_session.treatment.client.channels.exclude(address="")
    since = dict(channels.values_list("kind", "address_since"))
    out = _out(request, (FRESH_LINK,) if has_fresh_link(request) else MESSAGES)
    return [
        _Link(
            way=each.channel,
            sent_at=each.sent_at,
            leads=each.channel in since and each.taken_at >= (since[each.channel] or each.taken_at),
        )
        for each in out
    ]


def _out(request: FeedbackRequest, kinds: tuple[str, ...]) -> QuerySet[OutboxMessage]:
    return OutboxMessage.objects.may_be_out().filter(kind__in=kinds, subject_id=request.id)


@transaction.atomic
def stop_messages(*, client: Client, why: ContactChannel.StopReason = Reason.STOPPED) -> None:
    """Stop every channel, and pull back what is not out yet.

    Who says no while an answer to a form that has run out would count is not silent to it.
    """
    wait_for_turn(id=client.id)
    for channel in client.channels.all():
        stop_channel(channel=channel, why=why, by=None)
    withdraw_unsent(client)
    _take_back_what_would_count(client)


@transaction.atomic
def stop_unreachable(
    request_id: UUID, *, channel: str, sent_at: datetime, outcome: Outcome
) -> None:
    """Write no more by a channel whose address takes nothing, or at all where its reader said no.

    The outbox calls it; whoever treats the client is told (`stop_channel`). That a message came
    back which went out before the channel had the address it has now says nothing about that one.
    A person's no is talked over first, whatever has become of the address. That a phone answered
    STOP is no such word of this client's: it may have been to any message of this installation, so
    it stops the channel alone, and tells of STOP only where their own messages arrived before.
    """
    if outcome == Outcome.LOST:
        return
    which: dict[str, Any] = {"treatments__therapy_sessions__feedback_requests": request_id}
    wait_for_turn(**which)
    if outcome == Outcome.COMPLAINED:
        for client in Client.objects.filter(**which):
            stop_messages(client=client, why=Reason.COMPLAINED)
        return
    used = ContactChannel.objects.filter(kind=channel, client__in=Client.objects.filter(**which))
    for each in used:
        if not (each.address_since and sent_at < each.address_since):
            is_told = outcome == Outcome.REFUSED and _has_arrived(each, before=sent_at)
            stop_channel(channel=each, why=Reason.REFUSED if is_told else Reason.BOUNCED, by=None)


def _has_arrived(channel: ContactChannel, *, before: datetime) -> bool:
    """Whether a message of the client's went where the channel leads, and did not come back."""
    asked = FeedbackRequest.objects.of(channel.client).values("id")
    arrived = OutboxMessage.objects.filter(
        kind__in=MESSAGES, subject_id__in=asked, state=OutboxMessage.State.SENT,
        channel=channel.kind, sent_at__lt=before,
    )  # fmt: skip
    since = Q(sent_at__gte=channel.address_since) if channel.address_since else Q()
    return arrived.filter(since).exists()


@transaction.atomic
def weigh_silence(request_id: UUID) -> None:
    """Take the silence to a form that has run out back, where no message of it reached the client
    in time as far as anybody knows now.

    The outbox calls it, once it has noted that one came back.
    """
    wait_for_turn(treatments__therapy_sessions__feedback_requests=request_id)
    for request in FeedbackRequest.objects.filter(id=request_id):
        by = _least_before_end(request)
        if not any(link.was_sent(by=by) for link in _links(request)):
            take_silence_back(request_id)


@transaction.atomic
def take_silence_back(request_id: UUID) -> None:
    """Count no answer, or a late one, to a form that has run out as no silence of the client's: its
    session is screened anew as not asked, and stands on the next agenda."""
    wait_for_turn(treatments__therapy_sessions__feedback_requests=request_id)
    held = FeedbackRequest.objects.select_related("therapy_session__treatment", "questionnaire")
    unanswered = Q(state=FeedbackRequest.State.EXPIRED) | Q(rating__is_late=True)
    held = held.filter(unanswered, id=request_id, therapy_session__asked=True)
    for request in held:
        request.therapy_session.corrected_at = timezone.now()
        request.therapy_session.save(update_fields=["corrected_at"])
        screen(request, was_asked=False)


def _take_back_what_would_count(client: Client) -> None:
    """Take back the silence to forms that a fresh link could still have opened."""
    now = timezone.now()
    silent = FeedbackRequest.objects.of(client).filter(
        therapy_session__asked=True, therapy_session__starts_at__gt=now - ACCEPTED_FOR
    )
    for request in silent.select_related("therapy_session__treatment__practice"):
        if accepted_until(request.therapy_session) > now:
            take_silence_back(request.id)


@transaction.atomic
def withdraw_unsent(client: Client) -> None:
    """Pull back what is open and not out yet, when the client may no longer be asked by message.

    What is shown in the room is open until its code ends, if the client still agrees to that.
    """
    wait_for_turn(id=client.id)
    now = timezone.now()
    opened = (
        FeedbackRequest.objects.of(client)
        .select_related("therapy_session__treatment__client", "questionnaire")
        .filter(state=FeedbackRequest.State.OPEN)
    )
    for request in opened:
        if link_is_out(request):
            outbox.cancel(REMINDER, subject_id=request.id)
        elif _may_be_answered_in_the_room(request, at=now):
            outbox.cancel(*MESSAGES, subject_id=request.id)
            _leave_to_the_room(request.id)
        else:
            settle(request, FeedbackRequest.State.CANCELLED, rating=None, was_asked=False)


def _leave_to_the_room(request_id: UUID) -> None:
    """Let a form be open as long as its code, and for nobody else."""
    FeedbackRequest.objects.filter(id=request_id).update(
        channel_kind="",
        due_at=Least("due_at", timezone.now()),
        expires_at=Least("expires_at", "room_until"),
    )


def _may_be_answered_in_the_room(request: FeedbackRequest, *, at: datetime) -> bool:
    client, today = request.therapy_session.treatment.client, timezone.localdate(at)
    agreed = not why_not_agreed(client, on=today, by_message=False)
    return agreed and request.is_open(at=at, in_room=True)


@transaction.atomic
def end_requests(treatment: Treatment) -> bool:
    """End the open forms of a treatment that has ended: nobody would read an answer.

    Where it ends on a day to come, they end with it.

    Returns:
        Whether the client has one of them, and so less time to answer it, or none.
    """
    opened = FeedbackRequest.objects.select_related(
        "therapy_session__treatment", "questionnaire"
    ).filter(therapy_session__treatment=treatment, state=FeedbackRequest.State.OPEN)
    out = {each.id: each.expires_at for each in opened if went_out(each) or each.room_until}
    if treatment.has_ended:
        for request in opened:
            settle(request, FeedbackRequest.State.CANCELLED, rating=None, was_asked=False)
        return bool(out)
    refit_requests(treatment)
    kept = FeedbackRequest.objects.open(at=timezone.now()).filter(id__in=out)
    return any(out[each.id] > each.expires_at for each in kept) or len(kept) < len(out)


@transaction.atomic
def send_fresh_link(*, request_id: UUID) -> ContactChannel:
    """Open a form that ran out once more and send its link to the recorded channel.

    Only while an answer still counts; the links that went out before end with it, but for the page
    that stops messages.

    Returns:
        The channel that the link goes to.

    Raises:
        RequestClosed: the time for answers is over, or nothing may be sent to this client.
    """
    wait_for_turn(treatments__therapy_sessions__feedback_requests=request_id)
    request = FeedbackRequest.objects.select_related(
        "therapy_session__treatment__client__practice", "questionnaire"
    ).get(id=request_id)
    channel = fresh_link_channel(request)
    if channel is None:
        raise RequestClosed
    now = timezone.now()
    request.state = FeedbackRequest.State.OPEN
    request.channel_kind = channel.kind
    request.generation += 1
    request.expires_at = accepted_until(request.therapy_session)
    request.save(update_fields=["state", "channel_kind", "generation", "expires_at"])
    # It is pending again: nothing is held against silence yet.
    screen(request, was_asked=False)
    enqueue(request, FRESH_LINK, now)
    client = request.therapy_session.treatment.client
    audit.record("send fresh link", request, client_id=client.id, by=None)
    return channel


def fresh_link_channel(request: FeedbackRequest) -> ContactChannel | None:
    """Where a fresh link could go; None where it could not, or an answer would no longer count."""
    now = timezone.now()
    client = request.therapy_session.treatment.client
    has_run_out = request.state == FeedbackRequest.State.EXPIRED or (
        request.state == FeedbackRequest.State.OPEN and request.expires_at <= now
    )
    agreed = not why_not_agreed(client, on=timezone.localdate(now))
    morning = timing.due_at(
        now,
        time_zone=client.time_zone,
        delay=timedelta(0),
        quiet_hours=timing_rules().quiet_hours,
    )
    too_late = accepted_until(request.therapy_session) <= morning
    if (
        not has_run_out
        or has_fresh_link(request)
        or too_late
        or not agreed
        or client.pause_review_on
    ):
        return None
    if not (request.is_read and client.practice.has_independent_contact):
        return None
    channels = usable_channels(client)
    return next(
        (each for each in channels if each.kind == request.channel_kind),
        channels[0] if channels else None,
    )
