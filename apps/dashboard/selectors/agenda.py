"""The agenda of a supervision meeting, and the list of one's meetings."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID

from django.db.models import BooleanField, Exists, ExpressionWrapper, F, OuterRef, Q
from django.db.models.functions import Coalesce
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext as _

from apps.accounts.models import Membership
from apps.alliance.models import AllianceRating, Cause
from apps.clients.models import Treatment
from apps.core.models import OutboxMessage
from apps.dashboard.selectors import words
from apps.dashboard.selectors.course import load_courses
from apps.dashboard.selectors.supervision import QueuedEpisode, queue_of, waiting_since
from apps.dashboard.sparklines import SLOTS_SPARKLINE, sparkline_floor
from apps.feedback.models import MESSAGES, FeedbackRequest
from apps.ruptures.models import RepairStep, RuptureEpisode
from apps.ruptures.notices import gone_from, why_gone
from apps.ruptures.reasons import Reasons
from apps.ruptures.repair import latest_worksheets, sheet_of
from apps.supervision.models import Decision, Meeting
from apps.supervision.services import supports_by_episode
from apps.therapy_sessions.models import TherapySession

State = FeedbackRequest.State
ATTENDED = TherapySession.Attendance.ATTENDED
NOT_LOGGED_FOR = timedelta(days=1)
MOST_MEETINGS = 20


@dataclass(frozen=True)
class AgendaItem:
    """One episode to talk about. `steps` names the steps of repair that have a day or a note."""

    episode: QueuedEpisode
    reasons: Reasons
    causes: tuple[str, ...]
    steps: tuple[str, ...]


@dataclass(frozen=True)
class AgendaPage:
    """One meeting: what is open now, longest waiting first, and what was decided last time."""

    title: str
    when: str
    with_name: str
    items: tuple[AgendaItem, ...]
    skips: tuple[str, ...]
    gone: tuple[str, ...]
    ended: tuple[str, ...]
    decisions: tuple[Decision, ...]
    earlier: tuple[Decision, ...]
    earlier_notes: str
    earlier_on: str
    is_supervisor: bool
    wait_hours: int
    client_ids: tuple[UUID, ...]


@dataclass(frozen=True)
class MeetingRow:
    id: UUID
    when: str
    with_name: str
    state: str


def meetings_page(
    member: Membership, *, at: datetime
) -> tuple[tuple[MeetingRow, ...], tuple[MeetingRow, ...]]:
    """One's meetings: those to come, soonest first, and those that were, latest first."""
    meetings = Meeting.objects.visible_to(member).select_related("supervisor", "supervisee")
    today = words.local(at).date()
    split = at - timedelta(hours=1)
    coming = meetings.filter(starts_at__gte=split).order_by("starts_at")[:MOST_MEETINGS]
    past = meetings.filter(starts_at__lt=split).order_by("-starts_at")[:MOST_MEETINGS]
    return (
        tuple(_meeting_row(each, member, today) for each in coming),
        tuple(_meeting_row(each, member, today) for each in past),
    )


def _meeting_row(meeting: Meeting, member: Membership, today: date) -> MeetingRow:
    other = meeting.supervisee if meeting.supervisor_id == member.id else meeting.supervisor
    return MeetingRow(
        id=meeting.id,
        when=words.moment(meeting.starts_at, today),
        with_name=other.name,
        state=_("Agenda sent") if meeting.agenda_sent_at else "",
    )


def agenda_page(meeting: Meeting, member: Membership, *, today: date) -> AgendaPage:
    """Compose the page; both see the same, which is what the supervisor may see."""
    is_supervisor = member.id == meeting.supervisor_id
    other = meeting.supervisee if is_supervisor else meeting.supervisor
    episodes = sorted(meeting.episodes(), key=waiting_since)
    before, since = meeting.before, meeting.looks_back_to()
    skips = _skips(meeting, since=since)
    changed = _changed(meeting, since=since)
    gone = gone_from(meeting.supervisor, since=since).filter(
        Exists(meeting.supervisions()), treatment__therapist=meeting.supervisee
    )
    decisions = list(
        Decision.objects.visible_to(member)
        .filter(meeting__in=[meeting, *([before] if before else [])])
        .select_related("episode__treatment__client", "written_by", "done_by")
        .order_by("decided_at", "id")
    )
    return AgendaPage(
        title=_("Meeting with %(who)s") % {"who": other.name},
        when=_("%(day)s, %(time)s, %(minutes)d minutes")
        % {
            "day": date_format(words.local(meeting.starts_at).date(), "l j F Y"),
            "time": words.clock(meeting.starts_at),
            "minutes": meeting.duration_min,
        },
        with_name=other.name,
        items=_items(episodes, meeting.supervisor, today),
        skips=_skipped(skips, today),
        gone=tuple(_gone(each, today) for each in gone),
        ended=tuple(line for each in changed for line in _how_changed(each, today)),
        decisions=tuple(each for each in decisions if each.meeting_id == meeting.id),
        earlier=tuple(each for each in decisions if each.meeting_id != meeting.id),
        earlier_notes=before.notes if before else "",
        earlier_on=words.short_day(words.local(before.starts_at).date(), today) if before else "",
        is_supervisor=is_supervisor,
        wait_hours=meeting.supervisor.practice.supervisor_wait_hours,
        client_ids=tuple(
            {
                *(each.treatment.client_id for each in episodes),
                *(each.treatment.client_id for each in skips),
                *(each.treatment.client_id for each in gone),
                *(each.client_id for each in changed),
                *(each.episode.treatment.client_id for each in decisions),
            }
        ),
    )


def _items(
    episodes: Sequence[RuptureEpisode], supervisor: Membership, today: date
) -> tuple[AgendaItem, ...]:
    courses = load_courses({each.treatment_id for each in episodes})
    floor = sparkline_floor(
        course.chart_sessions()[-SLOTS_SPARKLINE:] for course in courses.values()
    )
    threads = supports_by_episode(episodes, read_by=supervisor)
    shown = queue_of(episodes, courses, threads, floor=floor, today=today)
    sheets = {id_: sheet_of(sheet) for id_, sheet in latest_worksheets(episodes).items()}
    return tuple(
        AgendaItem(
            episode=shown[each.id],
            reasons=courses[each.treatment_id].reasons_of(
                each, therapist_name=each.treatment.therapist.name
            ),
            causes=tuple(
                str(Cause(cause).label)
                for cause in (sheets[each.id].causes if each.id in sheets else ())
            ),
            steps=tuple(
                str(RepairStep(step).label)
                for step in (sheets[each.id].steps if each.id in sheets else ())
            ),
        )
        for each in episodes
    )


def _skips(meeting: Meeting, *, since: datetime) -> list[Any]:
    """Sessions after which the client was not asked or could not answer, the first ones first."""
    now = timezone.now()
    # It stands until it is logged, and where the treatment is over nobody can log it any more. What
    # is planned for a day after its end stands in nobody's diary: it is kept with what is written.
    in_a_diary = Q(treatment__ends_on=None) | Q(starts_at__date__lte=F("treatment__ends_on"))
    forgotten = Q(in_a_diary, attendance="", starts_at__lte=now) & (
        Q(starts_at__lte=now - NOT_LOGGED_FOR) | Q(treatment__ends_on__lte=timezone.localdate(now))
    )
    # Whatever its day is: said, corrected or asked about after the last meeting, or a form that
    # was open then and has ended since (`settle` notes it where that was not in time).
    lately = (
        Q(starts_at__gte=since)
        | Q(logged_at__gte=since)
        | Q(corrected_at__gte=since)
        | Q(feedback_requests__created_at__gte=since)
        | Q(feedback_requests__expires_at__gte=since)
    )
    # By restricting, revoking, or a session planned so soon that the form had no time. Or the way
    # was not safe while it was due, the message came back, the client was to be asked no more as
    # the form ended, or the room was offered.
    unanswered = Q(
        feedback_requests__state__in=[State.CANCELLED, State.EXPIRED], asked=False, is_rated=False
    )
    corrected = Q(feedback_requests__isnull=False) & ~Q(attendance=ATTENDED)
    # What was asked by message, or in the room, stays so, in whatever way it is asked or answered
    # afterwards: who has the code of the room, or paper, can answer in the client's place.
    requests = FeedbackRequest.objects.filter(therapy_session=OuterRef(OuterRef("pk")))
    messages = OutboxMessage.objects.filter(
        practice_id=meeting.practice_id, kind__in=MESSAGES, subject_id__in=requests.values("id")
    )
    ratings = AllianceRating.objects.filter(therapy_session=OuterRef("pk"))
    by_link = ratings.filter(mode=AllianceRating.Mode.LINK)
    by_paper = ratings.filter(mode=AllianceRating.Mode.PAPER)
    asked = Q(is_by_message=True) | Q(feedback_requests__isnull=False, is_by_paper=True)
    by_others = Q(asked, is_rated=True, is_by_link=False)
    # It cannot be screened, so it is no answer that anybody else would notice.
    entered_here = ratings.filter(mode__in=AllianceRating.BY_HAND)
    unused = entered_here.filter(Q(pomp=None) | Q(is_late=True))
    return list(
        TherapySession.objects.filter(treatment__in=meeting.treatments(since=since))
        .annotate(
            is_rated=Exists(ratings),
            is_by_link=Exists(by_link),
            is_by_paper=Exists(by_paper),
            is_by_message=Exists(messages),
            is_unused=Exists(unused),
        )
        .filter(
            forgotten
            | lately
            & (~Q(not_asked_reason="") | unanswered | corrected | by_others | Q(is_unused=True))
        )
        .select_related("treatment__client")
        .prefetch_related("feedback_requests")
        .order_by("starts_at")
        .distinct()
    )


def _skipped(sessions: Sequence[Any], today: date) -> tuple[str, ...]:
    """'FE-0135, 6 Nov, 13 Nov: not asked. “Crisis or emergency in the session”', and so on: a line
    for each client and what there is to say."""
    days: dict[tuple[str, str, str], list[str]] = {}
    for each in sessions:
        day = words.short_day(words.local(each.starts_at).date(), today)
        why = each.why_not_asked
        days.setdefault((each.treatment.client.code, _became(each), why), []).append(day)
    return tuple(
        f"{code}, {', '.join(of_these)}: {became}" + (f" “{why}”" if why else "")
        for (code, became, why), of_these in days.items()
    )


def _became(session: Any) -> str:
    """What became of asking about the session, a part of a sentence."""
    states = {each.state for each in session.feedback_requests.all()}
    is_asked = session.is_by_message or (states and session.is_by_paper)
    is_by_others = is_asked and session.is_rated and not session.is_by_link
    if not session.attendance:
        said = _("planned, and not logged.")
    elif session.not_asked_reason and not (states or session.is_unused):
        said = _("not asked, then entered from paper.") if session.is_by_paper else _("not asked.")
    elif session.attendance != ATTENDED:
        said = _("asked, then corrected to “%(attendance)s”.") % {
            "attendance": session.get_attendance_display()
        }
    elif session.is_unused and not is_by_others:
        said = _("answered in the room or from paper, too late or without a score.")
    elif is_by_others and session.is_by_message:
        said = _("asked by message, then answered in the room or from paper.")
    elif is_by_others:
        said = _("offered in the room, then entered from paper.")
    elif states & {State.OPEN, State.ANSWERED}:
        said = _("not asked at first, and asked later.")
    elif State.CANCELLED in states:
        said = _("asked, then the form was withdrawn before an answer.")
    elif session.is_by_message:
        said = _("asked by message, but the form ended before an answer.")
    else:
        said = _("offered in the room, not answered.")
    return said


def _gone(episode: RuptureEpisode, today: date) -> str:
    """'FE-0135: opened 6 Nov, withdrawn after a correction.'"""
    return _("%(code)s: opened %(day)s, %(why)s.") % {
        "code": episode.treatment.client.code,
        "day": words.short_day(words.local(episode.opened_at).date(), today),
        "why": why_gone(episode),
    }


def _changed(meeting: Meeting, *, since: datetime) -> list[Any]:
    """Treatments that ended, or that the supervisee began again with the client, since then."""
    # Of those that began and ended on one day any order will do: their lines read alike.
    began_earlier = Q(starts_on__lt=Coalesce(OuterRef("ends_on"), date.max))
    before = Treatment.objects.filter(
        began_earlier | Q(id__lt=OuterRef("id")),
        client=OuterRef("client"),
        therapist=OuterRef("therapist"),
        ends_on__lte=OuterRef("starts_on"),
    )
    again = Q(Exists(before), starts_on__gte=words.local(since).date())
    return list(
        meeting.treatments(since=since)
        .annotate(is_again=ExpressionWrapper(again, BooleanField()))
        .filter(Q(is_again=True) | Q(ends_on__lte=timezone.localdate()))
        .select_related("client", "ending")
        .order_by("starts_on", "client__code")
    )


def _how_changed(treatment: Any, today: date) -> Iterator[str]:
    """'FE-0135: begun again on 6 Nov, with a new baseline.', and how it ended, where it did."""
    said = []
    if treatment.is_again:
        again = _("%(code)s: begun again on %(day)s, with a new baseline.")
        said.append((again, treatment.starts_on))
    if treatment.ends_on and treatment.ends_on <= today:
        closed = _("%(code)s: treatment closed on %(day)s.")
        gone = _("%(code)s: went to another therapist on %(day)s.")
        said.append((closed if hasattr(treatment, "ending") else gone, treatment.ends_on))
    for line, day in said:
        yield line % {"code": treatment.client.code, "day": words.short_day(day, today)}
