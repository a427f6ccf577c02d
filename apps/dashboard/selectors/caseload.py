"""The caseload: what needs attention, today's sessions, and all clients of one therapist."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from django.core.paginator import Page, Paginator
from django.urls import reverse
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from apps.accounts.models import Membership
from apps.core.names import first_name
from apps.dashboard.chart_parts import ChartSession, Sparkline
from apps.dashboard.chart_text import labelled_sparkline
from apps.dashboard.selectors import words
from apps.dashboard.selectors.contact import ContactNews, contact_news
from apps.dashboard.selectors.course import heading
from apps.dashboard.selectors.delivery import Banner, banner, of_own_clients
from apps.dashboard.selectors.drawn import DrawnCourse, load_drawn
from apps.dashboard.selectors.feedback_states import FeedbackState
from apps.dashboard.selectors.first_steps import FirstStep, of_a_therapist
from apps.dashboard.selectors.standing import ORDER, Standing, load_standings
from apps.dashboard.selectors.today import TodaySession, sessions_of_today, today_strip
from apps.dashboard.sparklines import SLOTS_SPARKLINE, sparkline_floor
from apps.ruptures.models import Screening
from apps.ruptures.reasons import Reasons
from apps.ruptures.selectors import Status, explain

ROWS_PER_PAGE = 12
MOST_CARDS = 4
FLAGS = "flags"
ATTENTION = (Status.MARKED, Status.POSSIBLE, Status.RECOVERING, Status.WATCH)
# What each filter of the table lets through; a filter without clients is not offered.
FILTERS: dict[str, tuple[str | Promise, frozenset[Status]]] = {
    "": (gettext_lazy("All"), frozenset(Status)),
    FLAGS: (gettext_lazy("Flags and repairs"), frozenset({*ATTENTION, Status.REPAIRED})),
    "possible": (gettext_lazy("Possible rupture"), frozenset({Status.MARKED, Status.POSSIBLE})),
    "recovering": (gettext_lazy("Recovering"), frozenset({Status.RECOVERING})),
    "watch": (gettext_lazy("Watch"), frozenset({Status.WATCH})),
    "repaired": (gettext_lazy("Repaired"), frozenset({Status.REPAIRED})),
    "none": (gettext_lazy("No flag"), frozenset({Status.NONE})),
    "little_room": (gettext_lazy("Little room"), frozenset({Status.LITTLE_ROOM})),
    "baseline_forming": (gettext_lazy("Baseline forming"), frozenset({Status.BASELINE_FORMING})),
    "not_asked": (gettext_lazy("Not asked"), frozenset({Status.NOT_ASKED})),
}
FEEDBACK = {
    "": gettext_lazy("Any feedback"),
    "answered": gettext_lazy("Answered"),
    "due": gettext_lazy("Due"),
    "sent": gettext_lazy("Sent"),
    "no_answer": gettext_lazy("No answer"),
    "undelivered": gettext_lazy("Undelivered"),
    "not_asked": gettext_lazy("Not asked"),
}


@dataclass(frozen=True)
class CaseloadFilter:
    """What the address asks for, and the session finds; unknown words mean no filter."""

    query: str = ""
    status: str = ""
    feedback: str = ""
    page: str = "1"

    def address(self, status: str) -> str:
        """The address with another status and all else kept, on the first page."""
        kept = {"found": self.query and "1", "status": status, "feedback": self.feedback}
        return "?" + urlencode({name: value for name, value in kept.items() if value})


@dataclass(frozen=True)
class FilterLink:
    url: str
    label: str
    count: int
    current: bool


@dataclass(frozen=True)
class AttentionCard:
    """One relationship worth asking about; see components/attention_card.html."""

    url: str
    initials: str
    code: str
    status: Status
    reason: str
    next_reason: str
    sparkline: Sparkline
    latest: str
    latest_note: str
    below: bool
    age: str
    next_session: str
    acknowledge_url: str
    fall: str


@dataclass(frozen=True)
class ClientRow:
    """One line of the table; texts are ready to show, '' where there is nothing to say."""

    url: str
    initials: str
    code: str
    about: str
    sessions: int
    sparkline: Sparkline | None
    latest: str
    latest_note: str
    below: bool
    feedback: FeedbackState
    status: Status
    next_day: str
    next_time: str


@dataclass(frozen=True)
class CaseloadPage:
    """All of the page. `clients` counts the caseload before any filter; `client_ids` are shown."""

    first_name: str
    first_steps: tuple[FirstStep, ...]
    clients: int
    subtitle: str
    banner: Banner | None
    news: tuple[ContactNews, ...]
    attention: tuple[AttentionCard, ...]
    attention_count: int
    today: tuple[TodaySession, ...]
    logged_today: int
    chosen: CaseloadFilter
    filters: tuple[FilterLink, ...]
    feedback_choices: tuple[tuple[str, str | Promise], ...]
    page: Page[Standing]
    rows: tuple[ClientRow, ...]
    client_ids: frozenset[UUID]


def caseload_page(
    membership: Membership, *, today: date, chosen: CaseloadFilter, at: datetime | None = None
) -> CaseloadPage:
    """Compose the page. Its number of queries is the same for 3 clients and for 300."""
    at = at or timezone.now()
    todays = sessions_of_today(membership, today)
    standings, states = load_standings(membership, todays, today=today, at=at)
    flagged = sorted(
        (each for each in standings if each.status in ATTENTION),
        key=lambda each: (ORDER.index(each.status), each.since),
    )
    found = [
        each
        for each in standings
        if each.matches(chosen.query) and chosen.feedback in ("", each.feedback.state)
    ]
    _label, wanted = FILTERS[chosen.status]
    listed = [each for each in found if each.status in wanted]
    page = Paginator(listed, ROWS_PER_PAGE).get_page(chosen.page)
    cards = flagged[:MOST_CARDS]
    courses = load_drawn({each.treatment.id: each.episodes for each in (*page.object_list, *cards)})
    news = contact_news((each.treatment.client for each in standings), today=today)
    screened = [each.newest.screened_at for each in standings if each.newest]
    return CaseloadPage(
        first_name=first_name(membership.name),
        first_steps=of_a_therapist(standings),
        clients=len(standings),
        subtitle=words.as_of(today, max(screened, default=None)),
        banner=banner(of_own_clients(membership), at=at, today=today),
        news=news,
        attention=_cards(cards, courses, today),
        attention_count=len(flagged),
        today=today_strip(todays, standings, states, at=at),
        logged_today=sum(bool(session.attendance) for session in todays),
        chosen=chosen,
        filters=_filters(found, chosen),
        feedback_choices=tuple(FEEDBACK.items()),
        page=page,
        rows=_rows(list(page.object_list), courses, today),
        client_ids=_shown(standings, [*page.object_list, *cards], todays)
        | {each.client_id for each in news},
    )


def _shown(
    standings: Sequence[Standing], listed: Sequence[Standing], todays: Iterable[Any]
) -> frozenset[UUID]:
    """Clients of whom the page shows anything."""
    todays_treatments = {each.treatment_id for each in todays}
    today = [each for each in standings if each.treatment.id in todays_treatments]
    return frozenset(each.treatment.client_id for each in (*listed, *today))


def _filters(found: Sequence[Standing], chosen: CaseloadFilter) -> tuple[FilterLink, ...]:
    links = []
    for name, (label, wanted) in FILTERS.items():
        count = sum(each.status in wanted for each in found)
        is_current = name == chosen.status
        # The link beside the cards leads to all flags; in the bar it would say things twice.
        if is_current or name == "" or (count and name != FLAGS):
            links.append(FilterLink(chosen.address(name), str(label), count, is_current))
    return tuple(links)


def _charts(
    standings: Iterable[Standing], courses: dict[UUID, DrawnCourse]
) -> tuple[dict[UUID, list[ChartSession]], int]:
    """What the sparklines of a list are drawn from, by treatment, and their one scale."""
    charts = {each.treatment.id: courses[each.treatment.id].chart_sessions() for each in standings}
    return charts, sparkline_floor(chart[-SLOTS_SPARKLINE:] for chart in charts.values())


def _cards(
    standings: Sequence[Standing], courses: dict[UUID, DrawnCourse], today: date
) -> tuple[AttentionCard, ...]:
    charts, floor = _charts(standings, courses)
    explained = _explained(standings, courses)
    return tuple(
        _card(
            each,
            courses[each.treatment.id],
            explained[each.treatment.id],
            sparkline=labelled_sparkline(
                charts[each.treatment.id],
                courses[each.treatment.id].chart_episodes(today),
                floor=floor,
                width=250,
                height=84,
            ),
            today=today,
        )
        for each in standings
    )


def _explained(
    standings: Sequence[Standing], courses: dict[UUID, DrawnCourse]
) -> dict[UUID, Reasons]:
    """By treatment, the reasons of the step that flagged it; one query."""
    flagging = {
        each.treatment.id: courses[each.treatment.id].flagging(each.episode) for each in standings
    }
    whole = Screening.objects.in_bulk(list(filter(None, flagging.values())))
    return {
        treatment_id: explain(whole[step_id]) if step_id in whole else Reasons((), (), ())
        for treatment_id, step_id in flagging.items()
    }


def _card(
    standing: Standing, course: DrawnCourse, found: Reasons, *, sparkline: Sparkline, today: date
) -> AttentionCard:
    client, episode = standing.treatment.client, standing.episode
    next_at = standing.treatment.next_at
    reason, next_reason = _reason(standing, course, found, today)
    note = ""
    if standing.rated and standing.is_latest_old:
        held_on = words.local(standing.rated.held_at).date()
        note = _("last, %(day)s") % {"day": words.short_day(held_on, today)}
    elif standing.usual:
        note = _("usual %(low)d–%(high)d") % dict(zip(("low", "high"), standing.usual, strict=True))
    return AttentionCard(
        url=standing.url,
        initials=client.initials,
        code=client.code,
        status=standing.status,
        reason=reason,
        next_reason=next_reason,
        sparkline=sparkline,
        latest=standing.latest,
        latest_note=note,
        below=standing.below,
        age=words.opened_with_time(standing.since, today)
        if episode
        else _("Since %(day)s")
        % {"day": words.short_day(words.local(standing.since).date(), today)},
        next_session=_("Next session %(moment)s") % {"moment": words.moment_inside(next_at, today)}
        if next_at
        else "",
        acknowledge_url=reverse("acknowledge_episode", args=[episode.id])
        if episode and not episode.seen_at
        else "",
        fall=episode.fall if episode else "",
    )


def _reason(
    standing: Standing, course: DrawnCourse, found: Reasons, today: date
) -> tuple[str, str]:
    """What the card says first and next; once it is recovering that is said alone."""
    if standing.episode:
        first = heading(standing.episode, course, found, today)
        return first, next(iter(found.speaks_for[1:]), "") if first in found.speaks_for else ""
    sentences = (*found.speaks_for, *found.unknown, "", "")
    return sentences[0], sentences[1]


def _rows(
    standings: Sequence[Standing], courses: dict[UUID, DrawnCourse], today: date
) -> tuple[ClientRow, ...]:
    charts, floor = _charts(standings, courses)
    return tuple(
        _row(
            each,
            sparkline=labelled_sparkline(
                charts[each.treatment.id],
                courses[each.treatment.id].chart_episodes(today),
                floor=floor,
            )
            if each.rated
            else None,
            today=today,
        )
        for each in standings
    )


def _row(standing: Standing, *, sparkline: Sparkline | None, today: date) -> ClientRow:
    treatment, client = standing.treatment, standing.treatment.client
    next_at = treatment.next_at
    slot = next_at or treatment.last_attended
    return ClientRow(
        url=standing.url,
        initials=client.initials,
        code=client.code,
        about=" · ".join(
            filter(
                None, (treatment.approach, date_format(words.local(slot), "D H:i") if slot else "")
            )
        ),
        sessions=treatment.logged,
        sparkline=sparkline,
        latest=standing.latest,
        latest_note=_latest_note(standing, today),
        below=standing.below,
        feedback=standing.feedback,
        status=standing.status,
        next_day=words.day(words.local(next_at).date(), today) if next_at else "",
        next_time=words.clock(next_at) if next_at else "",
    )


def _latest_note(standing: Standing, today: date) -> str:
    """'usually 82–95', with the day where a later session has no rating."""
    if standing.rated is None:
        return ""
    if standing.usual is None:
        return _("range from the third rating")
    low, high = standing.usual
    usual = _("usually %(low)d–%(high)d") % {"low": low, "high": high}
    if not standing.is_latest_old:
        return usual
    held_on = words.local(standing.rated.held_at).date()
    return f"{words.short_day(held_on, today)} · {usual}"
