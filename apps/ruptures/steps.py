"""From stored rows to the filter's input: the one place that says what counts as a signal.

- A step is an attended session. Its rating is the client's, given in time; a late one is shown,
  never used. A form that came back with too few answers for a score is no rating, and no silence.
- `asked` is what the session says: a form that went out and was delivered. Unsent, bounced or still
  pending, nothing is held against silence. Where the rating was given here, they were asked.
- Absences are the client's: no-shows and late cancellations. What the therapist cancelled counts
  for nobody.
- `gap_days` are days between attended sessions, whoever caused them. They are no evidence and make
  no sentence: after six weeks the filter is less sure of what is usual, also after the therapist's
  own holiday, and so flags less easily, never more.
- A series is one treatment with one questionnaire version; steps of another one in between are
  passed over. Each step lies in one series.
"""

from datetime import datetime
from typing import NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo

from django.db.models import OuterRef, Q, Subquery
from django.db.models.functions import Coalesce

from apps.alliance.models import AllianceRating, Questionnaire
from apps.clients.models import Treatment
from apps.ruptures.detection import Step
from apps.ruptures.models import Screening
from apps.therapy_sessions.models import TherapySession

CLIENT_ABSENT = frozenset(
    {TherapySession.Attendance.LATE_CANCELLATION, TherapySession.Attendance.NO_SHOW}
)


class StoredStep(NamedTuple):
    """What is known about one attended session, and when the last of it came."""

    session: TherapySession
    step: Step
    known_at: datetime


def series_since(
    treatment: Treatment,
    questionnaire: Questionnaire,
    since: TherapySession,
    *,
    whole: bool = False,
) -> list[StoredStep]:
    """The steps of a questionnaire's series from `since` on, or all of them.

    Absences and days are counted from the attended session before, also where that is older; days
    by the practice's clock, so that six weeks are 42 days also across a change to summer time.
    """
    logged = TherapySession.objects.filter(treatment=treatment).exclude(attendance="")
    rulers = _rulers(treatment, questionnaire)
    sessions = logged.order_by("starts_at", "id")
    attended_before = logged.attended().filter(before(since))
    previous = None if whole else attended_before.values_list("starts_at", flat=True).last()
    if previous:
        sessions = sessions.filter(starts_at__gte=previous)
    ratings = {
        rating.therapy_session_id: rating
        for rating in AllianceRating.objects.used().filter(
            questionnaire=questionnaire, therapy_session__in=sessions.order_by()
        )
    }
    zone = ZoneInfo(treatment.practice.time_zone)
    steps = []
    absences = 0
    last_attended: datetime | None = None
    for session in sessions:
        if session.attendance in CLIENT_ABSENT:
            absences += 1
        if session.attendance != TherapySession.Attendance.ATTENDED:
            continue
        held_at = session.starts_at.astimezone(zone).replace(tzinfo=None)
        days = (held_at - last_attended).days if last_attended else None
        is_wanted = whole or (session.starts_at, session.id) >= (since.starts_at, since.id)
        if is_wanted and rulers[session.id] == questionnaire.id:
            rating = ratings.get(session.id)
            step = _step(session, rating, absences=absences, gap_days=days)
            steps.append(StoredStep(session, step, _known_at(session, rating)))
        absences, last_attended = 0, held_at
    return steps


def rulers_from(
    treatment: Treatment, questionnaire: Questionnaire, since: TherapySession
) -> list[Questionnaire]:
    """The questionnaires whose series have steps from `since` on, in their order, or are said to:
    what is no step any more, or rated with another one by now, may still be screened as it was."""
    later = TherapySession.objects.filter(treatment=treatment).exclude(before(since))
    ids = set(later.values_list("id", flat=True))
    rulers = [ruler for id_, ruler in _rulers(treatment, questionnaire).items() if id_ in ids]
    screened = Screening.objects.current().filter(therapy_session__in=ids)
    rulers += screened.values_list("questionnaire_id", flat=True)
    questionnaires = Questionnaire.objects.in_bulk(set(rulers))
    return [questionnaires[each] for each in dict.fromkeys(rulers)]


def before(session: TherapySession) -> Q:
    """Condition on sessions: earlier than `session` in the detector's order."""
    return Q(starts_at__lt=session.starts_at) | Q(starts_at=session.starts_at, id__lt=session.id)


def _known_at(session: TherapySession, rating: AllianceRating | None) -> datetime:
    if rating is None:
        return session.logged_at or session.ends_at
    return rating.counted_at or rating.entered_at or rating.answered_at


def _step(
    session: TherapySession, rating: AllianceRating | None, *, absences: int, gap_days: int | None
) -> Step:
    # An imported row keeps what its file says of `asked`, and the figures of `screen`.
    is_given_here = rating is not None and rating.mode != AllianceRating.Mode.IMPORTED
    pomp = rating.pomp if rating else None
    return Step(
        pomp=pomp,
        asked=pomp is not None if is_given_here else session.asked,
        tension=rating.tension if rating else None,
        resolved=rating.tension_resolved if rating else None,
        therapist_tension=session.tension,
        therapist_resolved=session.tension_resolved,
        no_shows=absences,
        gap_days=gap_days,
    )


def _rulers(treatment: Treatment, questionnaire: Questionnaire) -> dict[UUID, UUID]:
    """The questionnaire in whose series each step of a treatment lies, by session, in order.

    In that of its rating; without one, in that which it was screened in; else in that of the next
    step, and after all of them in that of `questionnaire`.
    """
    rating = AllianceRating.objects.used().filter(therapy_session=OuterRef("pk"))
    screening = Screening.objects.current().filter(therapy_session=OuterRef("pk"))
    newest = screening.order_by("-screened_at", "-id").values("questionnaire_id")[:1]
    attended = TherapySession.objects.attended().filter(treatment=treatment)
    found = attended.annotate(
        ruler_id=Coalesce(Subquery(rating.values("questionnaire_id")[:1]), Subquery(newest))
    ).order_by("-starts_at", "-id")
    rulers = {}
    ruler_id = questionnaire.id
    for session_id, own in found.values_list("id", "ruler_id"):
        ruler_id = own or ruler_id
        rulers[session_id] = ruler_id
    return dict(reversed(rulers.items()))
