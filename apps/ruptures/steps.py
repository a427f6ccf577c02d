"""From stored rows to the filter's input: the one place that says what counts as a signal.

- A step is an attended session. Its rating is the client's, given in time; a late one is shown,
  never used. A form that came back with too few answers for a score is no rating, and no silence.
- `asked` is what the session says: a form that went out and was delivered. Unsent, bounced or still
  pending, nothing is held against silence.
- Absences are the client's: no-shows and late cancellations. What the therapist cancelled counts
  for nobody.
- `gap_days` are days between attended sessions, whoever caused them. They are no evidence and make
  no sentence: after six weeks the filter is less sure of what is usual, also after the therapist's
  own holiday, and so flags less easily, never more.
- A series is one treatment with one questionnaire version. It begins after the last session rated
  with another one, and ends before the next: another ruler starts anew.
"""

from datetime import datetime
from itertools import pairwise
from typing import NamedTuple
from zoneinfo import ZoneInfo

from django.db.models import Max, Min, Q

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


class Series(NamedTuple):
    """The steps from a session on; starts of the last session rated with another ruler before
    them, and of the first after them."""

    steps: list[StoredStep]
    begins_after: datetime | None
    ends_before: datetime | None


def series_since(
    treatment: Treatment,
    questionnaire: Questionnaire,
    since: TherapySession,
    *,
    whole: bool = False,
) -> Series:
    """The steps of the series that `since` lies in, from `since` on, or all of them.

    Absences and days are counted from the attended session before, also where that is older; days
    by the practice's clock, so that six weeks are 42 days also across a change to summer time.
    """
    logged = TherapySession.objects.filter(treatment=treatment).exclude(attendance="")
    begins_after, ends_before = _bounds(treatment, questionnaire, since)
    sessions = logged.order_by("starts_at", "id")
    attended_before = logged.attended().filter(before(since))
    previous = None if whole else attended_before.values_list("starts_at", flat=True).last()
    if previous:
        sessions = sessions.filter(starts_at__gte=previous)
    if ends_before:
        sessions = sessions.filter(starts_at__lt=ends_before)
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
        if is_wanted and (begins_after is None or session.starts_at > begins_after):
            rating = ratings.get(session.id)
            step = _step(session, rating, absences=absences, gap_days=days)
            steps.append(StoredStep(session, step, _known_at(session, rating)))
        absences, last_attended = 0, held_at
    return Series(steps, begins_after, ends_before)


def series_from(
    treatment: Treatment, questionnaire: Questionnaire, since: TherapySession
) -> list[tuple[Questionnaire, TherapySession]]:
    """Each series that `since` lies in, with `since`, and each that begins after it, with its first
    session. Where nothing is rated yet from there on, it lies in the one of `questionnaire`."""
    sessions = treatment.therapy_sessions.exclude(attendance="")
    rated = list(
        AllianceRating.objects.used()
        .filter(therapy_session__in=sessions)
        .order_by("therapy_session__starts_at", "therapy_session_id")
        .values_list("questionnaire_id", "therapy_session__starts_at")
    )
    if {ruler for ruler, _ in rated} <= {questionnaire.id}:
        return [(questionnaire, since)]
    rated_from = [each for each in rated if each[1] >= since.starts_at]
    screened = Screening.objects.current().filter(
        treatment=treatment, therapy_session__starts_at__gte=since.starts_at
    )
    if rated_from:
        screened = screened.filter(therapy_session__starts_at__lt=rated_from[0][1])
    ruler_now = rated_from[0][0] if rated_from else questionnaire.id
    rulers = [*screened.values_list("questionnaire_id", flat=True), ruler_now]
    found = [(ruler, since) for ruler in dict.fromkeys(rulers)]
    for (ruler, starts_at), (next_ruler, _) in pairwise(rated):
        if ruler != next_ruler and starts_at >= since.starts_at:
            first = sessions.filter(starts_at__gt=starts_at).earliest("starts_at", "id")
            found.append((next_ruler, first))
    questionnaires = Questionnaire.objects.in_bulk({ruler for ruler, _ in found})
    return [(questionnaires[ruler], first) for ruler, first in found]


def before(session: TherapySession) -> Q:
    """Condition on sessions: earlier than `session` in the detector's order."""
    return Q(starts_at__lt=session.starts_at) | Q(starts_at=session.starts_at, id__lt=session.id)


def _known_at(session: TherapySession, rating: AllianceRating | None) -> datetime:
    if rating is None:
        return session.logged_at or session.ends_at
    return rating.entered_at or rating.answered_at


def _step(
    session: TherapySession, rating: AllianceRating | None, *, absences: int, gap_days: int | None
) -> Step:
    came_in_part = (
        rating is not None
        and rating.pomp is None
        # An imported row keeps what its file says of `asked`, and the figures of `screen`.
        and rating.mode != AllianceRating.Mode.IMPORTED
    )
    return Step(
        pomp=rating.pomp if rating else None,
        asked=session.asked and not came_in_part,
        tension=rating.tension if rating else None,
        resolved=rating.tension_resolved if rating else None,
        therapist_tension=session.tension,
        therapist_resolved=session.tension_resolved,
        no_shows=absences,
        gap_days=gap_days,
    )


def _bounds(
    treatment: Treatment, questionnaire: Questionnaire, since: TherapySession
) -> tuple[datetime | None, datetime | None]:
    """Sessions rated with another questionnaire: the last before `since`, and the first from it."""
    earlier = Q(therapy_session__starts_at__lt=since.starts_at)
    found = (
        AllianceRating.objects.used()
        .filter(therapy_session__treatment=treatment)
        .exclude(questionnaire=questionnaire)
        .aggregate(
            last=Max("therapy_session__starts_at", filter=earlier),
            first=Min("therapy_session__starts_at", filter=~earlier),
        )
    )
    return found["last"], found["first"]
