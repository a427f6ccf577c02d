"""Where the feedback on each therapy session stands, in words."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from uuid import UUID

from django.utils.translation import gettext as _

from apps.alliance.models import AllianceRating
from apps.core.models import OutboxMessage
from apps.core.queries import among
from apps.dashboard.selectors import words
from apps.feedback.lifecycle import KIND
from apps.feedback.models import FeedbackRequest
from apps.therapy_sessions.models import TherapySession


@dataclass(frozen=True)
class FeedbackState:
    """`state` is one of those of components/feedback_state.html; label and detail are words.

    `at` is when it was answered, was or will be sent, or expired; `why` it was not asked. Of a long
    list few are shown: what costs time to say is said when asked for.
    """

    state: str
    label: str
    why: str = ""
    at: datetime | None = None
    today: date | None = None

    @property
    def detail(self) -> str:
        if self.at is None or self.today is None:
            return self.why
        if self.state in ("answered", "sent", "due"):
            return words.moment(self.at, self.today)
        day = words.day_inside(words.local(self.at).date(), self.today)
        return _("Expired %(day)s") % {"day": day}


def feedback_states(
    therapy_sessions: Collection[TherapySession], today: date
) -> dict[UUID, FeedbackState]:
    """The state by session id, in three queries however many sessions there are."""
    ids = [session.id for session in therapy_sessions]
    ratings = {
        rating.therapy_session_id: rating
        for rating in AllianceRating.objects.filter(
            among("therapy_session", ids), rater=AllianceRating.Rater.CLIENT
        ).values_list("therapy_session_id", "is_late", "answered_at", named=True)
    }
    requests = {
        request.therapy_session_id: request
        for request in FeedbackRequest.objects.filter(among("therapy_session", ids)).values_list(
            "therapy_session_id", "id", "state", "due_at", "expires_at", named=True
        )
    }
    messages = {
        message.subject_id: message
        for message in OutboxMessage.objects.filter(
            among("subject_id", [request.id for request in requests.values()]), kind=KIND
        ).values_list("subject_id", "state", "sent_at", named=True)
    }
    states = {}
    for session in therapy_sessions:
        request = requests.get(session.id)
        message = messages.get(request.id) if request else None
        states[session.id] = _state(session, ratings.get(session.id), request, message, today)
    return states


def _state(
    session: TherapySession, rating: Any, request: Any, message: Any, today: date
) -> FeedbackState:
    """`rating`, `request` and `message`: the row of each, or None."""
    if rating:
        label = _("Answered late") if rating.is_late else _("Answered")
        return FeedbackState("answered", label, at=rating.answered_at, today=today)
    if request is None:
        if session.asked:
            return FeedbackState("no_answer", _("No answer"))
        why = session.not_asked_note or session.get_not_asked_reason_display()
        return FeedbackState("not_asked", _("Not asked"), why)
    if request.state == FeedbackRequest.State.OPEN:
        if message and message.sent_at:
            return FeedbackState("sent", _("Sent"), at=message.sent_at, today=today)
        if message and message.state == OutboxMessage.State.FAILED:
            return FeedbackState("undelivered", _("Undelivered"))
        return FeedbackState("due", _("Due"), at=request.due_at, today=today)
    if request.state == FeedbackRequest.State.EXPIRED:
        state, label = (
            ("no_answer", _("No answer")) if session.asked else ("undelivered", _("Undelivered"))
        )
        return FeedbackState(state, label, at=request.expires_at, today=today)
    return FeedbackState("not_asked", _("Withdrawn"))
