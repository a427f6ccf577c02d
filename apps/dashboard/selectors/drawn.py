"""A treatment's course as far as a sparkline draws it: rows of one query in place of models.

A caseload draws hundreds of sessions and reads nothing else of them. The rating is the one that the
screening was made from.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from django.db.models import FilteredRelation, Q

from apps.dashboard.chart_parts import ChartSession
from apps.dashboard.selectors import words
from apps.dashboard.selectors.course import FLAGGING, Episodes, logged_sessions
from apps.ruptures.models import RuptureEpisode
from apps.therapy_sessions.models import TherapySession

COLUMNS = (
    *("starts_at", "attendance", "step__id", "step__pomp", "step__low", "step__high"),
    *("step__level", "step__event", "step__in_episode", "step__ratings_before"),
)


class DrawnSession(NamedTuple):
    """`step` is the id of the current screening; without one, all after it is None."""

    number: int
    id: UUID
    starts_at: datetime
    attendance: str
    step: UUID | None
    pomp: float | None
    low: float | None
    high: float | None
    level: int | None
    event: str | None
    in_episode: bool | None
    ratings_before: int | None


@dataclass(frozen=True)
class DrawnCourse(Episodes[DrawnSession]):
    def chart_sessions(self) -> list[ChartSession]:
        return [
            ChartSession(
                number=each.number,
                held_on=words.local(each.starts_at).date(),
                pomp=each.pomp,
                low=each.low,
                high=each.high,
                held=each.attendance == TherapySession.Attendance.ATTENDED,
                level=each.level or 0,
                in_episode=each.in_episode or False,
                event=each.event or None,  # type: ignore[arg-type]
                ratings_before=each.ratings_before,
            )
            for each in self.sessions
        ]

    def flagging(self, episode: RuptureEpisode | None) -> UUID | None:
        """The screening that opened the episode or, later, flagged it more strongly; without an
        episode the newest one."""
        steps = [
            each.step
            for each in (self.since_opening(episode) if episode else self.sessions)
            if each.step and (episode is None or each.event in FLAGGING)
        ]
        return steps[-1] if steps else None


def load_drawn(episodes: Mapping[UUID, tuple[RuptureEpisode, ...]]) -> dict[UUID, DrawnCourse]:
    """What is drawn of these treatments, whose episodes are known: one query, however many."""
    sessions: dict[UUID, dict[UUID, DrawnSession]] = {id_: {} for id_ in episodes}
    current = FilteredRelation("screenings", condition=Q(screenings__superseded_at__isnull=True))
    for treatment_id, id_, *columns in (
        logged_sessions(episodes)
        .annotate(step=current)
        .order_by("starts_at", "id", "step__screened_at")
        .values_list("treatment_id", "id", *COLUMNS)
    ):
        course = sessions[treatment_id]
        # A session that two questionnaires were screened about: the newest word is drawn.
        number = course[id_].number if id_ in course else len(course) + 1
        course[id_] = DrawnSession(number, id_, *columns)
    return {id_: DrawnCourse(tuple(sessions[id_].values()), episodes[id_]) for id_ in episodes}
