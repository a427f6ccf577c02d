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
- A series is one treatment with one questionnaire version, between steps of another one: another
  ruler starts anew. Each step lies in one series.
"""

from datetime import datetime
from itertools import pairwise
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


class Series(NamedTuple):
    """The steps from a session on; starts of the last step of another ruler before them, and of the
    first after them."""

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
    """Each series that reaches `since`, with it, and each that begins after it, with its first
    session; the arguments of `series_since`. `since` may be no step any more."""
    rulers = _rulers(treatment, questionnaire)
    from_here = [
        each for each in rulers if (each.starts_at, each.session_id) >= (since.starts_at, since.id)
    ]
    found = [(each.ruler_id, since.id) for each in from_here[:1]]
    found += [
        (each.ruler_id, each.session_id)
        for last, each in pairwise(from_here)
        if last.ruler_id != each.ruler_id
    ]
    # What is no step any more may still be screened, in whichever series it was.
    stale = (
        Screening.objects.current()
        .filter(treatment=treatment)
        .exclude(therapy_session__in=[each.session_id for each in rulers])
    )
    found += [(each, since.id) for each in stale.values_list("questionnaire_id", flat=True)]
    found = list(dict.fromkeys(found))
    questionnaires = Questionnaire.objects.in_bulk({ruler_id for ruler_id, _ in found})
    sessions = TherapySession.objects.in_bulk({session_id for _, session_id in found}) | {
        since.id: since
    }
    return [(questionnaires[ruler_id], sessions[session_id]) for ruler_id, session_id in found]


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


class _Ruled(NamedTuple):
    """An attended session, and the questionnaire of the series that it is a step of."""

    starts_at: datetime
    session_id: UUID
    ruler_id: UUID


def _rulers(treatment: Treatment, questionnaire: Questionnaire) -> list[_Ruled]:
    """Every step of a treatment, in order: each lies in one series.

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
    ruled = []
    ruler_id = questionnaire.id
    for starts_at, session_id, own in found.values_list("starts_at", "id", "ruler_id"):
        ruler_id = own or ruler_id
        ruled.append(_Ruled(starts_at, session_id, ruler_id))
    return ruled[::-1]


def _bounds(
    treatment: Treatment, questionnaire: Questionnaire, since: TherapySession
) -> tuple[datetime | None, datetime | None]:
    """Starts of steps of other series: the last before `since`, and the first from it."""
    others = [
        each.starts_at
        for each in _rulers(treatment, questionnaire)
        if each.ruler_id != questionnaire.id
    ]
    earlier = [each for each in others if each < since.starts_at]
    later = [each for each in others if each >= since.starts_at]
    return max(earlier, default=None), min(later, default=None)
