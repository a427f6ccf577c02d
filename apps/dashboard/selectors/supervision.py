"""What a supervisor sees: episodes by code, and nothing that compares one person with another."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from uuid import UUID

from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from apps.accounts.models import Membership, Supervision
from apps.alliance.models import AllianceRating, Cause
from apps.clients.models import Treatment
from apps.core.names import first_name
from apps.dashboard.chart_parts import ChartSession, Sparkline
from apps.dashboard.chart_text import AllianceChart, alliance_chart, labelled_sparkline
from apps.dashboard.selectors import words
from apps.dashboard.selectors.course import Course, back_in_range, heading, load_courses
from apps.dashboard.selectors.repair_steps import Step, repair_steps
from apps.dashboard.sparklines import SLOTS_SPARKLINE, sparkline_floor
from apps.ruptures.models import RepairStep, RuptureEpisode, Worksheet
from apps.ruptures.reasons import Reasons
from apps.ruptures.repair import Sheet, latest_worksheet, notes_readers, sheet_of
from apps.ruptures.selectors import Status, episode_status
from apps.supervision.models import Meeting, SupportMessage
from apps.supervision.services import supports_by_episode

SESSIONS_BEFORE_OPENING = 8
SHARED, MARKED, WAITED, ASKED = "shared", "marked", "waited", "asked"


@dataclass(frozen=True)
class SupervisionFilter:
    """Which episodes the address asks for: of one supervisee (an id), or seen for one reason."""

    supervisee: str = ""
    why: str = ""


@dataclass(frozen=True)
class QueuedEpisode:
    """One episode as list and panels show it; see components/supervision_row.html."""

    url: str
    code: str
    status: Status
    sparkline: Sparkline
    reason: str
    waiting: str
    therapist: str
    via: str
    asked: str


@dataclass(frozen=True)
class Supervisee:
    """One panel; see components/supervisee_card.html. `meeting_id`: None where none is planned."""

    id: UUID
    name: str
    meeting_id: UUID | None
    meeting: str
    since: str
    episodes: tuple[QueuedEpisode, ...]
    other_codes: tuple[str, ...]


@dataclass(frozen=True)
class Option:
    value: str
    label: str
    current: bool


@dataclass(frozen=True)
class SupervisionPage:
    subtitle: str
    queue: tuple[QueuedEpisode, ...]
    is_filtered: bool
    who: tuple[Option, ...]
    why: tuple[Option, ...]
    wait_hours: int
    supervisees: tuple[Supervisee, ...]
    client_ids: frozenset[UUID]


@dataclass(frozen=True)
class SupervisedEpisodePage:
    """One episode, for reading only: no initials and no comments.

    `notes` are pairs of step and text, None where the therapist does not share them.
    """

    episode_id: UUID
    code: str
    status: Status
    heading: str
    facts: tuple[tuple[str, str], ...]
    chart: AllianceChart
    reasons: Reasons
    kind: str
    causes: tuple[str, ...]
    steps: tuple[Step, ...]
    notes: tuple[tuple[str, str], ...] | None
    thread: tuple[SupportMessage, ...]


def supervision_page(
    membership: Membership, *, today: date, at: datetime, chosen: SupervisionFilter
) -> SupervisionPage:
    """Compose the page, in a constant number of queries however many supervisees there are."""
    supervisions = list(
        Supervision.objects.current(on=today)
        .filter(supervisor=membership)
        .select_related("supervisee")
        .order_by("supervisee__name", "starts_on")
    )
    names = {each.supervisee_id: each.supervisee.name for each in supervisions}
    who = {"": _("All supervisees"), **{str(id_): name for id_, name in names.items()}}
    why = _why_choices(membership)
    # What is no filter (any more) hides nothing.
    chosen = SupervisionFilter(
        chosen.supervisee if chosen.supervisee in who else "",
        chosen.why if chosen.why in why else "",
    )
    episodes = sorted(
        RuptureEpisode.objects.for_supervisor(membership, at=at).select_related(
            "treatment__client", "treatment__therapist", "practice"
        ),
        key=waiting_since,
    )
    codes = list(
        Treatment.objects.visible_to(membership, on=today)
        .filter(therapist__in=names)
        .order_by("client__code")
        .values_list("id", "therapist_id", "client__code", "client_id")
    )
    courses = load_courses({episode.treatment_id for episode in episodes})
    floor = sparkline_floor(
        course.chart_sessions()[-SLOTS_SPARKLINE:] for course in courses.values()
    )
    threads = supports_by_episode(episodes, read_by=membership)
    meetings = {
        each.supervisee_id: each
        for each in Meeting.objects.visible_to(membership)
        .filter(supervisor=membership, starts_at__gte=at - timedelta(hours=1))
        .order_by("-starts_at")
    }
    shown = queue_of(episodes, courses, threads, floor=floor, today=today)
    screened = [
        newest.screened_at for course in courses.values() if (newest := course.newest_screening)
    ]
    return SupervisionPage(
        subtitle=words.as_of(today, max(screened, default=None)),
        queue=tuple(shown[each.id] for each in episodes if _is_chosen(each, chosen, threads)),
        is_filtered=chosen != SupervisionFilter(),
        who=_options(who, chosen.supervisee),
        why=_options(why, chosen.why),
        wait_hours=membership.practice.supervisor_wait_hours,
        supervisees=tuple(
            Supervisee(
                id=id_,
                name=names[id_],
                meeting_id=meetings[id_].id if id_ in meetings else None,
                meeting=words.moment(meetings[id_].starts_at, today) if id_ in meetings else "",
                since=_since([each for each in supervisions if each.supervisee_id == id_], today),
                episodes=tuple(
                    shown[each.id] for each in episodes if each.treatment.therapist_id == id_
                ),
                other_codes=tuple(
                    code
                    for treatment_id, therapist_id, code, _client in codes
                    if therapist_id == id_ and treatment_id not in courses
                ),
            )
            for id_ in names
        ),
        client_ids=frozenset(client_id for *_rest, client_id in codes)
        | {each.treatment.client_id for each in episodes},
    )


def supervised_episode_page(
    episode: RuptureEpisode, *, reader: Membership, today: date
) -> SupervisedEpisodePage:
    """The reasons of an episode, the ratings around it, its steps and causes; of words, what was
    shared or written while `reader` supervised the therapist: it was meant for who did."""
    treatment = episode.treatment
    sheet = sheet_of(latest_worksheet(episode))
    course = load_courses([treatment.id])[treatment.id]
    opened_at = course.opened_at(episode)
    screened = (
        each.number
        for each in course.sessions
        if each.number >= opened_at - SESSIONS_BEFORE_OPENING and each.screening
    )
    first = next(screened, opened_at)
    return SupervisedEpisodePage(
        episode_id=episode.id,
        code=treatment.client.code,
        status=episode_status(episode),
        heading=_heading(episode, course, today),
        facts=(
            (_("Therapist"), treatment.therapist.name),
            (
                _("Opened"),
                _("%(moment)s, session %(number)d")
                % {"moment": words.moment(episode.opened_at, today), "number": opened_at},
            ),
            (_("Why you see it"), _via(episode, today)),
            (_("Waiting"), words.waiting(waiting_since(episode), today)),
            (
                _("Acknowledged"),
                words.moment(episode.seen_at, today) if episode.seen_at else _("Not yet"),
            ),
        ),
        chart=alliance_chart(
            treatment.client.code,
            _sessions_around(course, episode)[first - 1 :],
            course.chart_episodes(today, only=episode),
            for_therapist=False,
        ),
        reasons=course.reasons_of(episode, therapist_name=treatment.therapist.name),
        kind=str(Worksheet.Kind(sheet.kind).label) if sheet.kind else "",
        causes=tuple(str(Cause(cause).label) for cause in sheet.causes),
        steps=repair_steps(episode, sheet, today),
        notes=_notes(sheet) if notes_readers(episode, [reader]) else None,
        thread=tuple(supports_by_episode([episode], read_by=reader).get(episode.id, ())),
    )


def _notes(sheet: Sheet) -> tuple[tuple[str, str], ...]:
    notes = [(str(step.label), sheet.step(step).note) for step in RepairStep]
    return tuple(note for note in (*notes, (_("Next action"), sheet.next_action)) if note[1])


def _sessions_around(course: Course, episode: RuptureEpisode) -> list[ChartSession]:
    """The sessions without what became of them before this episode: that was not shared."""
    opened_at = course.opened_at(episode)
    return [
        each if each.number >= opened_at else replace(each, event=None, level=0)
        for each in course.chart_sessions(for_therapist=False)
    ]


def queue_of(
    episodes: Sequence[RuptureEpisode],
    courses: Mapping[UUID, Course],
    threads: Mapping[UUID, Sequence[SupportMessage]],
    *,
    floor: int,
    today: date,
) -> dict[UUID, QueuedEpisode]:
    """The episodes as a list shows them, by id."""
    return {
        each.id: _queued(
            each,
            courses[each.treatment_id],
            asked_at=_asked_at(each, threads),
            floor=floor,
            today=today,
        )
        for each in episodes
    }


def _asked_at(
    episode: RuptureEpisode, threads: Mapping[UUID, Sequence[SupportMessage]]
) -> datetime | None:
    """When the therapist asked for support and has had no answer since."""
    newest = threads.get(episode.id, [None])[-1]
    if newest is None or newest.author_id != episode.treatment.therapist_id:
        return None
    return newest.sent_at


def _queued(
    episode: RuptureEpisode,
    course: Course,
    *,
    asked_at: datetime | None,
    floor: int,
    today: date,
) -> QueuedEpisode:
    return QueuedEpisode(
        url=reverse("supervised_episode", args=[episode.id]),
        code=episode.treatment.client.code,
        status=episode_status(episode),
        sparkline=labelled_sparkline(
            _sessions_around(course, episode),
            course.chart_episodes(today, only=episode),
            floor=floor,
        ),
        reason=_heading(episode, course, today),
        waiting=words.waiting(waiting_since(episode), today),
        therapist=episode.treatment.therapist.name,
        via=_via(episode, today),
        asked=_("Asked for you, %(day)s")
        % {"day": words.short_day(words.local(asked_at).date(), today)}
        if asked_at
        else "",
    )


def _heading(episode: RuptureEpisode, course: Course, today: date) -> str:
    """What it is about; that ratings are back, with how many of them the therapist handled."""
    name = episode.treatment.therapist.name
    said = heading(episode, course, course.reasons_of(episode, therapist_name=name), today)
    by_hand = sum(
        each.rating is not None and each.rating.mode in AllianceRating.BY_HAND
        for each in course.since_opening(episode)[1:]
    )
    if not (by_hand and back_in_range(episode, course, today)):
        return said
    return (
        said
        + " "
        + ngettext(
            "Since it opened, one rating was entered from paper or answered in the room.",
            "Since it opened, %(count)d ratings were entered from paper or answered in the room.",
            by_hand,
        )
        % {"count": by_hand}
    )


def _whys(episode: RuptureEpisode) -> list[str]:
    """All that it is seen for, what is said of it first."""
    has_waited = episode.waited_at or episode.has_waited_by_now
    whys = {SHARED: episode.shared_with_reader_at, MARKED: episode.marked_at, WAITED: has_waited}
    return [why for why, holds in whys.items() if holds]


def waiting_since(episode: RuptureEpisode) -> datetime:
    """Since when it asks for a conversation: shared, marked, or, where it has waited, opened,
    whichever came first; or fell again since."""
    waited = episode.waited_at and episode.opened_at
    asked = (each for each in (episode.shared_with_reader_at, episode.marked_at, waited) if each)
    since = min(asked, default=episode.opened_at)
    return max(since, episode.fell_again_at or since)


def _via(episode: RuptureEpisode, today: date) -> str:
    [why, *_others], again = _whys(episode), episode.fell_again_at
    if why == SHARED:
        since, said = episode.shared_with_reader_at, _("Shared by %(name)s on %(day)s")
    elif why == MARKED:
        since, said = episode.marked_at, _("Marked on %(day)s")
    else:
        waits = episode.has_waited_by_now
        since, said = None if waits else episode.waited_at, _("Waited %(hours)d hours")
    said %= {
        "hours": episode.wait_hours,
        "name": first_name(episode.treatment.therapist.name),
        "day": _short_day(since, today) if since else "",
    }
    if since and again and since < again:
        said = _("%(seen)s; fell again on %(day)s") % {
            "seen": said,
            "day": _short_day(again, today),
        }
    return said


def _short_day(moment: datetime, today: date) -> str:
    return words.short_day(words.local(moment).date(), today)


def _is_chosen(
    episode: RuptureEpisode,
    chosen: SupervisionFilter,
    threads: Mapping[UUID, Sequence[SupportMessage]],
) -> bool:
    of_them = chosen.supervisee in ("", str(episode.treatment.therapist_id))
    if chosen.why == ASKED:
        return of_them and _asked_at(episode, threads) is not None
    return of_them and chosen.why in ("", *_whys(episode))


def _why_choices(membership: Membership) -> dict[str, str]:
    hours = {"hours": membership.practice.supervisor_wait_hours}
    return {
        "": _("Shared, marked or waited %(hours)d h") % hours,
        ASKED: _("Asked for you"),
        SHARED: _("Shared with you"),
        MARKED: _("Marked"),
        WAITED: _("Waited %(hours)d hours") % hours,
    }


def _options(choices: dict[str, str], chosen: str) -> tuple[Option, ...]:
    return tuple(Option(value, label, value == chosen) for value, label in choices.items())


def _since(supervisions: Sequence[Supervision], today: date) -> str:
    first, last = supervisions[0], supervisions[-1]
    said = {"since": words.short_day(first.starts_on, today)}
    if last.ends_on is None:
        return _("Supervised by you since %(since)s") % said
    said["until"] = words.short_day(last.ends_on, today)
    return _("Supervised by you since %(since)s, until %(until)s") % said
