"""How each treatment of a caseload stands: what the caseload page sorts, filters and counts by."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from uuid import UUID

from django.db.models import Count, Exists, F, Max, Min, OuterRef, Q, Subquery
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _

from apps.accounts.models import Membership
from apps.clients.models import Treatment
from apps.core.queries import among
from apps.dashboard.chart_parts import FIRST_RATING_WITH_RANGE
from apps.dashboard.selectors.course import Course, load_episodes
from apps.dashboard.selectors.feedback_states import FeedbackState, feedback_states
from apps.feedback.models import FeedbackRequest
from apps.ruptures.models import RuptureEpisode, Screening
from apps.ruptures.selectors import Status, status
from apps.therapy_sessions.models import TherapySession

ORDER = list(Status)
PLACE = ("treatment_id", "is_rated", "held_at", "therapy_session_id")
# What a status and the column 'latest' need of a screening.
SHOWN = ("pomp", "low", "high", "level", "ratings_before", "at_maximum_run", "screened_at")


@dataclass(frozen=True)
class Standing:
    """How one treatment stands now: what the list is sorted and filtered by."""

    treatment: Any  # a Treatment with logged, last_attended, next_at and was_asked
    episodes: tuple[RuptureEpisode, ...]  # oldest first
    episode: RuptureEpisode | None  # the open one
    newest: Any  # the row of a screening, `SHOWN` and held_at; None where there is none
    rated: Any  # the same of the newest rated step
    feedback: FeedbackState
    status: Status

    @property
    def url(self) -> str:
        return reverse("client", args=[self.treatment.client_id])

    @property
    def since(self) -> datetime:
        """When what is flagged was flagged."""
        if self.episode:
            return self.episode.opened_at
        return self.newest.screened_at if self.newest else timezone.now()

    @property
    def usual(self) -> tuple[int, int] | None:
        rated = self.rated
        if rated is None or rated.ratings_before + 1 < FIRST_RATING_WITH_RANGE:
            return None
        return max(0, round(rated.low)), min(100, round(rated.high))

    @property
    def latest(self) -> str:
        return str(round(self.rated.pomp or 0)) if self.rated else ""

    @property
    def below(self) -> bool:
        """Rated below the usual range in an open episode: amber is for possible ruptures alone."""
        if not (self.episode and self.rated and self.usual):
            return False
        return round(self.rated.pomp or 0) < self.usual[0]

    @property
    def is_latest_old(self) -> bool:
        """A later session has no rating (yet)."""
        return bool(
            self.rated
            and self.treatment.last_attended
            and self.rated.held_at < self.treatment.last_attended
        )

    def matches(self, query: str) -> bool:
        """Whether code or initials hold the query; dots, spaces and case do not matter."""
        wanted = _letters(query)
        client = self.treatment.client
        return wanted in _letters(client.code) or wanted in _letters(client.initials)


def load_standings(
    membership: Membership,
    also: Sequence[TherapySession],
    *,
    today: date,
    at: datetime,
    only: Collection[UUID] | None = None,
) -> tuple[list[Standing], dict[UUID, FeedbackState]]:
    """Each treatment of the caseload, strongest status first, and the feedback on its newest
    session and on the sessions `also`. `only` leaves out all but the treatments with these ids."""
    logged = ~Q(therapy_sessions__attendance="")
    attended = Q(therapy_sessions__attendance=TherapySession.Attendance.ATTENDED)
    planned = Q(therapy_sessions__attendance="", therapy_sessions__starts_at__gte=at)
    was_asked = FeedbackRequest.objects.filter(therapy_session__treatment=OuterRef("pk"))
    last_session = TherapySession.objects.filter(
        treatment=OuterRef("pk"), attendance=TherapySession.Attendance.ATTENDED
    ).order_by("-starts_at")
    caseload = Treatment.objects.conducted_by(membership)
    treatments = list(
        (caseload if only is None else caseload.filter(id__in=only))
        .select_related("client")
        .annotate(
            logged=Count("therapy_sessions", filter=logged),
            last_attended=Max("therapy_sessions__starts_at", filter=attended),
            next_at=Min("therapy_sessions__starts_at", filter=planned),
            was_asked=Exists(was_asked),
            last_session_id=Subquery(last_session.values("id")[:1]),
        )
    )
    ids = [treatment.id for treatment in treatments]
    newest, rated = _screenings(ids)
    episodes = load_episodes(ids)
    last_sessions = [each.last_session_id for each in treatments if each.last_session_id]
    states = feedback_states([*last_sessions, *(session.id for session in also)], today)
    standings = []
    for treatment in treatments:
        screening = newest.get(treatment.id)
        course = Course((), tuple(episodes[treatment.id]))
        feedback = states.get(treatment.last_session_id) or FeedbackState(
            "not_asked", _("No session yet")
        )
        standings.append(
            Standing(
                treatment=treatment,
                episodes=course.episodes,
                episode=course.open_episode,
                newest=screening,
                rated=rated.get(treatment.id),
                feedback=feedback,
                status=status(
                    episode=course.open_episode,
                    newest=screening,
                    last_closed=course.last_closed,
                    was_asked=treatment.was_asked or feedback.state != "not_asked",
                    at=at,
                ),
            )
        )
    standings.sort(key=lambda each: (ORDER.index(each.status), each.treatment.client.code))
    return standings, states


def _screenings(treatment_ids: Collection[UUID]) -> tuple[dict[UUID, Any], dict[UUID, Any]]:
    """By treatment, the current screening of the newest step and of the newest rated one."""
    newest: dict[UUID, Any] = {}
    rated: dict[UUID, Any] = {}
    # The newest rated and the newest unrated step of each, in the detector's order.
    for screening in (
        Screening.objects.current()
        .filter(among("treatment", treatment_ids))
        .annotate(held_at=F("therapy_session__starts_at"), is_rated=Q(pomp__isnull=False))
        .order_by("treatment_id", "is_rated", "-held_at", "-therapy_session_id")
        .distinct("treatment_id", "is_rated")
        .values_list(*PLACE, *SHOWN, named=True)
    ):
        treatment_id = screening.treatment_id
        if screening.pomp is not None:
            rated[treatment_id] = screening
        other = newest.get(treatment_id)
        if other is None or _place(screening) > _place(other):
            newest[treatment_id] = screening
    return newest, rated


def _place(screening: Any) -> tuple[datetime, UUID]:
    return screening.held_at, screening.therapy_session_id


def _letters(text: str) -> str:
    return "".join(filter(str.isalnum, text)).lower()
