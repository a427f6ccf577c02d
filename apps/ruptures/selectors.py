"""Reads about flags: why a step was flagged, in words, and the one status of a treatment."""

from datetime import datetime, timedelta
from enum import StrEnum

from apps.ruptures import detection
from apps.ruptures.detection import Level
from apps.ruptures.models import RuptureEpisode, Screening
from apps.ruptures.reasons import RATINGS_BEFORE_RANGE, Reasons, reasons

REPAIRED_SHOWN_FOR = timedelta(days=28)
LITTLE_ROOM_AFTER = 5


class Status(StrEnum):
    """How a treatment stands: one word, the name of its pill. Strongest first."""

    MARKED = "marked"
    POSSIBLE = "possible"
    RECOVERING = "recovering"
    WATCH = "watch"
    REPAIRED = "repaired"
    NONE = "none"
    LITTLE_ROOM = "little_room"
    BASELINE_FORMING = "baseline_forming"
    NOT_ASKED = "not_asked"


def explain(screening: Screening, *, therapist_name: str = "") -> Reasons:
    """The reasons of a stored screening, as they were when it was made.

    Without `therapist_name` they speak to the therapist, with it about the therapist.
    """
    return reasons(
        detection.Step(**screening.inputs),
        detection.Screening.from_json(screening.outputs),
        ratings_before=screening.state_before["rated"],
        asked_before=screening.state_before["asked"],
        missed_before=screening.state_before["missed"],
        therapist_name=therapist_name,
    )


def episode_status(episode: RuptureEpisode) -> Status:
    """Status of an open episode. One that settled lower stays possible until a person says so."""
    if episode.recovering_since:
        return Status.RECOVERING
    return Status.MARKED if episode.marked_at else Status.POSSIBLE


def status(
    *,
    episode: RuptureEpisode | None,
    newest: Screening | None,
    last_closed: RuptureEpisode | None,
    was_asked: bool,
    at: datetime,
) -> Status:
    """Status of a treatment at the moment `at`.

    Args:
        episode: the open one.
        newest: current screening of the newest step.
        last_closed: the ended episode whose outcome was recorded last.
        was_asked: the client has been asked for feedback at least once.
    """
    if episode:
        return episode_status(episode)
    closed_at = last_closed.outcome_at if last_closed else None
    if (
        newest
        and newest.level >= Level.WATCH
        and not (closed_at and closed_at > newest.screened_at)
    ):
        return Status.WATCH
    if (
        last_closed
        and last_closed.outcome == RuptureEpisode.Outcome.REPAIRED
        and closed_at
        and closed_at >= at - REPAIRED_SHOWN_FOR
    ):
        return Status.REPAIRED
    ratings = newest.ratings_before + (newest.pomp is not None) if newest else 0
    if newest and newest.at_maximum_run >= LITTLE_ROOM_AFTER:
        return Status.LITTLE_ROOM
    if ratings > RATINGS_BEFORE_RANGE:
        return Status.NONE
    return Status.BASELINE_FORMING if ratings or was_asked else Status.NOT_ASKED
