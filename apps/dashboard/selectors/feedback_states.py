"""Where the feedback on each therapy session stands, in words."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from uuid import UUID

from django.db.models import F, FilteredRelation, OuterRef, Q, Subquery
from django.utils.translation import gettext as _

from apps.alliance.models import AllianceRating
from apps.core.models import OutboxMessage
from apps.core.queries import among
from apps.dashboard.selectors import words
from apps.feedback.models import KIND, FeedbackRequest
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


def feedback_states(session_ids: Collection[UUID], today: date) -> dict[UUID, FeedbackState]:
    """The state by id of the therapy session, in one query however many there are."""
    message = OutboxMessage.objects.filter(kind=KIND, subject_id=OuterRef("feedback_requests"))
    by_client = Q(ratings__rater=AllianceRating.Rater.CLIENT)
    sessions = (
        TherapySession.objects.filter(among("id", session_ids))
        .annotate(
            rating=FilteredRelation("ratings", condition=by_client),
            is_late=F("rating__is_late"),
            answered_at=F("rating__answered_at"),
            request_state=F("feedback_requests__state"),
            due_at=F("feedback_requests__due_at"),
            expires_at=F("feedback_requests__expires_at"),
            message_state=Subquery(message.values("state")),
            sent_at=Subquery(message.values("sent_at")),
        )
        .only("practice", "asked", "not_asked_reason", "not_asked_note")
    )
    return {session.id: _state(session, today) for session in sessions}


def _state(session: Any, today: date) -> FeedbackState:
    """`session`: with its rating, request and message, all None where there is none."""
    if session.answered_at:
        label = _("Answered late") if session.is_late else _("Answered")
        return FeedbackState("answered", label, at=session.answered_at, today=today)
    if session.request_state is None:
        if session.asked:
            return FeedbackState("no_answer", _("No answer"))
        return FeedbackState("not_asked", _("Not asked"), session.why_not_asked)
    if session.request_state == FeedbackRequest.State.OPEN:
        if session.sent_at:
            return FeedbackState("sent", _("Sent"), at=session.sent_at, today=today)
        if session.message_state == OutboxMessage.State.FAILED:
            return FeedbackState("undelivered", _("Undelivered"))
        return FeedbackState("due", _("Due"), at=session.due_at, today=today)
    if session.request_state == FeedbackRequest.State.EXPIRED:
        state, label = (
            ("no_answer", _("No answer")) if session.asked else ("undelivered", _("Undelivered"))
        )
        return FeedbackState(state, label, at=session.expires_at, today=today)
    return FeedbackState("not_asked", _("Withdrawn"))
