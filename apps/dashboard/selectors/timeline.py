"""One session in the therapist's timeline, in words."""

from dataclasses import dataclass
from datetime import date

from django.urls import reverse
from django.utils.translation import gettext as _

from apps.alliance.models import CAUSE_IN_PLAIN_WORDS, AllianceRating, Cause
from apps.dashboard.selectors import words
from apps.dashboard.selectors.course import FLAGGING, Course, CourseSession
from apps.dashboard.selectors.feedback_states import FeedbackState
from apps.ruptures.detection import Event, Level
from apps.ruptures.models import RuptureEpisode
from apps.ruptures.selectors import Status


@dataclass(frozen=True)
class Entry:
    """See components/timeline_entry.html; `comment` is the client's own text."""

    date: str
    number_label: str
    node: str
    title: str
    detail: str
    status: str
    comment: str
    note: str
    correct_url: str = ""


def has_flag(course: Course, each: CourseSession) -> bool:
    """Whether something about the session is a flag or a repair."""
    return bool(_status(each) or _event(each) or _recorded_at(course, each))


def timeline_entry(course: Course, each: CourseSession, state: FeedbackState, today: date) -> Entry:
    """The session with what the client rated and wrote, and what became of it."""
    rating = each.rating or each.late_rating
    recorded = _recorded_at(course, each)
    is_flagged = _event(each) in FLAGGING
    detail = _subscales(rating) if is_flagged else ""
    if not detail and rating:
        detail = _tension(rating)
    if not rating:
        detail = state.detail if each.was_held else ""
    tension = _tension(rating) if rating and is_flagged else ""
    notes = [f"{tension}." if tension else "", _own_tension(each)]
    if rating and rating.causes:
        ticked = ", ".join(f"“{CAUSE_IN_PLAIN_WORDS[Cause(cause)]}”" for cause in rating.causes)
        notes.append(_("The client ticked %(causes)s.") % {"causes": ticked})
    if rating and rating.mode in {AllianceRating.Mode.ROOM, AllianceRating.Mode.PAPER}:
        notes.append(f"{rating.get_mode_display()}.")
    if each.late_rating:
        notes.append(_("Came after the next session had begun, or after 7 days: not used."))
    notes += [_outcome(episode) for episode in recorded]
    return Entry(
        date=words.short_day(each.held_on, today),
        number_label=_("Session %(number)d") % {"number": each.number},
        node=_node(each, recorded),
        title=_title(each, state),
        detail=detail,
        status=_status(each)
        or (
            Status.REPAIRED
            if any(one.outcome == RuptureEpisode.Outcome.REPAIRED for one in recorded)
            else ""
        ),
        comment=rating.comment if rating else "",
        note=" ".join(filter(None, notes)),
        correct_url=reverse("correct_session", args=[each.therapy_session.id]),
    )


def _event(each: CourseSession) -> str:
    return each.screening.event if each.screening else ""


def _recorded_at(course: Course, each: CourseSession) -> list[RuptureEpisode]:
    """Episodes whose outcome was recorded at this session."""
    return [one for one in course.episodes if course.closed_at(one) == each.number]


def _status(each: CourseSession) -> str:
    screening = each.screening
    if screening is None:
        return ""
    if screening.event in FLAGGING:
        return Status.MARKED if screening.level == Level.MARKED else Status.POSSIBLE
    if screening.level == Level.WATCH and not screening.in_episode:
        return Status.WATCH
    return Status.RECOVERING if screening.event == Event.REPAIRED else ""


def _node(each: CourseSession, recorded: list[RuptureEpisode]) -> str:
    if _event(each) in (*FLAGGING, Event.CONTINUES):
        return "rupture"
    if any(one.outcome == RuptureEpisode.Outcome.REPAIRED for one in recorded):
        return "repaired"
    if _event(each) == Event.REPAIRED:
        return "recovering"
    return "answered" if each.rating else ""


def _title(each: CourseSession, state: FeedbackState) -> str:
    if not each.was_held:
        return each.therapy_session.get_attendance_display()
    rating = each.rating or each.late_rating
    if rating is None:
        return state.label
    if rating.pomp is None:
        return _("Answered in part; too few ratings for a score")
    if each.is_below and each.usual:
        return _("Rated %(rating)d; usually %(low)d–%(high)d") % {
            "rating": round(rating.pomp),
            "low": each.usual[0],
            "high": each.usual[1],
        }
    return _("Rated %(rating)d") % {"rating": round(rating.pomp)}


def _subscales(rating: AllianceRating | None) -> str:
    if rating is None:
        return ""
    named = ((_("Bond"), rating.bond), (_("Goals"), rating.goals), (_("Tasks"), rating.tasks))
    return " · ".join(f"{name} {round(value)}" for name, value in named if value is not None)


def _tension(rating: AllianceRating) -> str:
    if rating.tension is None:
        return ""
    said = {"tension": rating.get_tension_display(), "sorted": ""}
    if rating.tension_resolved is None:
        return _("Tension: %(tension)s") % said
    said["sorted"] = rating.get_tension_resolved_display()
    return _("Tension: %(tension)s, sorted out: %(sorted)s") % said


def _own_tension(each: CourseSession) -> str:
    if not each.therapy_session.tension:
        return ""
    return _("You noticed tension: %(tension)s.") % {
        "tension": each.therapy_session.get_tension_display()
    }


def _outcome(episode: RuptureEpisode) -> str:
    return _("You recorded: %(outcome)s.") % {"outcome": episode.get_outcome_display().lower()}
