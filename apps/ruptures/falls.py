"""The falls of a possible rupture: what its steps say now of when it opened, fell again, was marked
and came back, and which of its falls its therapist has acknowledged."""

from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from django.db.models import Min, Q

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
    """Derive when it was marked, fell again, recovering, settled lower; saved by who asks."""
    acknowledged_at = episode.acknowledged_at
    waits_anew = acknowledged_at is not None and not episode.seen_at
    steps = _steps(episode)
    episode.recovering_since = episode.settled_lower_at = None
    for step in steps:
        if step.event == Event.OPENED:
            episode.recovering_since = episode.settled_lower_at = None
        elif step.event == Event.REPAIRED:
            episode.recovering_since = step.screened_at
        elif step.event == Event.SETTLED_LOWER:
            episode.settled_lower_at = step.screened_at
    falls = _falls(episode, steps)
    marked = [max(each.marked_at, episode.opened_at) for each in falls if each.marked_at]
    unseen = [each for each in marked if acknowledged_at and acknowledged_at < each]
    episode.marked_at = next(iter(unseen or marked), None)
    episode.last_fell_at = max((each.fell_at for each in falls if each.mark), default=None)
    new = [each.fell_at for each in falls if acknowledged_at and not each.is_seen]
    # Where it waits already it goes on doing so: no correction begins its waiting time anew.
    if waits_anew != bool(new):
        episode.fell_again_at = min(new, default=None)


class Fall(NamedTuple):
    """One opening of a possible rupture. `mark` tells it apart in what people are told: '' is the
    one that the possible rupture was first told by, another goes by since when it opens."""

    mark: str
    fell_at: datetime
    is_seen: bool
    marked_at: datetime | None


def falls_of(episode: RuptureEpisode) -> list[Fall]:
    """In the order of their sessions.

    One was seen where somebody acknowledged since it opened, or since it was part of what had
    opened, and the client has said nothing more by now. What comes to be known only afterwards,
    a second fall or a first one, is acknowledged anew.
    """
    return _falls(episode, _steps(episode))


def _falls(episode: RuptureEpisode, steps: list[Screening]) -> list[Fall]:
    acknowledged_at, falls = episode.acknowledged_at, []
    said = Screening.objects.filter(treatment=episode.treatment_id)
    fell = said.opened_since(acknowledged_at=acknowledged_at)
    # Also of what was screened anew since: no correction makes a mark younger.
    marking = said.filter(level=Level.MARKED, event__in=MARKS).order_by()
    marked = dict(marking.values_list("therapy_session").annotate(Min("screened_at")))
    for step in steps:
        if step.event == Event.OPENED:
            fell_at = fell[step.therapy_session_id]
            is_first = fell_at <= episode.opened_at or _stands_in(episode, step, fell_at)
            mark = "" if is_first else fell_at.isoformat()
            is_seen = acknowledged_at is not None and fell_at <= acknowledged_at
            falls.append(Fall(mark, fell_at, is_seen, marked_at=None))
        if falls and step.event in MARKS and step.level == Level.MARKED:
            marked_at = falls[-1].marked_at or marked[step.therapy_session_id]
            falls[-1] = falls[-1]._replace(marked_at=marked_at)
    return falls


def _stands_in(episode: RuptureEpisode, step: Screening, fell_at: datetime) -> bool:
    """Whether the possible rupture begins with it now, and it was a later part of the same as it
    opened, as with the step after one that a correction took away."""
    if step.therapy_session_id != episode.opened_by_id:
        return False
    said = Screening.objects.filter(
        Q(superseded_at=fell_at) | Q(screened_at=fell_at),
        therapy_session=step.therapy_session_id,
        in_episode=True,
        screened_at__gte=episode.opened_at,
    )
    return said.exclude(event=Event.OPENED).exists()


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
