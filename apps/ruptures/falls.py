"""The falls of a possible rupture: what its steps say now of when it opened, fell again, was marked
and came back, and which of its falls its therapist has acknowledged."""

from collections import defaultdict
from collections.abc import Callable, Collection
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from apps.ruptures.detection import Event, Level
from apps.ruptures.models import MARKS, RuptureEpisode, Screening

SUPERSEDED = RuptureEpisode.Outcome.SUPERSEDED
# Of a step's inputs those that no therapist corrects to and fro.
OF_THE_CLIENT = ("pomp", "asked", "tension", "resolved")

Histories = dict[UUID, list[Screening]]
"""By session: all that was ever said of it, in its order."""


def was_known_within(session_id: UUID, known_at: datetime, *, at: datetime) -> bool:
    """Whether a step was known at a moment, and a possible rupture was open at it then."""
    said = Screening.objects.filter(therapy_session=session_id)
    return known_at <= at and said.said_at(at).filter(in_episode=True).exists()


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
    acknowledged_at = episode.acknowledged_at
    falls: list[Fall] = []
    histories = _histories([step for step in steps if step.event in MARKS])
    for step in steps:
        said = histories[step.therapy_session_id]
        if step.event == Event.OPENED:
            fell_at = _since(said, _opens, acknowledged_at=acknowledged_at)
            is_seen = acknowledged_at is not None and fell_at <= acknowledged_at
            stands_in = is_seen or not acknowledged_at
            stands_in = stands_in and _stands_in(episode, step, said, fell_at)
            is_first = fell_at <= episode.opened_at or stands_in
            mark = "" if is_first else fell_at.isoformat()
            if any(each.mark == mark for each in falls):  # found at one moment, each is told
                mark = f"{fell_at.isoformat()} {step.therapy_session_id.hex[:8]}"
            falls.append(Fall(mark, fell_at, is_seen, marked_at=None))
        if falls and _marks(step):
            marked_at = max(_since(said, _marks), falls[-1].fell_at)
            falls[-1] = falls[-1]._replace(marked_at=marked_at)
    return falls


def opened_since(openings: Collection[Screening]) -> dict[UUID, datetime]:
    """By session: since when it opens what it opens, whatever was acknowledged."""
    return {session: _since(said, _opens) for session, said in _histories(openings).items()}


def _histories(steps: Collection[Screening]) -> Histories:
    histories: Histories = defaultdict(list)
    said = Screening.objects.filter(therapy_session__in=[it.therapy_session_id for it in steps])
    shown = said.defer("outputs", "state_before", "state_after")
    for each in shown.order_by("screened_at", "superseded_at", "id") if steps else ():
        histories[each.therapy_session_id].append(each)
    return histories


def _opens(step: Screening) -> bool:
    return step.event == Event.OPENED


def _marks(step: Screening) -> bool:
    return step.event in MARKS and step.level == Level.MARKED


def _words(step: Screening) -> tuple[object, ...]:
    """What the client said of the session, or that they said nothing."""
    return tuple(step.inputs.get(name) for name in OF_THE_CLIENT)


def _since(
    said: list[Screening],
    holds: Callable[[Screening], bool],
    *,
    acknowledged_at: datetime | None = None,
) -> datetime:
    """Since when what is said of a session now holds.

    An answer that agrees with what held goes on with it; where the client, or their silence, says
    what they said before, it is back as it was: no correction to and fro makes it younger.

    An acknowledgement covers what held then, and what was part of a possible rupture then. Where
    neither did, nothing of before counts.

    Args:
        said: its history; the last word that holds is what is said now.
    """
    since: dict[tuple[object, ...], datetime] = {}
    if acknowledged_at:
        then = [each for each in said if each.was_said_at(acknowledged_at)]
        if not any(map(holds, then)):
            since = {_words(each): each.screened_at for each in then if each.in_episode}
            said = [each for each in said if each.screened_at > acknowledged_at]
    until: dict[datetime | None, datetime] = {}
    for each in filter(holds, said):
        words = _words(each)
        since.setdefault(words, until.get(each.screened_at, each.screened_at))
        until[each.superseded_at] = since[words]
    return until[None]


def _stands_in(
    episode: RuptureEpisode, step: Screening, said: list[Screening], fell_at: datetime
) -> bool:
    """Whether the possible rupture begins with it now, and it was a later part of the same as it
    opened, as with the step after one that a correction took away."""
    return step.therapy_session_id == episode.opened_by_id and any(
        fell_at in {each.superseded_at, each.screened_at}
        and each.in_episode
        and each.event != Event.OPENED
        and each.screened_at >= episode.opened_at
        for each in said
    )


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
