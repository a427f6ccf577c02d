"""Asking for and offering support, planning meetings, and what is decided in them."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from apps.accounts import notices
from apps.accounts.models import Membership
from apps.accounts.turns import ask_again
from apps.clients.services import wait_for_turn
from apps.core import audit
from apps.ruptures.models import RuptureEpisode
from apps.ruptures.repair import EpisodeClosed, latest_worksheet, save_worksheet, sheet_of
from apps.ruptures.services import share_episode
from apps.supervision.models import Decision, Meeting, SupportMessage


class NobodySupervises(Exception):
    """Nobody is recorded as the therapist's supervisor now: there is nobody to ask."""


class MeetsSomebodyElse(Exception):
    """Another supervisee's meeting is planned then; the message says whose."""


class NotOnTheAgenda(Exception):
    """The supervisor may not see the episode any more: nothing is decided about it here."""


class MeetingOver(Exception):
    """It was too long ago, or the two are in supervision no more: nothing is stored."""


class ChangedMeanwhile(Exception):
    """The other one saved since the page was opened: nothing is stored."""


def supports_by_episode(
    episodes: Iterable[RuptureEpisode], *, read_by: Membership | None = None
) -> dict[UUID, list[SupportMessage]]:
    """The threads of several episodes, oldest message first, in one query.

    Args:
        read_by: a supervisor, who reads what was written while they supervised the therapist: it
            was meant for who did. None: the therapist, who reads all.
    """
    threads: dict[UUID, list[SupportMessage]] = {}
    supervisions = list(read_by.supervisions_given.all()) if read_by else []
    for message in (
        SupportMessage.objects.filter(episode__in=[each.id for each in episodes])
        .select_related("author", "episode__treatment")
        .order_by("sent_at", "id")
    ):
        therapist_id = message.episode.treatment.therapist_id
        of_therapist = [each for each in supervisions if each.supervisee_id == therapist_id]
        if read_by is None or any(each.held_at(message.sent_at) for each in of_therapist):
            threads.setdefault(message.episode_id, []).append(message)
    return threads


@transaction.atomic
def write_support(*, episode: RuptureEpisode, text: str, by: Membership) -> SupportMessage:
    """Add a message to the thread about an episode, and tell whom it is for.

    The therapist's asks for support and shares the episode, so that whoever is asked can see what
    it is about; a supervisor's offers support, and goes to the therapist.

    Raises:
        NobodySupervises: the therapist asks, and nobody is recorded to answer.
        EpisodeClosed: its outcome is recorded.
    """
    therapist = episode.treatment.therapist
    if episode.outcome:
        raise EpisodeClosed
    if by == therapist:
        readers = list(Membership.objects.supervising(therapist, on=timezone.localdate()))
        if not readers:
            raise NobodySupervises
        share_episode(episode=episode, by=by)
    else:
        readers = [therapist]
    message = SupportMessage.objects.create(
        practice_id=episode.practice_id, episode=episode, author=by, text=text
    )
    for reader in readers:
        notices.tell(member=reader, kind="support_message", subject=message)
    audit.record("write support", episode, client_id=episode.treatment.client_id, by=by)
    return message


@transaction.atomic
def plan_meeting(
    *, supervisee: Membership, starts_at: datetime, duration_min: int, by: Membership
) -> Meeting:
    """Plan a meeting of `by` with one of their supervisees. Twice equals once.

    Raises:
        MeetsSomebodyElse: nothing is planned.
    """
    meeting, created = Meeting.objects.get_or_create(
        practice_id=by.practice_id,
        supervisor=by,
        starts_at=starts_at,
        defaults={"supervisee": supervisee, "duration_min": duration_min},
    )
    if created:
        notices.tell(member=supervisee, kind="meeting", subject=meeting)
        audit.record("plan meeting", meeting, by=by)
    elif meeting.supervisee_id != supervisee.id:
        raise MeetsSomebodyElse(meeting.supervisee.name)
    return meeting


@transaction.atomic
def write_meeting(
    *, meeting: Meeting, opened_version: int, notes: str, wish: str | None = None, by: Membership
) -> None:
    """Save what both write about a meeting; `wish` is the supervisee's to change.

    Raises:
        MeetingOver: neither of them changes what both wrote.
        ChangedMeanwhile: the other one saved something else since version `opened_version`.
    """
    meeting = _held(meeting, by=by)
    if meeting.is_over:
        raise MeetingOver
    wish = meeting.wish if wish is None else wish
    if (meeting.notes, meeting.wish) == (notes, wish):
        return
    if meeting.version != opened_version:
        raise ChangedMeanwhile
    meeting.notes, meeting.wish = notes, wish
    meeting.version += 1
    meeting.save(update_fields=["notes", "wish", "version"])
    audit.record("write meeting", meeting, by=by)


@transaction.atomic
def send_agenda(*, meeting: Meeting, by: Membership) -> None:
    """Show the supervisee that the agenda is ready. Twice equals once.

    Raises:
        MeetingOver: it was too long ago, or they are in supervision no more.
    """
    meeting = _held(meeting, by=by)
    if meeting.is_over:
        raise MeetingOver
    if meeting.agenda_sent_at is None:
        meeting.agenda_sent_at = timezone.now()
        meeting.save(update_fields=["agenda_sent_at"])
        notices.tell(member=meeting.supervisee, kind="agenda", subject=meeting)
        audit.record("send agenda", meeting, by=by)


def _held(meeting: Meeting, *, by: Membership) -> Meeting:
    """As it is now; the other's save waits, and what refers to it does not.

    Raises:
        PermissionDenied: `by` lost roles or place while they waited.
    """
    meeting = Meeting.objects.select_for_update(no_key=True).get(pk=meeting.pk)
    ask_again(by)
    return meeting


@transaction.atomic
def decide(*, meeting: Meeting, episode: RuptureEpisode, text: str, by: Membership) -> Decision:
    """Record what was decided about an episode of the agenda, as its next action.

    Raises:
        MeetingOver: it was too long ago, or they are in supervision no more.
        NotOnTheAgenda: the episode is over by now, or its client with somebody else.
    """
    wait_for_turn(by=by, treatments__episodes=episode)
    if meeting.is_over:
        raise MeetingOver
    # One at a time: what somebody saves at this moment is seen first.
    found = (
        meeting.episodes()
        .select_for_update(of=("self",), no_key=True)
        .filter(pk=episode.pk)
        .first()
    )
    if found is None:
        raise NotOnTheAgenda
    decision = Decision.objects.create(
        practice_id=meeting.practice_id, meeting=meeting, episode=found, text=text, written_by=by
    )
    latest = latest_worksheet(found)
    save_worksheet(
        episode=found,
        sheet=replace(sheet_of(latest), next_action=text),
        opened_version=latest.version if latest else 0,
        by=by,
    )
    audit.record("decide", decision, client_id=found.treatment.client_id, by=by)
    return decision


@transaction.atomic
def mark_done(*, decision: Decision, by: Membership) -> None:
    """Twice equals once, also by both: who ticked it first did."""
    undone = Decision.objects.filter(id=decision.id, done_at=None)
    if undone.update(done_at=timezone.now(), done_by=by):
        client_id = decision.episode.treatment.client_id
        audit.record("mark decision done", decision, client_id=client_id, by=by)
