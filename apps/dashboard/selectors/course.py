"""A treatment's course: its sessions in order, each with rating and screening, and its episodes."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Generic, Literal, Protocol, TypeVar
from uuid import UUID

from django.db.models import Prefetch
from django.utils.translation import gettext as _

from apps.alliance.models import AllianceRating
from apps.core.queries import among
from apps.dashboard.chart_parts import FIRST_RATING_WITH_RANGE, ChartEpisode, ChartSession
from apps.dashboard.selectors import words
from apps.ruptures.detection import Event
from apps.ruptures.models import RuptureEpisode, Screening
from apps.ruptures.reasons import Reasons
from apps.ruptures.selectors import explain
from apps.therapy_sessions.models import TherapySession, TherapySessionQuerySet

FLAGGING = (Event.OPENED, Event.ESCALATED)
STILL_LOW = (*FLAGGING, Event.CONTINUES, Event.IMPROVING)


@dataclass(frozen=True)
class CourseSession:
    """One logged session. `late_rating` came too late to be used; it is shown all the same."""

    number: int
    therapy_session: TherapySession
    rating: AllianceRating | None
    late_rating: AllianceRating | None
    screening: Screening | None

    @property
    def id(self) -> UUID:
        return self.therapy_session.id

    @property
    def starts_at(self) -> datetime:
        return self.therapy_session.starts_at

    @property
    def held_on(self) -> date:
        return words.local(self.starts_at).date()

    @property
    def was_held(self) -> bool:
        return self.therapy_session.attendance == TherapySession.Attendance.ATTENDED

    @property
    def pomp(self) -> float | None:
        return self.rating.pomp if self.rating else None

    @property
    def event(self) -> str:
        return self.screening.event if self.screening else ""

    @property
    def ratings_before(self) -> int:
        return self.screening.ratings_before if self.screening else 0

    @property
    def usual(self) -> tuple[int, int] | None:
        """The usual range in whole points, clipped to 0–100; None while it is forming."""
        if self.screening is None or self.ratings_before + 1 < FIRST_RATING_WITH_RANGE:
            return None
        return max(0, round(self.screening.low)), min(100, round(self.screening.high))

    @property
    def is_partial(self) -> bool:
        """Answered, with too few ratings for a score: a gap in the line, and no silence."""
        return self.rating is not None and self.rating.pomp is None

    @property
    def is_below(self) -> bool:
        """Rated below the usual range."""
        pomp, usual = self.pomp, self.usual
        return pomp is not None and usual is not None and round(pomp) < usual[0]


class SessionOfCourse(Protocol):
    """What episodes need of a session to be placed between them, and to say that they are back."""

    @property
    def number(self) -> int: ...
    @property
    def id(self) -> UUID: ...
    @property
    def starts_at(self) -> datetime: ...
    @property
    def pomp(self) -> float | None: ...
    @property
    def event(self) -> str | None: ...


Session = TypeVar("Session", bound=SessionOfCourse)


@dataclass(frozen=True)
class Episodes(Generic[Session]):
    """Sessions of one treatment in order, and its episodes, oldest first."""

    sessions: tuple[Session, ...] = ()
    episodes: tuple[RuptureEpisode, ...] = ()

    @property
    def open_episode(self) -> RuptureEpisode | None:
        return next((episode for episode in self.episodes if not episode.outcome), None)

    @property
    def last_closed(self) -> RuptureEpisode | None:
        closed = [episode for episode in self.episodes if episode.outcome]
        return max(
            closed, key=lambda episode: episode.outcome_at or episode.opened_at, default=None
        )

    def opened_at(self, episode: RuptureEpisode) -> int:
        """Number of the session that opened the episode; the next one where it is not among these,
        as it was logged, or undone, between the queries for sessions and for episodes."""
        numbers = (each.number for each in self.sessions if each.id == episode.opened_by_id)
        return next(numbers, len(self.sessions) + 1)

    def closed_at(self, episode: RuptureEpisode) -> int | None:
        """Number of the newest session when its outcome was recorded; None while it is open."""
        if episode.outcome_at is None:
            return None
        numbers = [each.number for each in self.sessions if each.starts_at <= episode.outcome_at]
        return max([*numbers[-1:], self.opened_at(episode)])

    def since_opening(self, episode: RuptureEpisode) -> tuple[Session, ...]:
        return self.sessions[self.opened_at(episode) - 1 :]

    def is_rated_back(self, episode: RuptureEpisode) -> bool:
        """Whether the newest rating since the opening says that ratings are back."""
        rated = [each for each in self.since_opening(episode) if each.pomp is not None]
        return bool(rated) and rated[-1].event not in STILL_LOW

    def chart_episodes(
        self, today: date, *, only: RuptureEpisode | None = None
    ) -> list[ChartEpisode]:
        """All episodes as charts take them, or `only` one."""
        return [
            ChartEpisode(
                opened_at_number=self.opened_at(episode),
                closed_at_number=self.closed_at(episode),
                state=_state(episode),
                label=_label(episode, today),
                outcome_label=_outcome_label(episode, today),
            )
            for episode in self.episodes
            if only in (None, episode)
        ]


@dataclass(frozen=True)
class Course(Episodes[CourseSession]):
    """All logged sessions of one treatment with what they say."""

    @property
    def newest_screening(self) -> Screening | None:
        return next((each.screening for each in reversed(self.sessions) if each.screening), None)

    @property
    def newest_rated(self) -> CourseSession | None:
        return next(
            (
                each
                for each in reversed(self.sessions)
                if each.rating is not None and each.rating.pomp is not None
            ),
            None,
        )

    def flagging(self, episode: RuptureEpisode) -> Screening | None:
        """The step that opened the episode or, later, flagged it more strongly."""
        flagged = [
            each.screening
            for each in self.since_opening(episode)
            if each.screening and each.screening.event in FLAGGING
        ]
        return flagged[-1] if flagged else None

    def reasons_of(self, episode: RuptureEpisode, *, therapist_name: str = "") -> Reasons:
        """The reasons of the step that flagged the episode."""
        flagged = self.flagging(episode)
        return explain(flagged, therapist_name=therapist_name) if flagged else Reasons((), (), ())

    def chart_sessions(
        self, *, for_therapist: bool = True, notes: Mapping[UUID, str] | None = None
    ) -> list[ChartSession]:
        """The sessions as charts take them; `notes` by session id replaces the table's notes."""
        notes = notes or {}
        return [
            _chart_session(
                each,
                notes.get(each.therapy_session.id, "") or _note(each, for_therapist=for_therapist),
                _entered(each, for_therapist=for_therapist),
            )
            for each in self.sessions
        ]


def load_courses(treatment_ids: Collection[UUID]) -> dict[UUID, Course]:
    """The courses of these treatments, in four queries however many they are."""
    ratings = AllianceRating.objects.filter(rater=AllianceRating.Rater.CLIENT)
    screenings = Screening.objects.current().defer("state_after").order_by("screened_at")
    sessions: dict[UUID, list[CourseSession]] = {id_: [] for id_ in treatment_ids}
    for therapy_session in logged_sessions(treatment_ids).prefetch_related(
        Prefetch("ratings", ratings, to_attr="client_ratings"),
        Prefetch("screenings", screenings, to_attr="current_screenings"),
    ):
        course = sessions[therapy_session.treatment_id]
        course.append(_course_session(len(course) + 1, therapy_session))
    episodes = load_episodes(treatment_ids)
    return {id_: Course(tuple(sessions[id_]), tuple(episodes[id_])) for id_ in treatment_ids}


def logged_sessions(treatment_ids: Collection[UUID]) -> TherapySessionQuerySet:
    """In the detector's order."""
    return (
        TherapySession.objects.filter(among("treatment", treatment_ids))
        .exclude(attendance="")
        .order_by("starts_at", "id")
    )


def load_episodes(treatment_ids: Collection[UUID]) -> dict[UUID, list[RuptureEpisode]]:
    """By treatment, oldest first."""
    episodes: dict[UUID, list[RuptureEpisode]] = {id_: [] for id_ in treatment_ids}
    for episode in (
        RuptureEpisode.objects.filter(among("treatment", treatment_ids))
        .exclude(outcome=RuptureEpisode.Outcome.SUPERSEDED)
        .order_by("opened_at")
    ):
        episodes[episode.treatment_id].append(episode)
    return episodes


def _course_session(number: int, therapy_session: TherapySession) -> CourseSession:
    screenings: list[Screening] = therapy_session.current_screenings  # type: ignore[attr-defined]
    ratings: list[AllianceRating] = therapy_session.client_ratings  # type: ignore[attr-defined]
    screening = screenings[-1] if screenings else None
    used = [each for each in ratings if not each.is_late]
    if screening:
        used = [each for each in used if each.questionnaire_id == screening.questionnaire_id]
    return CourseSession(
        number=number,
        therapy_session=therapy_session,
        rating=next(iter(used), None),
        late_rating=next((each for each in ratings if each.is_late), None),
        screening=screening,
    )


def _chart_session(each: CourseSession, note: str, entered: str) -> ChartSession:
    rating, screening = each.rating, each.screening
    return ChartSession(
        number=each.number,
        held_on=each.held_on,
        pomp=rating.pomp if rating else None,
        therapist_pomp=each.therapy_session.own_pomp if each.was_held else None,
        low=screening.low if screening else None,
        high=screening.high if screening else None,
        held=each.was_held,
        asked=each.therapy_session.asked and not each.is_partial and not each.late_rating,
        bond=rating.bond if rating else None,
        goals=rating.goals if rating else None,
        tasks=rating.tasks if rating else None,
        level=screening.level if screening else 0,
        in_episode=screening.in_episode if screening else False,
        event=(screening.event or None) if screening else None,  # type: ignore[arg-type]
        note=note,
        entered=entered,
        ratings_before=screening.ratings_before if screening else None,
    )


def _note(each: CourseSession, *, for_therapist: bool) -> str:
    if each.was_held and (each.rating or each.late_rating):
        return ""
    if each.was_held:
        return "" if for_therapist or each.therapy_session.asked else _("No rating")
    if (
        each.therapy_session.attendance == TherapySession.Attendance.THERAPIST_CANCELLED
        and not for_therapist
    ):
        return _("Cancelled by the therapist")
    return each.therapy_session.get_attendance_display()


def _entered(each: CourseSession, *, for_therapist: bool) -> str:
    """How the answers came: late, in part, and for others than the therapist, who handled them."""
    if each.rating is None:
        return _("Answered late") if each.late_rating else ""
    in_part = _("Answered in part") if each.is_partial else ""
    is_by_hand = each.rating.mode in AllianceRating.BY_HAND and not for_therapist
    return " · ".join(filter(None, (in_part, each.rating.get_mode_display() if is_by_hand else "")))


def _state(episode: RuptureEpisode) -> Literal["open", "recovering", "repaired", "closed"]:
    if episode.outcome == RuptureEpisode.Outcome.REPAIRED:
        return "repaired"
    if episode.outcome:
        return "closed"
    return "recovering" if episode.recovering_since else "open"


def _label(episode: RuptureEpisode, today: date) -> str:
    if episode.outcome and episode.outcome != RuptureEpisode.Outcome.REPAIRED:
        return episode.get_outcome_display()
    if episode.outcome or episode.recovering_since:
        return _("Possible rupture")
    return words.opened(episode.opened_at, today)


def _outcome_label(episode: RuptureEpisode, today: date) -> str:
    if episode.outcome == RuptureEpisode.Outcome.REPAIRED and episode.outcome_at:
        return _("Repaired %(day)s") % {
            "day": words.short_day(words.local(episode.outcome_at).date(), today)
        }
    return _("Recovering") if episode.recovering_since and not episode.outcome else ""


def heading(episode: RuptureEpisode, course: Episodes[Session], found: Reasons, today: date) -> str:
    """What an open episode is about: that it is recovering, else its strongest reason."""
    back = back_in_range(episode, course, today)
    return back or next(iter(found.speaks_for), _("Possible rupture"))


def back_in_range(episode: RuptureEpisode, course: Episodes[Session], today: date) -> str:
    """What to say of an open episode whose ratings are back or have settled, or that recovers by
    what the client said of tension alone; '' else."""

    def since(moment: datetime) -> dict[str, str]:
        return {"day": words.short_day(words.local(moment).date(), today)}

    if episode.recovering_since:
        said = (
            _("Back in the usual range since %(day)s; no outcome recorded yet.")
            if course.is_rated_back(episode)
            else _(
                "Recovering since %(day)s by what the client said of tension, without a rating; no"
                " outcome recorded yet."
            )
        )
        return said % since(episode.recovering_since)
    if episode.settled_lower_at:
        return _(
            "Ratings have settled at a lower level since %(day)s; no outcome recorded yet."
        ) % since(episode.settled_lower_at)
    return ""
