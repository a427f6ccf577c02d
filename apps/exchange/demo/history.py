"""One client's rows: sessions, ratings, requests and messages, as they would have come about."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import log
from random import Random

from django.conf import settings

from apps.alliance.models import AllianceRating, Questionnaire
from apps.alliance.services import build_rating
from apps.clients.models import ContactChannel, Treatment
from apps.core.models import OutboxMessage
from apps.exchange.demo.cast import Person
from apps.feedback import timing
from apps.feedback.models import KIND, FeedbackRequest
from apps.ruptures.detection.simulator import Attendance, SimulatedStep, Truth
from apps.therapy_sessions.models import TherapySession

USUAL_DELAY = timedelta(hours=2)
USUAL_ANSWER_H = 3.0
WEEKS_AHEAD = 4


@dataclass(frozen=True)
class Entry:
    """A session and what came of it; `step` is None where the therapist cancelled."""

    session: TherapySession
    step: SimulatedStep | None = None
    rating: AllianceRating | None = None
    request: FeedbackRequest | None = None
    message: OutboxMessage | None = None


def tell_history(
    person: Person,
    course: list[SimulatedStep],
    *,
    treatment: Treatment,
    questionnaire: Questionnaire,
    last_starts_at: datetime,
    away: int,
    now: datetime,
    rng: Random,
) -> list[Entry]:
    """The sessions held so far, weekly up to `last_starts_at`, oldest first. Nothing is saved.

    In the week `away` before the last one the therapist was ill and the course waited.
    """
    entries: list[Entry] = []
    told = list(enumerate(reversed(course)))
    starts_at = last_starts_at
    for week in range(len(course) + 1):
        if week == away < len(course):
            cancelled = _session(treatment, starts_at, "therapist_cancelled")
            entries.append(Entry(cancelled))
        elif told:
            ago, step = told.pop(0)
            teller = _Teller(person, treatment, questionnaire, now, rng)
            entries.append(teller.entry(step, ago=ago, starts_at=starts_at))
        starts_at -= timedelta(weeks=1)
    return entries[::-1]


def plan_ahead(treatment: Treatment, first: datetime) -> list[TherapySession]:
    """The next sessions, weekly from `first` on, not logged yet."""
    return [
        _session(treatment, first + timedelta(weeks=week), attendance="")
        for week in range(WEEKS_AHEAD)
    ]


def _session(treatment: Treatment, starts_at: datetime, attendance: str) -> TherapySession:
    session = TherapySession(
        practice_id=treatment.practice_id,
        treatment=treatment,
        starts_at=starts_at,
        attendance=attendance,
    )
    if attendance:
        session.logged_at = session.ends_at
    return session


@dataclass(frozen=True)
class _Teller:
    """What one client does with each form."""

    person: Person
    treatment: Treatment
    questionnaire: Questionnaire
    now: datetime
    rng: Random

    def entry(self, step: SimulatedStep, *, ago: int, starts_at: datetime) -> Entry:
        session = _session(self.treatment, starts_at, step.attendance.value)
        if step.attendance is not Attendance.ATTENDED:
            return Entry(session, step)
        for subscale, degree in (step.own_view or {}).items():
            setattr(session, f"own_{subscale}", degree)
        session.tension, session.tension_resolved = step.therapist_tension, step.therapist_resolved
        if self.person.declines:
            session.not_asked_reason = TherapySession.NotAsked.NO_CONSENT
            return Entry(session, step)
        request = self._request(session)
        bounces = self.person.bounces and ago == 0
        unanswered = step.answers is None or bounces or (self.person.waits and ago == 0)
        rating = None if unanswered else self._rating(session, step, request, ago=ago)
        if rating:
            request.state, request.rating = FeedbackRequest.State.ANSWERED, rating
        elif request.expires_at <= self.now:
            request.state = FeedbackRequest.State.EXPIRED
        session.asked = request.state != FeedbackRequest.State.OPEN and not bounces
        return Entry(session, step, rating, request, self._message(request, bounces=bounces))

    def _request(self, session: TherapySession) -> FeedbackRequest:
        due = timing.due_at(
            session.ends_at,
            time_zone=self.treatment.client.time_zone,
            delay=USUAL_DELAY,
            quiet_hours=settings.FEEDBACK_QUIET_HOURS,
        )
        # Today's messages are out already, whatever delay is set: the demo leaves none to send.
        due = min(due, max(session.ends_at, self.now - timedelta(minutes=5)))
        return FeedbackRequest(
            practice_id=session.practice_id,
            therapy_session=session,
            questionnaire=self.questionnaire,
            channel_kind=ContactChannel.Kind.EMAIL,
            due_at=due,
            expires_at=due + settings.FEEDBACK_OPEN_FOR,
        )

    def _rating(
        self, session: TherapySession, step: SimulatedStep, request: FeedbackRequest, *, ago: int
    ) -> AllianceRating:
        taken = timedelta(hours=self.rng.lognormvariate(log(USUAL_ANSWER_H), 0.8))
        open_for = min(self.now, request.expires_at) - request.due_at
        fell = step.truth is Truth.RUPTURE and bool(step.tension)
        return build_rating(
            therapy_session=session,
            questionnaire=self.questionnaire,
            answers=dict(_answers(step, self.questionnaire)),
            mode=AllianceRating.Mode.LINK,
            answered_at=request.due_at + min(taken, 0.8 * open_for),
            tension=step.tension,
            tension_resolved=step.resolved,
            causes=[self.person.cause] if self.person.cause and fell else [],
            comment=self.person.says.get(ago, ""),
        )

    def _message(self, request: FeedbackRequest, *, bounces: bool) -> OutboxMessage:
        message = OutboxMessage(
            practice_id=request.practice_id,
            kind=KIND,
            subject_id=request.id,
            not_before=request.due_at,
            due_at=request.due_at,
            state=OutboxMessage.State.SENT,
            sent_at=request.due_at,
        )
        if bounces:
            message.state, message.sent_at = OutboxMessage.State.FAILED, None
            message.attempts, message.error = OutboxMessage.MAX_ATTEMPTS, "SMTPRecipientsRefused"
        return message


def _answers(step: SimulatedStep, questionnaire: Questionnaire) -> Iterator[tuple[str, int]]:
    """The simulated answers under the item ids of the questionnaire."""
    for subscale, items in questionnaire.subscales.items():
        for number, item in enumerate(items, start=1):
            yield item, (step.answers or {})[f"{subscale}_{number}"]
