"""Asking a client for feedback, taking the answer, and letting a request run out."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import connection, transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from apps.accounts.models import Membership, Practice
from apps.alliance.models import AllianceRating, Questionnaire
from apps.alliance.services import accepted_until, record_rating
from apps.clients.models import Client
from apps.core import audit, outbox, tenancy
from apps.core.models import OutboxMessage
from apps.feedback import timing
from apps.feedback.models import FeedbackRequest
from apps.feedback.tokens import read_request_id
from apps.ruptures.services import screen_treatment
from apps.therapy_sessions.models import TherapySession
from apps.therapy_sessions.services import log_therapy_session

KIND = "feedback_request"


class CannotAsk(Exception):
    """No request may go out; the message says why and what would mend it."""


class AlreadyAnswered(Exception):
    """The first answers count; these were not added."""


class RequestClosed(Exception):
    """The request has run out or was withdrawn."""


def practice_questionnaire(practice: Practice) -> Questionnaire:
    """The questionnaire that clients of the practice are sent: the newest that may be sent."""
    questionnaires = Questionnaire.objects.filter(practice=practice).order_by("-version", "key")
    return next(each for each in questionnaires if each.may_be_sent)


def why_not_ask(client: Client) -> list[str]:
    """What is missing before this client may be asked by message; empty: nothing."""
    missing = []
    if not client.practice.has_independent_contact:
        missing.append(
            _("The practice has not recorded whom clients can turn to beside their therapist.")
        )
    if not client.discussed_on:
        missing.append(_("Feedback has not been discussed with the client yet."))
    elif client.consent != Client.Consent.AGREED:
        missing.append(_("The client has not agreed to be asked by message."))
    if not client.channels.filter(kind="email", safe_to_contact=True).exists():
        missing.append(_("No email address is recorded as safe to contact."))
    return missing


@transaction.atomic
def log_session_and_ask(*, ask_by: str, by: Membership, **session: Any) -> TherapySession:
    """Log a therapy session, screen it, and ask for feedback where `ask_by` names a channel.

    Args:
        ask_by: a `ContactChannel.Kind`, or "" for not this time.
        session: the arguments of `log_therapy_session`.

    Raises:
        CannotAsk: nothing is stored; the message says what is missing.
        AlreadyLogged: nothing is stored; the session was logged before.
    """
    therapy_session = log_therapy_session(by=by, **session)
    questionnaire = practice_questionnaire(by.practice)
    # Also an absence: logged late, it belongs to a session that is screened already.
    screen_treatment(
        treatment=therapy_session.treatment,
        questionnaire=questionnaire,
        since=therapy_session,
        at=timezone.now(),
    )
    if ask_by:
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
    """Ask the client for a rating: the message is due later, and the outbox holds it till then.

    Raises:
        CannotAsk: consent, a safe channel or the independent contact is missing, or an answer
            would no longer count by the time the message is due.
    """
    client = therapy_session.treatment.client
    missing = why_not_ask(client)
    if missing:
        raise CannotAsk(" ".join(missing))
    now = timezone.now()
    due = timing.due_at(
        # Logged late, it is due from now on, but not in the night either.
        max(therapy_session.ends_at, now - settings.FEEDBACK_DELAY),
        time_zone=client.time_zone,
        delay=settings.FEEDBACK_DELAY,
        quiet_hours=settings.FEEDBACK_QUIET_HOURS,
    )
    expires = timing.expires_at(
        due,
        open_for=settings.FEEDBACK_OPEN_FOR,
        next_starts_at=accepted_until(therapy_session),
    )
    if expires <= due:
        raise CannotAsk(
            _(
                "It is too late to ask about this session by message: answers count until the next"
                " session starts, and for seven days at most."
            )
        )
    request = FeedbackRequest.objects.create(
        practice_id=therapy_session.practice_id,
        therapy_session=therapy_session,
        questionnaire=questionnaire,
        channel_kind=channel_kind,
        due_at=due,
        expires_at=expires,
    )
    outbox.enqueue(
        kind=KIND, subject_id=request.id, practice_id=request.practice_id, not_before=due
    )
    audit.record("request feedback", request, client_id=client.id, by=by)
    return request


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
def submit_response(*, request_id: UUID, answers: Mapping[str, int], **also: Any) -> AllianceRating:
    """Take a client's answers: record the rating, screen the treatment, move the episode.

    All in one transaction, and one at a time per request: of two answers at once, one counts.

    Args:
        answers: raw answer by item id; unanswered items are absent.
        also: tension, tension_resolved, causes and comment.

    Raises:
        AlreadyAnswered: the request has its rating.
        RequestClosed: it has run out or was withdrawn.
    """
    request = (
        FeedbackRequest.objects.select_for_update(of=("self",))
        .select_related("therapy_session__treatment", "questionnaire")
        .get(id=request_id)
    )
    now = timezone.now()
    if request.state == FeedbackRequest.State.ANSWERED:
        raise AlreadyAnswered
    if request.state != FeedbackRequest.State.OPEN or now >= request.expires_at:
        raise RequestClosed
    rating = record_rating(
        therapy_session=request.therapy_session,
        questionnaire=request.questionnaire,
        answers=answers,
        mode=AllianceRating.Mode.LINK,
        answered_at=now,
        by=None,
        **also,
    )
    _settle(request, FeedbackRequest.State.ANSWERED, rating=rating, was_asked=True)
    return rating


def expire_requests() -> None:
    """Close every request of every practice whose time is over."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT practice_id, id FROM run_out_requests(%s)", [timezone.now()])
        run_out = cursor.fetchall()
    for practice_id, request_id in run_out:
        with tenancy.practice(practice_id):
            expire_request(request_id=request_id)


@transaction.atomic
def expire_request(*, request_id: UUID) -> None:
    """Close a request whose time is over. Only silence to a form that went out is silence."""
    request = (
        FeedbackRequest.objects.run_out(at=timezone.now())
        .select_for_update(of=("self",), skip_locked=True)
        .select_related("therapy_session__treatment", "questionnaire")
        .filter(id=request_id)
        .first()
    )
    if request:
        went_out = OutboxMessage.objects.filter(
            kind=KIND, subject_id=request.id, state=OutboxMessage.State.SENT
        ).exists()
        _settle(request, FeedbackRequest.State.EXPIRED, rating=None, was_asked=went_out)


@transaction.atomic
def revoke_links(*, client: Client, by: Membership) -> int:
    """End every link this client was ever sent: whoever holds one sees what a stranger sees.

    For a message that reached a wrong person. What still waited for an answer is withdrawn, and
    counts as not asked: silence to it says nothing. Ratings given stay.

    Returns:
        How many links ended.
    """
    ended = (
        FeedbackRequest.objects.select_for_update(of=("self",))
        .select_related("therapy_session__treatment", "questionnaire")
        .filter(therapy_session__treatment__client=client)
    )
    for request in ended:
        request.generation += 1
        request.save(update_fields=["generation"])
        if request.state == FeedbackRequest.State.OPEN:
            _settle(request, FeedbackRequest.State.CANCELLED, rating=None, was_asked=False)
    audit.record("revoke links", client, client_id=client.id, by=by)
    return len(ended)


def _settle(
    request: FeedbackRequest,
    state: FeedbackRequest.State,
    *,
    rating: AllianceRating | None,
    was_asked: bool,
) -> None:
    request.state = state
    request.rating = rating
    request.save(update_fields=["state", "rating"])
    outbox.cancel(kind=KIND, subject_id=request.id)
    session = request.therapy_session
    session.asked = was_asked
    session.save(update_fields=["asked"])
    screen_treatment(
        treatment=session.treatment,
        questionnaire=request.questionnaire,
        since=session,
        at=timezone.now(),
    )
