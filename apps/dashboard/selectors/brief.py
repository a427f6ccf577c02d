"""What to have in mind before a session: one client's brief, and the sheet of a whole day."""

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from uuid import UUID

from django.urls import reverse
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext as _

from apps.accounts.models import Membership
from apps.alliance.models import CAUSE_IN_PLAIN_WORDS, Cause
from apps.clients.models import CONSENT_HOLDS, Client
from apps.dashboard.chart_parts import Sparkline
from apps.dashboard.chart_text import labelled_sparkline
from apps.dashboard.selectors import words
from apps.dashboard.selectors.course import Course, back_in_range, load_courses
from apps.dashboard.selectors.episode_panel import causes_ticked
from apps.dashboard.selectors.repair_steps import repair_steps
from apps.dashboard.selectors.standing import Standing, load_standings
from apps.dashboard.selectors.today import sessions_of_today
from apps.dashboard.sparklines import SLOTS_SPARKLINE, sparkline_floor
from apps.ruptures.models import RepairStep, Worksheet
from apps.ruptures.repair import Sheet, latest_worksheets, sheet_of
from apps.ruptures.repair_prompts import step_prompts
from apps.ruptures.selectors import Status, explain
from apps.therapy_sessions.models import TherapySession

REMIND_OF_CONSENT = timedelta(days=14)


@dataclass(frozen=True)
class PlanLine:
    text: str
    done: bool = False


@dataclass(frozen=True)
class Brief:
    """One client before a session.

    `about` is when and which session, `state` which alone. `shows` is what the last form shows,
    strongest first; `said` the client's words of the newest answer with the day it is about; `ask`
    words to open with, '' where the form asks for nothing; `plan` what was promised; `remember`
    what else is due.
    """

    client_id: UUID
    url: str
    brief_url: str
    initials: str
    code: str
    starts_at: str
    about: str
    state: str
    is_now: bool
    status: Status
    is_open: bool
    shows: tuple[str, ...]
    sparkline: Sparkline | None
    latest: str
    latest_note: str
    below: bool
    said: str
    said_about: str
    ticked: str
    ask: str
    supervisor_first: bool
    plan: tuple[PlanLine, ...]
    remember: tuple[str, ...]


@dataclass(frozen=True)
class DaySheet:
    """One line for each session of a day, by time."""

    day: date
    title: str
    previous_url: str
    next_url: str
    briefs: tuple[Brief, ...]

    @property
    def client_ids(self) -> list[UUID]:
        return [brief.client_id for brief in self.briefs]


def client_brief(
    membership: Membership, client: Client, *, today: date, at: datetime
) -> Brief | None:
    """The brief for the next session with a client of the member's own; None for any other."""
    ids = client.treatments.values_list("id", flat=True)
    standings, _states = load_standings(membership, [], today=today, at=at, only=ids)
    if not standings:
        return None
    treatment = standings[0].treatment
    midnight = timezone.make_aware(datetime.combine(today, time.min))
    planned = TherapySession.objects.planned().filter(treatment=treatment, starts_at__gte=midnight)
    following = planned.order_by("starts_at").first()
    return _briefs([(following, standings[0])], today=today, at=at)[0]


def day_sheet(membership: Membership, *, day: date, today: date, at: datetime) -> DaySheet:
    """The sessions of a day. Its number of queries is the same for two sessions and for twelve."""
    sessions = sessions_of_today(membership, day)
    ids = {each.treatment_id for each in sessions}
    standings, _states = load_standings(membership, [], today=today, at=at, only=ids)
    by_treatment = {each.treatment.id: each for each in standings}
    return DaySheet(
        day=day,
        title=date_format(day, "l j F Y"),
        previous_url=_sheet_url(day - timedelta(days=1)),
        next_url=_sheet_url(day + timedelta(days=1)),
        briefs=_briefs(
            # A client may be handed over between the two queries.
            [
                (each, by_treatment[each.treatment_id])
                for each in sessions
                if each.treatment_id in by_treatment
            ],
            today=today,
            at=at,
        ),
    )


def _sheet_url(day: date) -> str:
    return f"{reverse('day_sheet')}?day={day.isoformat()}"


def _briefs(
    sessions: list[tuple[TherapySession | None, Standing]], *, today: date, at: datetime
) -> tuple[Brief, ...]:
    courses = load_courses({standing.treatment.id for _session, standing in sessions})
    floor = sparkline_floor(
        course.chart_sessions()[-SLOTS_SPARKLINE:] for course in courses.values()
    )
    sheets = latest_worksheets(
        standing.episode for _session, standing in sessions if standing.episode
    )
    return tuple(
        _brief(
            session,
            standing,
            courses[standing.treatment.id],
            sheets.get(standing.episode.id) if standing.episode else None,
            floor=floor,
            today=today,
            at=at,
        )
        for session, standing in sessions
    )


def _brief(
    session: TherapySession | None,
    standing: Standing,
    course: Course,
    worksheet: Worksheet | None,
    *,
    floor: int,
    today: date,
    at: datetime,
) -> Brief:
    client, episode = standing.treatment.client, standing.episode
    sheet = sheet_of(worksheet)
    answered = next((each for each in reversed(course.sessions) if each.rating), None)
    rating = answered.rating if answered else None
    causes = {*sheet.causes, *(causes_ticked(course, episode) if episode else ())}
    return Brief(
        client_id=client.id,
        url=standing.url,
        brief_url=reverse("brief", args=[client.id]),
        initials=client.initials,
        code=client.code,
        starts_at=words.clock(session.starts_at) if session else "",
        about=" · ".join(
            filter(
                None,
                (
                    words.moment(session.starts_at, today) if session else "",
                    _state(session, standing),
                ),
            )
        ),
        state=_state(session, standing),
        is_now=bool(
            session and not session.attendance and session.starts_at <= at <= session.ends_at
        ),
        status=standing.status,
        is_open=bool(episode),
        shows=_shows(standing, course, today),
        sparkline=labelled_sparkline(
            course.chart_sessions(), course.chart_episodes(today), floor=floor
        )
        if standing.rated
        else None,
        latest=standing.latest,
        latest_note=_("usually %(low)d–%(high)d")
        % dict(zip(("low", "high"), standing.usual, strict=True))
        if standing.usual
        else "",
        below=standing.below,
        said=rating.comment if rating else "",
        said_about=words.short_day(answered.held_on, today) if answered else "",
        ticked=", ".join(
            f"“{CAUSE_IN_PLAIN_WORDS[Cause(cause)]}”" for cause in (rating.causes if rating else ())
        ),
        ask=_ask(standing, course, sheet, causes, today),
        supervisor_first=Cause.BOUNDARY in causes,
        plan=_plan(standing, course, sheet, today),
        remember=_remember(standing, today),
    )


def _state(session: TherapySession | None, standing: Standing) -> str:
    """'session 19', 'logged', or that no session is planned."""
    if session is None:
        return _("No session planned")
    if session.attendance:
        return _("logged")
    return _("session %(number)d") % {"number": standing.treatment.logged + 1}


def _shows(standing: Standing, course: Course, today: date) -> tuple[str, ...]:
    """What the last form shows, at most two sentences; an open episode says what it is about."""
    if standing.episode:
        back = back_in_range(standing.episode, course, today)
        return (back,) if back else course.reasons_of(standing.episode).speaks_for[:2]
    if standing.status == Status.WATCH and course.newest_screening:
        return explain(course.newest_screening).speaks_for[:2]
    if not standing.rated:
        return (_("No rating yet."),)
    held_on = words.local(standing.rated.held_at).date()
    said = {"rating": standing.latest, "day": words.short_day(held_on, today)}
    if not standing.usual:
        return (
            _("Rated %(rating)s on %(day)s. A usual range shows from the third rating.") % said,
        )
    low, high = standing.usual
    usual = said | {"low": str(low), "high": str(high)}
    return (_("Rated %(rating)s on %(day)s; usually %(low)s–%(high)s.") % usual,)


def _ask(standing: Standing, course: Course, sheet: Sheet, causes: set[str], today: date) -> str:
    """Words to open with: those of the first step that is not done; '' where nothing is asked."""
    if standing.episode:
        if back_in_range(standing.episode, course, today):
            return step_prompts(RepairStep.FOLLOW_UP).say
        steps = zip(RepairStep, repair_steps(standing.episode, sheet, today), strict=True)
        current = next((step for step, shown in steps if shown.state == "now"), RepairStep.OPEN)
        # Noticing is done alone: what is said first is said when the conversation opens.
        asked = RepairStep.OPEN if current == RepairStep.NOTICE else current
        prompts = step_prompts(asked, causes=causes, kind=sheet.kind)
        return prompts.say or prompts.general
    if standing.status in (Status.WATCH, Status.LITTLE_ROOM):
        return _("Is there anything about how we work that you would like to be different?")
    if standing.feedback.state == "no_answer":
        return _("How was the form for you? You need not fill it in.")
    return ""


def _plan(standing: Standing, course: Course, sheet: Sheet, today: date) -> tuple[PlanLine, ...]:
    """What was promised about the open episode, a line each, after what has been done."""
    episode = standing.episode
    if episode is None:
        return ()
    lines = []
    if episode.seen_at:
        day = words.short_day(words.local(episode.seen_at).date(), today)
        lines.append(PlanLine(_("Acknowledged %(day)s") % {"day": day}, done=True))
    for step in (RepairStep.OPEN, RepairStep.AGREE):
        done_on = sheet.step(step).done_on
        if done_on and done_on <= today:
            lines.append(PlanLine(f"{step.label}, {words.short_day(done_on, today)}", done=True))
    lines += [PlanLine(line.strip()) for line in sheet.next_action.splitlines() if line.strip()]
    if back_in_range(episode, course, today):
        lines.append(PlanLine(_("Record an outcome")))
    return tuple(lines)


def _remember(standing: Standing, today: date) -> tuple[str, ...]:
    """What else is due: consent that runs out, a form without an answer, a first session."""
    client = standing.treatment.client
    due = []
    if not client.discussed_on:
        due.append(_("Feedback has not been discussed yet; nothing is sent."))
    elif client.consent == Client.Consent.AGREED:
        again = client.discussed_on + CONSENT_HOLDS
        if again <= today + REMIND_OF_CONSENT:
            due.append(
                _("Consent is due to be asked again by %(day)s.")
                % {"day": words.short_day(again, today)}
            )
    if standing.feedback.state == "no_answer":
        due.append(_("No answer to the last form."))
    if standing.feedback.state == "undelivered":
        due.append(_("The last form did not arrive: check the address."))
    if standing.status == Status.LITTLE_ROOM:
        due.append(_("The last ratings leave little room to show change."))
    return tuple(due)
