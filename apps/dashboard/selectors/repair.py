"""The repair record of one episode: from the break to its outcome, for the treating therapist."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from itertools import pairwise
from uuid import UUID

from django.utils.translation import gettext as _

from apps.accounts.models import Membership
from apps.alliance.models import Cause
from apps.dashboard.chart_text import AllianceChart, alliance_chart
from apps.dashboard.selectors import words
from apps.dashboard.selectors.course import Course, back_in_range, heading, load_courses
from apps.dashboard.selectors.episode_panel import (
    causes_ticked,
    first_names,
    seen_by,
    suggestion,
)
from apps.dashboard.selectors.repair_steps import Step, repair_steps
from apps.ruptures.models import RepairStep, RuptureEpisode, Worksheet
from apps.ruptures.notices import shared_with
from apps.ruptures.reasons import Reasons
from apps.ruptures.repair import (
    Sheet,
    notes_readers,
    sheet_of,
    worksheets,
)
from apps.ruptures.repair_prompts import prompt_file
from apps.ruptures.selectors import episode_status
from apps.supervision.models import SupportMessage
from apps.supervision.services import supports_by_episode

SESSIONS_BEFORE_OPENING = 6


@dataclass(frozen=True)
class Change:
    """What one save said anew: a label and the words as they were saved."""

    label: str
    text: str


@dataclass(frozen=True)
class Event:
    """One entry of the history: when, what happened, and what was written."""

    when: str
    what: str
    changes: tuple[Change, ...] = ()


@dataclass(frozen=True)
class RepairPage:
    """All of the record. `outcome` is '' while the episode is open; `saved` when the worksheet
    was; `boundary` says that a boundary issue is ticked or suggested; `supervisors`, and of them
    `notes_readers`, are first names, '' where there is nobody."""

    episode_id: UUID
    client_id: UUID
    code: str
    initials: str
    status: str
    outcome: str
    outcome_reason: str
    facts: tuple[tuple[str, str], ...]
    chart: AllianceChart
    back_in_range: str
    reasons: Reasons
    suggestion: str
    boundary: bool
    kind: str
    causes: tuple[str, ...]
    steps: tuple[Step, ...]
    saved: str
    seen_by: str
    supervisors: str
    is_shared: bool
    notes_readers: str
    history: tuple[Event, ...]
    sources: tuple[str, ...]
    prompts_version: int
    thread: tuple[SupportMessage, ...]


def repair_page(episode: RuptureEpisode, *, today: date) -> RepairPage:
    """Compose the record, in a constant number of queries however long the history."""
    treatment = episode.treatment
    course = load_courses([treatment.id])[treatment.id]
    supervisors = list(Membership.objects.supervising(treatment.therapist, on=today))
    shared = shared_with(episode, supervisors)
    saved = worksheets(episode)
    sheet = sheet_of(saved[0] if saved else None)
    found = course.reasons_of(episode)
    first = max(1, course.opened_at(episode) - SESSIONS_BEFORE_OPENING)
    return RepairPage(
        episode_id=episode.id,
        client_id=treatment.client_id,
        code=treatment.client.code,
        initials=treatment.client.initials,
        status=_status(episode),
        outcome=episode.get_outcome_display() if episode.outcome else "",
        outcome_reason=episode.outcome_reason,
        facts=_facts(episode, course, found, today),
        chart=alliance_chart(
            treatment.client.code,
            course.chart_sessions()[first - 1 :],
            course.chart_episodes(today, only=episode),
        ),
        back_in_range=back_in_range(episode, course, today),
        reasons=found,
        suggestion=suggestion(course, episode),
        boundary=Cause.BOUNDARY in (*sheet.causes, *causes_ticked(course, episode)),
        kind=str(Worksheet.Kind(sheet.kind).label) if sheet.kind else "",
        causes=tuple(str(Cause(cause).label) for cause in sheet.causes),
        steps=repair_steps(episode, sheet, today),
        saved=words.moment(saved[0].saved_at, today) if saved else "",
        seen_by=seen_by(episode, supervisors, shared),
        supervisors=first_names(supervisors),
        is_shared=bool(shared),
        notes_readers=first_names(notes_readers(episode, supervisors)),
        history=_history(episode, course, saved, today),
        sources=tuple(prompt_file().sources.values()),
        prompts_version=prompt_file().version,
        thread=tuple(supports_by_episode([episode]).get(episode.id, ())),
    )


def _status(episode: RuptureEpisode) -> str:
    if not episode.outcome:
        return episode_status(episode)
    return "repaired" if episode.outcome == RuptureEpisode.Outcome.REPAIRED else ""


def _facts(
    episode: RuptureEpisode, course: Course, found: Reasons, today: date
) -> tuple[tuple[str, str], ...]:
    treatment = episode.treatment
    facts = [
        (_("Client"), f"{treatment.client.initials} · {treatment.client.code}"),
        (_("Therapist"), treatment.therapist.name),
        (
            _("Opened"),
            _("%(day)s, session %(number)d")
            % {
                "day": words.day(words.local(episode.opened_at).date(), today),
                "number": course.opened_at(episode),
            },
        ),
        (_("Why"), next(iter(found.speaks_for), heading(episode, course, found, today))),
    ]
    if episode.outcome_at:
        closed = words.short_day(words.local(episode.outcome_at).date(), today)
        facts.append((_("Outcome"), f"{episode.get_outcome_display()}, {closed}"))
    else:
        facts.append((_("Open for"), words.waiting(episode.opened_at, today)))
    return tuple(facts)


def _history(
    episode: RuptureEpisode, course: Course, saved: Sequence[Worksheet], today: date
) -> tuple[Event, ...]:
    """Everything that was noted about the episode, newest first."""
    events: list[tuple[datetime, str, tuple[Change, ...]]] = [
        (episode.opened_at, _("Opened"), ()),
    ]
    for moment, what in (
        (episode.marked_at, _("Marked")),
        (episode.acknowledged_at, _("Acknowledged")),
        (episode.fell_again_at, _("Fell again")),
        (episode.shared_at, _("Shared with supervision")),
        (episode.notes_shared_at, _("Notes shared with supervision")),
        (episode.recovering_since, _("Recovering")),
        (episode.settled_lower_at, _("Ratings settled at a lower level")),
    ):
        if moment:
            events.append((moment, what, ()))
    sheets = [*(sheet_of(each) for each in saved), Sheet()]
    for worksheet, (after, before) in zip(saved, pairwise(sheets), strict=True):
        what = _("Worksheet saved by %(name)s") % {"name": worksheet.saved_by.name}
        events.append((worksheet.saved_at, what, tuple(_changes(before, after, today))))
    if episode.outcome_at:
        reason = Change(_("In a few words"), episode.outcome_reason)
        changes = (reason,) if episode.outcome_reason else ()
        events.append((episode.outcome_at, episode.get_outcome_display(), changes))
    events.sort(key=lambda event: event[0], reverse=True)
    return tuple(Event(words.moment(when, today), what, changes) for when, what, changes in events)


def _changes(before: Sheet, after: Sheet, today: date) -> Iterator[Change]:
    """What a save changed, as it was saved; what was emptied is said too."""
    blank = _("(emptied)")
    if before.kind != after.kind:
        yield Change(
            _("How it showed"), str(Worksheet.Kind(after.kind).label) if after.kind else blank
        )
    if before.causes != after.causes:
        labels = ", ".join(str(Cause(cause).label) for cause in after.causes)
        yield Change(_("What may be behind it"), labels or blank)
    if before.next_action != after.next_action:
        yield Change(_("Next action"), after.next_action or blank)
    for step in RepairStep:
        entry = after.step(step)
        if entry != before.step(step):
            day = words.short_day(entry.done_on, today) if entry.done_on else ""
            yield Change(str(step.label), "\n".join(filter(None, (day, entry.note))) or blank)
