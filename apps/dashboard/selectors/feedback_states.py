"""Where the feedback on each therapy session stands, in words."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date, datetime
from uuid import UUID

from django.utils.translation import gettext as _

from apps.alliance.models import AllianceRating
from apps.core.models import OutboxMessage
from apps.dashboard.selectors import words
from apps.feedback.lifecycle import KIND
from apps.feedback.models import FeedbackRequest
from apps.therapy_sessions.models import TherapySession


@dataclass(frozen=True)
class FeedbackState:
    """`state` is one of those of components/feedback_state.html; label and detail are words.

    `at` is when it was answered, sent or will be.
    """

    state: str
    label: str
    detail: str = ""
    at: datetime | None = None


def feedback_states(
    therapy_sessions: Collection[TherapySession], today: date
) -> dict[UUID, FeedbackState]:
    """The state by session id, in three queries however many sessions there are."""
    ids = [session.id for session in therapy_sessions]
    ratings: dict[UUID, AllianceRating] = {
        rating.therapy_session_id: rating
        for rating in AllianceRating.objects.filter(
            therapy_session__in=ids, rater=AllianceRating.Rater.CLIENT
        ).only("therapy_session", "is_late", "answered_at")
    }
    requests: dict[UUID, FeedbackRequest] = {
        request.therapy_session_id: request
        for request in FeedbackRequest.objects.filter(therapy_session__in=ids).only(
            "therapy_session", "state", "due_at", "expires_at"
        )
    }
    messages: dict[UUID, OutboxMessage] = {
        message.subject_id: message
        for message in OutboxMessage.objects.filter(
            kind=KIND, subject_id__in=[request.id for request in requests.values()]
        ).only("subject_id", "state", "sent_at")
    }
    states = {}
    for session in therapy_sessions:
        request = requests.get(session.id)
        message = messages.get(request.id) if request else None
        states[session.id] = _state(session, ratings.get(session.id), request, message, today)
    return states


def _state(
    session: TherapySession,
    rating: AllianceRating | None,
    request: FeedbackRequest | None,
    message: OutboxMessage | None,
    today: date,
) -> FeedbackState:
    if rating:
        label = _("Answered late") if rating.is_late else _("Answered")
        return _at("answered", label, rating.answered_at, today)
    if request is None:
        if session.asked:
            return FeedbackState("no_answer", _("No answer"))
        why = session.not_asked_note or session.get_not_asked_reason_display()
        return FeedbackState("not_asked", _("Not asked"), why)
    if request.state == FeedbackRequest.State.OPEN:
        if message and message.sent_at:
            return _at("sent", _("Sent"), message.sent_at, today)
        if message and message.state == OutboxMessage.State.FAILED:
            return FeedbackState("undelivered", _("Undelivered"))
        return _at("due", _("Due"), request.due_at, today)
    if request.state == FeedbackRequest.State.EXPIRED:
        until = _("Expired %(day)s") % {
            "day": words.day_inside(words.local(request.expires_at).date(), today)
        }
        if session.asked:
            return FeedbackState("no_answer", _("No answer"), until)
        return FeedbackState("undelivered", _("Undelivered"), until)
    return FeedbackState("not_asked", _("Withdrawn"))


def _at(state: str, label: str, moment: datetime, today: date) -> FeedbackState:
    return FeedbackState(state, label, words.moment(moment, today), moment)
