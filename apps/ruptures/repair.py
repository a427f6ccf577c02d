"""The work of putting it right: the worksheet of an episode, and who may read it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from apps.accounts.models import Membership
from apps.core import audit
from apps.ruptures.models import RepairStep, RuptureEpisode, StepNote, Worksheet
from apps.ruptures.notices import seers, shared_with, tell_gone


class EpisodeClosed(Exception):
    """An outcome is recorded: nothing more is written about the episode."""


class ChangedMeanwhile(Exception):
    """Somebody saved since the form was opened: nothing is stored; `latest` is what they saved."""

    def __init__(self, latest: Worksheet) -> None:
        super().__init__()
        self.latest = latest


@dataclass(frozen=True)
class StepEntry:
    """A note on one step and its day: when it was done or, for the follow-up, is planned."""

    note: str = ""
    done_on: date | None = None


@dataclass(frozen=True)
class Sheet:
    """What a worksheet says. `steps` holds the steps with a note or a day, by `RepairStep`."""

    kind: str = ""
    causes: tuple[str, ...] = ()
    next_action: str = ""
    steps: Mapping[str, StepEntry] = field(default_factory=dict)

    def step(self, step: str) -> StepEntry:
        return self.steps.get(step, StepEntry())


def worksheets(episode: RuptureEpisode) -> list[Worksheet]:
    """Every version of the episode's worksheet, newest first, in two queries."""
    saved = episode.worksheets.select_related("saved_by").prefetch_related("step_notes")
    return list(saved.order_by("-version"))


def latest_worksheet(episode: RuptureEpisode) -> Worksheet | None:
    """The version that holds now; None where nothing has been saved."""
    return latest_worksheets([episode]).get(episode.id)


def latest_worksheets(episodes: Iterable[RuptureEpisode]) -> dict[UUID, Worksheet]:
    """The versions that hold now, by episode, in two queries however many there are."""
    newest = (
        Worksheet.objects.filter(episode__in=[each.id for each in episodes])
        .order_by("episode_id", "-version")
        .distinct("episode_id")
        .select_related("saved_by")
        .prefetch_related("step_notes")
    )
    return {each.episode_id: each for each in newest}


def sheet_of(worksheet: Worksheet | None) -> Sheet:
    """What a version says; an empty sheet for none."""
    if worksheet is None:
        return Sheet()
    notes = {each.step: each for each in worksheet.step_notes.all()}
    return Sheet(
        kind=worksheet.kind,
        causes=tuple(worksheet.causes),
        next_action=worksheet.next_action,
        steps={
            step: StepEntry(notes[step].note, notes[step].done_on)
            for step in RepairStep.values
            if step in notes
        },
    )


@transaction.atomic
def save_worksheet(
    *,
    episode: RuptureEpisode,
    sheet: Sheet,
    opened_version: int,
    at: datetime | None = None,
    by: Membership,
) -> Worksheet | None:
    """Save what the worksheet says as its next version. What is saved already stays as it is.

    Args:
        opened_version: the version the writer had before them; 0 where there was none.

    Raises:
        EpisodeClosed: an outcome is recorded.
        ChangedMeanwhile: a later version than `opened_version` says something else.
    """
    # One at a time: whoever comes second is compared with what the first saved.
    episode = RuptureEpisode.objects.select_for_update(of=("self",), no_key=True).get(pk=episode.pk)
    if episode.outcome:
        raise EpisodeClosed
    latest = latest_worksheet(episode)
    if sheet == sheet_of(latest):
        return latest
    if latest and latest.version != opened_version:
        raise ChangedMeanwhile(latest)
    worksheet = Worksheet.objects.create(
        practice_id=episode.practice_id,
        episode=episode,
        version=latest.version + 1 if latest else 1,
        saved_at=at or timezone.now(),
        saved_by=by,
        kind=sheet.kind,
        causes=list(sheet.causes),
        next_action=sheet.next_action,
    )
    StepNote.objects.bulk_create(
        [
            StepNote(
                practice_id=episode.practice_id,
                worksheet=worksheet,
                step=step,
                note=entry.note,
                done_on=entry.done_on,
            )
            for step, entry in sheet.steps.items()
            if entry != StepEntry()
        ]
    )
    audit.record("save worksheet", episode, client_id=episode.treatment.client_id, by=by)
    return worksheet


@transaction.atomic
def set_causes(*, episode: RuptureEpisode, causes: list[str], by: Membership) -> None:
    """Note what the therapist thinks may be behind it: a working hypothesis.

    Twice equals once, and the rest of the worksheet stays. Raises EpisodeClosed, or IntegrityError
    for a cause that is none of `Cause`.
    """
    latest = latest_worksheet(episode)
    save_worksheet(
        episode=episode,
        sheet=replace(sheet_of(latest), causes=tuple(causes)),
        opened_version=latest.version if latest else 0,
        by=by,
    )


def notes_readers(episode: RuptureEpisode, supervisors: Iterable[Membership]) -> list[Membership]:
    """Who of its therapist's supervisors reads the notes: those whose supervision has held since
    they were shared. Not who began since, nor who begins again: what was written while they were
    away was not for them."""
    if episode.notes_shared_at is None:
        return []
    return shared_with(episode, supervisors, since=episode.notes_shared_at)


@transaction.atomic
def set_sharing(*, episode: RuptureEpisode, share: bool, share_notes: bool, by: Membership) -> None:
    """Say what the therapist's current supervisors may see of an open episode; twice equals once.
    What one of them does not see, or read, yet is shared anew, with all of them; but as notes are
    taken back nothing is.

    Taking it back holds from the next request on. Notes are shown with the episode or not at all.
    A marked episode, and one that waited too long, they see also when it is not shared. Of one that
    they see no more they are told.

    Raises:
        EpisodeClosed: an outcome is recorded.
    """
    if episode.outcome:
        raise EpisodeClosed
    now = timezone.now()
    therapist, today = episode.treatment.therapist, timezone.localdate(now)
    supervisors = list(Membership.objects.supervising(therapist, on=today))
    seen_by = seers(episode)
    before = (episode.shared_at, episode.notes_shared_at)
    is_taken_back = episode.notes_shared_at and not share_notes
    is_with_all = shared_with(episode, supervisors) == supervisors
    if not (share or share_notes):
        episode.shared_at = None
    elif not episode.shared_at or not (is_with_all or is_taken_back):
        episode.shared_at = now
    if not share_notes:
        episode.notes_shared_at = None
    elif not episode.notes_shared_at or notes_readers(episode, supervisors) != supervisors:
        episode.notes_shared_at = now
    if before == (episode.shared_at, episode.notes_shared_at):
        return
    episode.save(update_fields=["shared_at", "notes_shared_at"])
    tell_gone(episode, seen_by=seen_by)
    audit.record("set sharing", episode, client_id=episode.treatment.client_id, by=by)
