"""The open episode beside the chart: why, what may be behind it, who sees it, what comes next."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from uuid import UUID

from django.utils.translation import gettext as _

from apps.accounts.models import Membership
from apps.alliance.models import CAUSE_IN_PLAIN_WORDS, Cause
from apps.core.names import first_name
from apps.dashboard.selectors import words
from apps.dashboard.selectors.course import Course, back_in_range, heading
from apps.dashboard.selectors.repair_steps import Step, repair_steps
from apps.dashboard.selectors.talking_points import talking_points
from apps.ruptures.models import RuptureEpisode
from apps.ruptures.notices import shared_with
from apps.ruptures.reasons import Reasons
from apps.ruptures.repair import latest_worksheet, sheet_of
from apps.ruptures.selectors import Status, episode_status


@dataclass(frozen=True)
class EpisodePanel:
    """The open episode. `heading` is the strongest reason, or that ratings are back.

    `aside` is what is for the conversation and no reason; `suggestion` the client's own words for
    a cause; `seen_by` who else sees the episode and why, `share_with` whom it can be shared with
    ('' where nobody supervises or it is shared already).
    """

    id: UUID
    status: Status
    opened: str
    heading: str
    reasons: Reasons
    rule_version: str
    aside: tuple[str, ...]
    suggestion: str
    is_recovering: bool
    acknowledged: str
    fall: str
    seen_by: str
    share_with: str
    causes: tuple[str, ...]
    next_action: str
    steps: tuple[Step, ...]


def episode_panel(
    course: Course, episode: RuptureEpisode, supervisors: Sequence[Membership], *, today: date
) -> EpisodePanel:
    """The panel of an open episode of `course`, for the therapist who conducts the treatment."""
    found = course.reasons_of(episode)
    ratings = [each.rating or each.late_rating for each in course.since_opening(episode)]
    commented = any(rating and rating.comment for rating in ratings)
    flagged = course.flagging(episode)
    sheet = sheet_of(latest_worksheet(episode))
    shared = shared_with(episode, supervisors)
    return EpisodePanel(
        id=episode.id,
        status=episode_status(episode),
        opened=words.opened_with_time(episode.opened_at, today),
        heading=heading(episode, course, found, today),
        reasons=found,
        rule_version=flagged.rule_version if flagged else "",
        aside=(*talking_points(course), *([_("The client left a comment.")] if commented else ())),
        suggestion=suggestion(course, episode),
        is_recovering=bool(back_in_range(episode, course, today)),
        acknowledged=_("Acknowledged %(day)s")
        % {"day": words.short_day(words.local(episode.seen_at).date(), today)}
        if episode.seen_at
        else "",
        fall=episode.fall,
        seen_by=seen_by(episode, supervisors, shared),
        share_with=first_names([each for each in supervisors if each not in shared]),
        causes=sheet.causes,
        next_action=sheet.next_action,
        steps=repair_steps(episode, sheet, today),
    )


def first_names(members: Sequence[Membership]) -> str:
    return ", ".join(first_name(member.name) for member in members)


def seen_by(
    episode: RuptureEpisode, supervisors: Sequence[Membership], shared: Sequence[Membership]
) -> str:
    """Who sees it and why; `shared` are those of the supervisors with whom it is shared."""
    said = {"who": first_names(supervisors), "hours": episode.wait_hours}
    if shared and (len(shared) == len(supervisors) or not episode.is_every_supervisors):
        said["who"] = first_names(shared)
        why = _("You shared it, so %(who)s sees it too:")
    elif supervisors and episode.marked_at:
        why = _("It is marked, so %(who)s sees it too:")
    elif supervisors and (episode.waited_at or episode.has_waited_by_now):
        why = _("It waited %(hours)d hours unacknowledged, so %(who)s sees it too:")
    elif supervisors and not episode.seen_at and episode.treatment.client.restricted_at:
        return _("Only you see it while processing is restricted.")
    elif supervisors and not episode.seen_at:
        return _("Only you see it. Unacknowledged for %(hours)d hours, %(who)s sees it too.") % said
    else:
        return _("Only you see it.")
    return (
        (why % said)
        + " "
        + _(
            "the reasons, the ratings around it, steps and causes, by client code; "
            "never the client’s comments."
        )
    )


def suggestion(course: Course, episode: RuptureEpisode) -> str:
    """What the client's own words since the opening suggest, '' where they ticked nothing."""
    ticked = causes_ticked(course, episode)
    if not ticked:
        return ""
    quoted = ", ".join(f"“{CAUSE_IN_PLAIN_WORDS[cause]}”" for cause in ticked)
    return _("The client ticked %(causes)s.") % {"causes": quoted}


def causes_ticked(course: Course, episode: RuptureEpisode) -> tuple[Cause, ...]:
    """The causes behind the plain words that the client ticked since the opening."""
    ratings = [each.rating or each.late_rating for each in course.since_opening(episode)]
    return tuple(
        cause for cause in Cause if any(rating and cause in rating.causes for rating in ratings)
    )
