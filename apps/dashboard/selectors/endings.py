"""Pages of an ending: the course to look back on, and the parts of it that were passed on."""

from dataclasses import dataclass
from datetime import date
from uuid import UUID

from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from apps.alliance.models import AllianceRating
from apps.clients.models import Treatment
from apps.dashboard.chart_parts import ChartSession
from apps.dashboard.chart_text import AllianceChart, alliance_chart
from apps.dashboard.selectors import words
from apps.dashboard.selectors.client import PastEpisode, past_episodes
from apps.dashboard.selectors.course import Course, load_courses
from apps.endings.models import Move
from apps.endings.selectors import wishes_in_words
from apps.therapy_sessions.models import TherapySession


@dataclass(frozen=True)
class EndingPage:
    """A treatment to look back on. `open_episode_id` is None where no episode is open; `planned`
    says how many planned sessions closing calls off."""

    client_id: UUID
    code: str
    initials: str
    facts: tuple[tuple[str, str], ...]
    chart: AllianceChart
    past: tuple[PastEpisode, ...]
    open_episode_id: UUID | None
    planned: int


@dataclass(frozen=True)
class PassedOnPage:
    """The parts a client agreed to pass on; a part that was not agreed to is '' or None."""

    client_id: UUID
    code: str
    initials: str
    facts: tuple[tuple[str, str], ...]
    needs: str
    wishes: str
    tried: str
    chart: AllianceChart | None
    comments: tuple[tuple[str, str], ...] | None


def ending_page(treatment: Treatment, *, today: date) -> EndingPage:
    """Compose the page of a treatment that the reader conducts."""
    course = load_courses([treatment.id])[treatment.id]
    held = sum(each.was_held for each in course.sessions)
    rated = sum(each.rating is not None for each in course.sessions)
    repaired = sum(each.outcome == each.Outcome.REPAIRED for each in course.episodes)
    episode = course.open_episode
    return EndingPage(
        client_id=treatment.client_id,
        code=treatment.client.code,
        initials=treatment.client.initials,
        facts=(
            (_("Since"), words.short_day(treatment.starts_on, today)),
            (_("Sessions held"), str(held)),
            (_("Forms answered"), str(rated)),
            (
                _("Possible ruptures"),
                ngettext(
                    "%(count)d, %(repaired)d repaired",
                    "%(count)d, %(repaired)d repaired",
                    len(course.episodes),
                )
                % {"count": len(course.episodes), "repaired": repaired},
            ),
        ),
        chart=alliance_chart(
            treatment.client.code, course.chart_sessions(), course.chart_episodes(today)
        ),
        past=past_episodes(course, today),
        open_episode_id=episode.id if episode else None,
        planned=TherapySession.objects.unwritten()
        .filter(treatment=treatment, starts_at__gte=timezone.now())
        .count(),
    )


def passed_on_page(move: Move, *, today: date) -> PassedOnPage:
    """Compose what the therapist of the treatment that follows may read: the agreed parts alone."""
    part, client = Move.Part, move.treatment.client
    course = None
    if part.RATINGS in move.passes_on or part.COMMENTS in move.passes_on:
        course = load_courses([move.treatment_id])[move.treatment_id]
    facts = [
        (_("From"), move.treatment.therapist.name),
        (_("Moved"), words.short_day(move.moves_on or today, today)),
        (
            _("Client agreed"),
            f"{words.short_day(move.agreed_on or today, today)} · {move.get_agreed_how_display()}",
        ),
    ]
    if move.meeting_on:
        facts.append((_("Meeting of three"), words.short_day(move.meeting_on, today)))
    return PassedOnPage(
        client_id=client.id,
        code=client.code,
        initials=client.initials,
        facts=tuple(facts),
        needs=move.needs if part.NEEDS in move.passes_on else "",
        wishes=wishes_in_words(move) if part.NEEDS in move.passes_on else "",
        tried=move.tried if part.TRIED in move.passes_on else "",
        chart=alliance_chart(client.code, _ratings_alone(course, move), [], for_therapist=False)
        if course and part.RATINGS in move.passes_on
        else None,
        comments=tuple(
            (words.short_day(each.held_on, today), each.rating.comment)
            for each in course.sessions
            if each.rating and each.rating.comment and _agreed_to(each.rating, move)
        )
        if course and part.COMMENTS in move.passes_on
        else None,
    )


def _agreed_to(rating: AllianceRating, move: Move) -> bool:
    """What the client wrote later was written for the therapist before alone.

    Of the very day, what was there (of paper: entered) as that was noted; nothing where it was
    noted on another day, as nobody knows at what time they agreed.
    """
    agreed_on = move.agreed_on or date.min
    written_on = words.local(rating.answered_at).date()
    if written_on != agreed_on:
        return written_on < agreed_on
    was_there_at = rating.entered_at or rating.answered_at
    return was_there_at <= move.saved_at and words.local(move.saved_at).date() == agreed_on


def _ratings_alone(course: Course, move: Move) -> list[ChartSession]:
    """The ratings that the client agreed to pass on, made anew of nothing else and counted anew.

    So no number, range or note says which sessions had none, did not take place or were flagged,
    nor how the therapist before saw them.
    """
    agreed = [
        (each.held_on, each.rating)
        for each in course.sessions
        if each.rating and _agreed_to(each.rating, move)
    ]
    return [
        ChartSession(
            number,
            held_on,
            pomp=rating.pomp,
            bond=rating.bond,
            goals=rating.goals,
            tasks=rating.tasks,
            asked=rating.pomp is not None,
            note=_("Answered in part") if rating.pomp is None else "",
        )
        for number, (held_on, rating) in enumerate(agreed, 1)
    ]
