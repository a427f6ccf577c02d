"""One client of the therapist's own: chart, sessions, the open episode and the past ones."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from urllib.parse import urlencode
from uuid import UUID

from django.urls import reverse
from django.utils.translation import gettext as _

from apps.accounts.models import Membership
from apps.clients.models import CONSENT_HOLDS, Client, Treatment
from apps.dashboard.chart_text import AllianceChart, alliance_chart
from apps.dashboard.selectors import words
from apps.dashboard.selectors.course import Course, CourseSession, load_courses
from apps.dashboard.selectors.episode_panel import EpisodePanel, episode_panel
from apps.dashboard.selectors.feedback_states import FeedbackState, feedback_states
from apps.dashboard.selectors.talking_points import talking_points
from apps.dashboard.selectors.timeline import Entry, has_flag, timeline_entry
from apps.endings.selectors import earlier_review, has_passed_on
from apps.feedback.asking import asked_of_most, requests_in_30_days
from apps.feedback.services import practice_questionnaire
from apps.ruptures.reasons import Reasons
from apps.ruptures.selectors import Status, explain, status
from apps.therapy_sessions.models import ProcessNote, TherapySession

SESSIONS_SHOWN = 7


@dataclass(frozen=True)
class TimelineFilter:
    """Which sessions the address asks for: '', 'comments' or 'flags'; the newest, or all."""

    show: str = ""
    earlier: bool = False

    def address(self, client_id: UUID, show: str, *, earlier: bool) -> str:
        """The client's page with these sessions, also from a form that came back with errors."""
        kept = {"show": show, "earlier": "1" if earlier else ""}
        query = urlencode({name: value for name, value in kept.items() if value})
        return f"{reverse('client', args=[client_id])}?{query}#sessions"


@dataclass(frozen=True)
class Choice:
    url: str
    label: str
    current: bool


@dataclass(frozen=True)
class Timeline:
    """Newest first. `earlier` is how many more there are, `earlier_url` leads to them."""

    choices: tuple[Choice, ...]
    entries: tuple[Entry, ...]
    total: int
    earlier: int
    earlier_url: str


@dataclass(frozen=True)
class PastEpisode:
    id: UUID
    opened: str
    outcome: str
    recorded: str
    reason: str


@dataclass(frozen=True)
class OwnNote:
    """A process note of the reader, or the session that one could be written about."""

    session_id: UUID
    day: str
    text: str


@dataclass(frozen=True)
class ClientPage:
    """`watch` holds the newest step's reasons where the status is watch, else None.

    `aside` is what may be worth talking about where no episode is open, and is no reason.
    `move_url` moves or cancels the next session; '' where none is planned.
    """

    client_id: UUID
    code: str
    initials: str
    status: Status
    facts: tuple[tuple[str, str], ...]
    chart: AllianceChart
    timeline: Timeline
    episode: EpisodePanel | None
    watch: Reasons | None
    aside: tuple[str, ...]
    past: tuple[PastEpisode, ...]
    notes: tuple[OwnNote, ...]
    log_url: str
    move_url: str
    has_passed_on: bool
    earlier_review: str


def client_page(
    treatment: Treatment, *, chosen: TimelineFilter, today: date, at: datetime
) -> ClientPage:
    """Compose the page of a treatment that the reader conducts."""
    client = treatment.client
    course = load_courses([treatment.id])[treatment.id]
    states = feedback_states([each.id for each in course.sessions], today)
    supervisors = list(Membership.objects.supervising(treatment.therapist, on=today))
    planned = list(
        TherapySession.objects.planned().filter(treatment=treatment).order_by("starts_at")
    )
    newest, episode = course.newest_screening, course.open_episode
    stands = status(
        episode=episode,
        newest=newest,
        last_closed=course.last_closed,
        was_asked=any(state.state != "not_asked" for state in states.values()),
        at=at,
    )
    notes = {
        id_: f"{state.label} · {state.detail}" if state.detail else state.label
        for id_, state in states.items()
        if state.state in ("due", "sent", "undelivered")
    }
    return ClientPage(
        client_id=client.id,
        code=client.code,
        initials=client.initials,
        status=stands,
        facts=_facts(treatment, course, supervisors, planned, today=today, at=at),
        chart=alliance_chart(
            client.code, course.chart_sessions(notes=notes), course.chart_episodes(today)
        ),
        timeline=_timeline(client.id, course, states, chosen, today),
        episode=episode_panel(course, episode, supervisors, today=today) if episode else None,
        watch=explain(newest) if newest and stands == Status.WATCH else None,
        aside=() if episode else talking_points(course),
        notes=_own_notes(treatment, course, today),
        past=past_episodes(course, today),
        log_url=_log_url(client, planned, at),
        move_url=_move_url(planned, at),
        has_passed_on=has_passed_on(treatment, on=today),
        earlier_review=earlier_review(treatment),
    )


def _own_notes(treatment: Treatment, course: Course, today: date) -> tuple[OwnNote, ...]:
    """The therapist's own notes, newest first, and a place for one about the newest session."""
    notes = {
        note.therapy_session_id: note.text
        for note in ProcessNote.objects.written_by(treatment.therapist).filter(
            therapy_session__treatment=treatment
        )
    }
    newest = [each.therapy_session.id for each in course.sessions[-1:]]
    return tuple(
        OwnNote(
            each.id,
            words.short_day(words.local(each.starts_at).date(), today),
            notes.get(each.id, ""),
        )
        for each in (one.therapy_session for one in reversed(course.sessions))
        if each.id in notes or each.id in newest
    )


def _log_url(client: Client, planned: Sequence[TherapySession], at: datetime) -> str:
    """Logs the earliest planned session that has begun; where there is none, a new one."""
    begun = next((session for session in planned if session.starts_at <= at), None)
    what = {"session": begun.id} if begun else {"client": client.id}
    return f"{reverse('log_session')}?{urlencode(what)}"


def _move_url(planned: Sequence[TherapySession], at: datetime) -> str:
    ahead = next((session for session in planned if session.starts_at > at), None)
    return reverse("move_session", args=[ahead.id]) if ahead else ""


def _facts(
    treatment: Treatment,
    course: Course,
    supervisors: Sequence[Membership],
    planned: Sequence[TherapySession],
    *,
    today: date,
    at: datetime,
) -> tuple[tuple[str, str], ...]:
    client, newest = treatment.client, course.newest_screening
    form = newest.questionnaire if newest else practice_questionnaire(client.practice)
    safe = [channel.get_kind_display() for channel in client.channels.usable().order_by("kind")]
    next_at = next((session.starts_at for session in planned if session.starts_at > at), None)
    since = words.short_day(treatment.starts_on, today)
    return (
        (
            _("Treatment"),
            _("%(approach)s, since %(day)s") % {"approach": treatment.approach, "day": since}
            if treatment.approach
            else _("Since %(day)s") % {"day": since},
        ),
        (
            _("Form"),
            form.title if form.validated else _("%(form)s (not validated)") % {"form": form.title},
        ),
        (_("Feedback"), _consent(client, today)),
        (_("Safe to contact"), ", ".join(safe) or _("No channel recorded as safe")),
        (_("Asked in 30 days"), asked_of_most(client, times=requests_in_30_days(client, at=at))),
        (_("Supervisor"), ", ".join(each.name for each in supervisors) or _("None recorded")),
        (_("Next session"), words.moment(next_at, today) if next_at else _("None planned")),
    )


def _consent(client: Client, today: date) -> str:
    if not client.discussed_on:
        return _("Not discussed yet; nothing is sent")
    words_for = {
        Client.Consent.AGREED: _("Agreed %(day)s · ask again by %(again)s"),
        Client.Consent.IN_ROOM: _("Discussed %(day)s: only in the room"),
        Client.Consent.DECLINED: _("Discussed %(day)s: would rather not"),
        "": _("Discussed %(day)s; no answer recorded"),
    }
    return words_for[client.consent] % {
        "day": words.short_day(client.discussed_on, today),
        "again": words.short_day(client.discussed_on + CONSENT_HOLDS, today),
    }


def _timeline(
    client_id: UUID,
    course: Course,
    states: dict[UUID, FeedbackState],
    chosen: TimelineFilter,
    today: date,
) -> Timeline:
    def fits(each: CourseSession) -> bool:
        rating = each.rating or each.late_rating
        if chosen.show == "comments":
            return bool(rating and rating.comment)
        return chosen.show != "flags" or has_flag(course, each)

    # One that was undone and cancelled between the two queries has no state.
    fitting = [each for each in reversed(course.sessions) if each.id in states and fits(each)]
    shown = fitting if chosen.earlier else fitting[:SESSIONS_SHOWN]
    labels = {
        "": _("All"),
        "comments": _("With comments"),
        "flags": _("Flags and repairs"),
    }
    return Timeline(
        choices=tuple(
            Choice(
                chosen.address(client_id, name, earlier=chosen.earlier), label, name == chosen.show
            )
            for name, label in labels.items()
        ),
        entries=tuple(timeline_entry(course, each, states[each.id], today) for each in shown),
        total=len(fitting),
        earlier=len(fitting) - len(shown),
        earlier_url=chosen.address(client_id, chosen.show, earlier=True),
    )


def past_episodes(course: Course, today: date) -> tuple[PastEpisode, ...]:
    """Episodes with an outcome, newest first."""
    return tuple(
        PastEpisode(
            id=episode.id,
            opened=words.short_day(words.local(episode.opened_at).date(), today),
            outcome=episode.get_outcome_display(),
            recorded=words.short_day(words.local(episode.outcome_at).date(), today),
            reason=episode.outcome_reason,
        )
        for episode in reversed(course.episodes)
        if episode.outcome_at
    )
