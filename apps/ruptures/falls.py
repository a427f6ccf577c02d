"""The falls of a possible rupture: what its steps say now of when it opened, fell again, was marked
and came back, and which of its falls its therapist has acknowledged."""

from datetime import datetime
from uuid import UUID

from django.db.models import Min

from apps.ruptures.detection import Event, Level
from apps.ruptures.models import MARKS, RuptureEpisode, Screening

SUPERSEDED = RuptureEpisode.Outcome.SUPERSEDED


def was_known_within(session_id: UUID, known_at: datetime, *, at: datetime) -> bool:
    """Whether a step was known at a moment, and a possible rupture was open at it then."""
    said = Screening.objects.filter(therapy_session=session_id)
    return known_at <= at and said.within_an_episode(at=at).exists()


def is_about(episode: RuptureEpisode, step: Screening) -> bool:
    """Whether it began with this step, or before it, and had no outcome as that was known."""
    if episode.outcome_at is None:
        return episode.opened_by_id == step.therapy_session_id
    session, known_at = step.therapy_session, step.known_at
    return episode.opened_by.starts_at <= session.starts_at and was_known_within(
        session.id, known_at, at=episode.outcome_at
    )


def date_by_its_steps(episode: RuptureEpisode) -> None:
    """Derive when it was marked, fell again, recovering, settled lower; saved by who asks.

    A fall waits to be acknowledged as long as it opens what was not open, by what the client has
    said by now, as somebody acknowledged: a second one, once ratings had come back, as well as a
    first that comes to be known, or stands in for one that went, only afterwards.
    """
    acknowledged_at, fell_again_at, is_marked_anew = episode.acknowledged_at, None, False
    waits_anew = acknowledged_at is not None and not episode.seen_at
    fell = _fell(episode)
    # Also of what was screened anew since: no correction makes a mark younger.
    marking = Screening.objects.filter(treatment=episode.treatment, level=Level.MARKED)
    marking = marking.filter(event__in=MARKS).order_by()
    first_marked = dict(marking.values_list("therapy_session").annotate(Min("screened_at")))
    episode.marked_at = episode.last_fell_at = None
    episode.recovering_since = episode.settled_lower_at = None
    for step in _steps(episode):
        session_id = step.therapy_session_id
        if step.event in MARKS and step.level == Level.MARKED:
            marked_at = max(first_marked[session_id], episode.opened_at)
            is_new = acknowledged_at is not None and acknowledged_at < marked_at
            # The first of those that nobody has acknowledged, else the first.
            if episode.marked_at is None or (is_new and not is_marked_anew):
                episode.marked_at, is_marked_anew = marked_at, is_new
        if step.event == Event.OPENED:
            episode.recovering_since = episode.settled_lower_at = None
            fell_at = fell[session_id]
            if _is_told_apart(episode, session_id, fell_at):
                episode.last_fell_at = max(fell_at, episode.last_fell_at or fell_at)
            if acknowledged_at and acknowledged_at < fell_at:
                fell_again_at = fell_again_at or fell_at
        elif step.event == Event.REPAIRED:
            episode.recovering_since = step.screened_at
        elif step.event == Event.SETTLED_LOWER:
            episode.settled_lower_at = step.screened_at
    # Where it waits already it goes on doing so: no correction begins its waiting time anew.
    if waits_anew != bool(fell_again_at):
        episode.fell_again_at = fell_again_at


def marked_fall(episode: RuptureEpisode) -> tuple[str | None, bool]:
    """Which of its falls was marked last, and whether that is the last one, or the one that waits.

    '' is the first fall, another goes by since when its session opens it; None where none is
    marked.
    """
    fell, fall, marked = _fell(episode), "", None
    for step in _steps(episode):
        fell_at = fell.get(step.therapy_session_id)
        if step.event == Event.OPENED and fell_at:
            is_apart = _is_told_apart(episode, step.therapy_session_id, fell_at)
            fall = fell_at.isoformat() if is_apart else ""
        if step.event in MARKS and step.level == Level.MARKED:
            marked = fall
    waits = episode.fell_again_at.isoformat() if episode.fell_again_at else ""
    return marked, marked in {fall, waits}


def _steps(episode: RuptureEpisode) -> list[Screening]:
    """What is said now of the steps since its opening, by whichever questionnaire they were rated,
    without those that the outcome of another is about."""
    said = (
        Screening.objects.current()
        .filter(treatment=episode.treatment_id)
        .filter(therapy_session__starts_at__gte=episode.opened_by.starts_at)
        .exclude(event="")
        .select_related("therapy_session")
        .defer("inputs", "outputs", "state_before", "state_after")
        .order_by("therapy_session__starts_at", "therapy_session_id")
    )
    settled = (
        RuptureEpisode.objects.filter(treatment=episode.treatment_id)
        .filter(opened_by__starts_at__gte=episode.opened_by.starts_at)
        .exclude(outcome__in=["", SUPERSEDED])
        .exclude(id=episode.id)
        .select_related("opened_by")
    )
    others = list(settled)
    return [step for step in said if not any(is_about(each, step) for each in others)]


def _fell(episode: RuptureEpisode) -> dict[UUID, datetime]:
    return Screening.objects.filter(treatment=episode.treatment_id).opened_since(
        acknowledged_at=episode.acknowledged_at
    )


def _is_told_apart(episode: RuptureEpisode, session_id: UUID, fell_at: datetime) -> bool:
    """From the fall that the possible rupture was first told by."""
    acknowledged_at = episode.acknowledged_at
    is_new = acknowledged_at is not None and acknowledged_at < fell_at
    return is_new or session_id != episode.opened_by_id
