"""Asking a client for feedback, and taking the answer."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import connection, transaction
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from apps.accounts.models import Membership, Practice
from apps.alliance.models import AllianceRating, Questionnaire
from apps.alliance.services import accepted_until, record_rating
from apps.clients.models import Client
from apps.clients.services import take_turn_in, wait_for_turn
from apps.core import audit
from apps.core.models import OutboxMessage
from apps.feedback import timing
from apps.feedback.asking import timing_rules, why_not_agreed, why_not_ask
from apps.feedback.lifecycle import (
    KIND,
    REMINDER,
    RequestClosed,
    enqueue,
    expire_request,
    refit_requests,
    screen,
    screen_changed,
    settle,
)
from apps.feedback.models import FeedbackRequest
from apps.feedback.tokens import ROOM, read_request_id
from apps.ruptures.transitions import screen_by_now
from apps.therapy_sessions.models import TherapySession
from apps.therapy_sessions.services import log_therapy_session

ANSWERED = gettext_lazy("The client has answered about this session already.")


class CannotAsk(Exception):
    """No request may go out; the message says why and what would mend it."""


class AlreadyAnswered(Exception):
    """The first answers count; these were not added."""


def practice_questionnaire(practice: Practice) -> Questionnaire:
    """The questionnaire that clients of the practice are sent: the newest that may be sent."""
    questionnaires = Questionnaire.objects.filter(practice=practice).order_by("-version", "key")
    return next(each for each in questionnaires if each.may_be_sent)


def questionnaire_for(therapy_session: TherapySession) -> Questionnaire:
    """What the client is asked by about a session: once asked, by the same in whatever way."""
    asked = FeedbackRequest.objects.filter(therapy_session=therapy_session)
    request = asked.select_related("questionnaire").first()
    if request:
        return request.questionnaire
    return practice_questionnaire(therapy_session.treatment.practice)


@transaction.atomic
def log_session_and_ask(*, ask_by: str, by: Membership, **session: Any) -> TherapySession:
    """Log a therapy session, screen it, and ask for feedback where `ask_by` names a way.

    Args:
        ask_by: a `ContactChannel.Kind`, `tokens.ROOM`, or "" for not this time.
        session: the arguments of `log_therapy_session`.

    Raises:
        CannotAsk: nothing is stored; the message says what is missing.
        AlreadyLogged: nothing is stored; the session was logged before.
    """
    session["treatment"] = take_turn_in(session["treatment"], by=by)
    therapy_session = log_therapy_session(by=by, **session)
    refit_requests(therapy_session.treatment)
    questionnaire = practice_questionnaire(by.practice)
    # Also an absence: logged late, it belongs to a session that is screened already.
    screen_changed(since=therapy_session, questionnaire=questionnaire)
    if ask_by == ROOM:
        ask_in_room(therapy_session=therapy_session, questionnaire=questionnaire, by=by)
    elif ask_by:
        request_feedback(
            therapy_session=therapy_session,
            questionnaire=questionnaire,
            channel_kind=ask_by,
            by=by,
        )
    return therapy_session


@transaction.atomic
def request_feedback(
    *,
    therapy_session: TherapySession,
    questionnaire: Questionnaire,
    channel_kind: str,
    by: Membership | None,
) -> FeedbackRequest:
    """Ask the client for a rating: the messages are due later, and the outbox holds them till then.

    What was offered in the room and not answered there may be asked by message afterwards.

    Raises:
        CannotAsk: consent, a safe channel or the independent contact is missing, asking rests or
            was done often enough, another form is open, the session has its answer, or one would
            no longer count by the time the message is due.
    """
    client = _lock(therapy_session)
    missing = why_not_ask(client, way=channel_kind)
    asked = FeedbackRequest.objects.filter(therapy_session=therapy_session)
    # Also where it is offered in the room by now: the outbox takes each message once.
    if OutboxMessage.objects.filter(kind=KIND, subject_id__in=asked.values("id")).exists():
        missing.append(
            _(
                "The form about this session was sent, or withdrawn, before. Offer it in the room,"
                " or enter it from paper."
            )
        )
    elif _is_answered(therapy_session):
        missing.append(str(ANSWERED))
    if missing:
        raise CannotAsk(" ".join(missing))
    window = timing.Window.of(
        therapy_session.ends_at,
        asked_at=timezone.now(),
        closes_at=accepted_until(therapy_session),
        time_zone=client.time_zone,
        rules=timing_rules(),
    )
    if window is None:
        raise CannotAsk(
            _(
                "It is too late to ask about this session by message: answers count until the next"
                " session starts, and for seven days at most."
            )
        )
    request = _open_request(
        therapy_session,
        questionnaire,
        channel_kind=channel_kind,
        due_at=window.due_at,
        expires_at=window.expires_at,
        ended_too_soon=False,
    )
    enqueue(request, KIND, window.due_at)
    # Also where it has no time now: what ends the form so soon may be moved (`refit_requests`).
    enqueue(request, REMINDER, window.remind_at or window.expires_at)
    audit.record("request feedback", request, client_id=client.id, by=by)
    return request


@transaction.atomic
def ask_in_room(
    *, therapy_session: TherapySession, questionnaire: Questionnaire, by: Membership
) -> FeedbackRequest:
    """Open the form for a while, to be answered in the room; asking again opens it anew.

    A form that went out by message stays open beside it: one request, one answer.

    Raises:
        CannotAsk: consent or the independent contact is missing, asking rests, or the session has
            its answer already.
    """
    client = _lock(therapy_session)
    now = timezone.now()
    until = min(now + settings.FEEDBACK_ROOM_FOR, accepted_until(therapy_session))
    request = FeedbackRequest.objects.filter(therapy_session=therapy_session).first()
    if _is_answered(therapy_session):
        raise CannotAsk(str(ANSWERED))
    is_new = request is None or request.state != FeedbackRequest.State.OPEN
    if is_new:
        missing = why_not_ask(client, way=ROOM)
    else:  # the client may have thought again since the form went out
        missing = why_not_agreed(client, on=timezone.localdate(now), by_message=False)
    if until <= now:
        missing.append(
            _(
                "It is too late to ask about this session: answers count until the next session"
                " starts, and for seven days at most."
            )
        )
    if missing:
        raise CannotAsk(" ".join(missing))
    if request is None or request.state != FeedbackRequest.State.OPEN:
        # Silence to a message stays silence; to one that was withdrawn, or ended too soon, it never
        # was.
        has_run_out = request is not None and request.state == FeedbackRequest.State.EXPIRED
        therapy_session.refresh_from_db(fields=["asked"])
        kind = request.channel_kind if request and has_run_out else ""
        request = _open_request(
            therapy_session,
            questionnaire,
            channel_kind=kind,
            due_at=now,
            expires_at=until,
            ended_too_soon=request is not None and not therapy_session.asked,
        )
    request.room_until = until
    request.expires_at = max(request.expires_at, until)
    request.save(update_fields=["room_until", "expires_at"])
    audit.record("ask in the room", request, client_id=client.id, by=by)
    return request


def _lock(therapy_session: TherapySession) -> Client:
    """The session's client, held: of two requests or answers at once, the second sees the first."""
    client_id = therapy_session.treatment.client_id
    wait_for_turn(id=client_id)
    return Client.objects.select_related("practice").get(id=client_id)


def _is_answered(therapy_session: TherapySession) -> bool:
    """Whether the session has its rating by the client, in whatever way they gave it."""
    by_client = AllianceRating.objects.filter(rater=AllianceRating.Rater.CLIENT)
    return by_client.filter(therapy_session=therapy_session).exists()


def _open_request(
    therapy_session: TherapySession, questionnaire: Questionnaire, **values: Any
) -> FeedbackRequest:
    """The session's request, opened; one that ended without an answer is opened again."""
    request, created = FeedbackRequest.objects.get_or_create(
        practice_id=therapy_session.practice_id,
        therapy_session=therapy_session,
        defaults=values | {"questionnaire": questionnaire},
    )
    if not created:
        request.state = FeedbackRequest.State.OPEN
        # Asked by message after all, the code that was shown opens no longer. A link that went out
        # stays the client's way to stop messages, whatever became of its form.
        request.generation += bool(values["channel_kind"]) and not request.channel_kind
        for name, value in values.items():
            setattr(request, name, value)
        request.save()
        screen(request, was_asked=False)
    return request


@transaction.atomic
def record_from_paper(
    *,
    therapy_session: TherapySession,
    questionnaire: Questionnaire,
    answers: Mapping[str, int],
    answered_at: datetime,
    by: Membership,
    **also: Any,
) -> AllianceRating:
    """Store what a client filled in on paper, marked as such; a form that was out is settled.

    Raises:
        AlreadyAnswered: the session has its rating.
    """
    _lock(therapy_session)
    request = FeedbackRequest.objects.filter(therapy_session=therapy_session).first()
    if _is_answered(therapy_session):
        raise AlreadyAnswered
    rating = record_rating(
        therapy_session=therapy_session,
        questionnaire=questionnaire,
        answers=answers,
        mode=AllianceRating.Mode.PAPER,
        answered_at=answered_at,
        entered_at=timezone.now(),
        by=by,
        **also,
    )
    therapy_session.corrected_at = timezone.now()
    therapy_session.save(update_fields=["corrected_at"])
    if request:
        _settle_answered(request, rating)
        return rating
    therapy_session.asked = therapy_session.asked or not rating.is_late
    therapy_session.save(update_fields=["asked"])
    screen_by_now(
        treatment=therapy_session.treatment, questionnaire=questionnaire, since=therapy_session
    )
    return rating


def _settle_answered(request: FeedbackRequest, rating: AllianceRating) -> None:
    """Settle what was answered, in whatever way. Late answers are shown, not used: whether anybody
    was asked stays as it is without them."""
    session = request.therapy_session
    if rating.is_late:  # its time is over, also where nobody has closed it yet
        expire_request(request_id=request.id)
        session.refresh_from_db(fields=["asked"])
    was_asked = session.asked or not rating.is_late
    settle(request, FeedbackRequest.State.ANSWERED, rating=rating, was_asked=was_asked)


def practice_of_link(token: str) -> UUID | None:
    """The practice whose request a token speaks of, before its signature is checked."""
    request_id = read_request_id(token)
    if request_id is None:
        return None
    with connection.cursor() as cursor:
        cursor.execute("SELECT practice_of_link(%s)", [request_id])
        practice_id: UUID | None = cursor.fetchone()[0]
    return practice_id


@transaction.atomic
def submit_response(
    *,
    request_id: UUID,
    answers: Mapping[str, int],
    mode: AllianceRating.Mode = AllianceRating.Mode.LINK,
    **also: Any,
) -> AllianceRating:
    """Take a client's answers: record the rating, screen the treatment, move the episode.

    All in one transaction, and one at a time per client: of two answers at once, one counts.

    Args:
        answers: raw answer by item id; unanswered items are absent.
        mode: by a link that was sent, or in the room, where the code has a shorter life.
        also: tension, tension_resolved, causes and comment.

    Raises:
        AlreadyAnswered: the request has its rating.
        RequestClosed: it has run out or was withdrawn.
    """
    wait_for_turn(treatments__therapy_sessions__feedback_requests=request_id)
    request = FeedbackRequest.objects.select_related(
        "therapy_session__treatment__therapist", "questionnaire"
    ).get(id=request_id)
    now = timezone.now()
    if request.state == FeedbackRequest.State.ANSWERED:
        raise AlreadyAnswered
    if not request.is_open(at=now, in_room=mode == AllianceRating.Mode.ROOM):
        raise RequestClosed
    rating = record_rating(
        therapy_session=request.therapy_session,
        questionnaire=request.questionnaire,
        answers=answers,
        mode=mode,
        answered_at=now,
        by=None,
        **also,
    )
    _settle_answered(request, rating)
    return rating
