"""What may be worth talking about and is no reason for a flag: neutral, for the therapist alone."""

from django.utils.translation import gettext as _

from apps.alliance.models import AllianceRating
from apps.dashboard.selectors.course import Course, CourseSession
from apps.ruptures import detection
from apps.ruptures.reasons import RATINGS_BEFORE_RANGE

LOW_FOR_THE_CLIENT_Z = -1.0
SUBSCALES_APART = 10
"""POMP points between the lowest subscale and the next before it is worth a word."""


def talking_points(course: Course) -> tuple[str, ...]:
    """Sentences about the newest rated session; empty where there is nothing to say."""
    newest = course.newest_rated
    if newest is None or newest.rating is None:
        return ()
    points = [
        _("You saw it differently: low for this client, and not low for you.")
        if saw_differently(course, newest)
        else "",
        _lowest_subscale(newest.rating),
    ]
    return tuple(filter(None, points))


def saw_differently(course: Course, each: CourseSession) -> bool:
    """Whether a session was low for the client (z ≤ −1) and not low for the therapist (z ≥ 0).

    Each is compared with what is usual for themselves; raw ratings are never compared. Before
    either has two earlier ratings nothing is said.
    """
    screening = each.screening
    if screening is None or screening.ratings_before < RATINGS_BEFORE_RANGE:
        return False
    z, own_z = screening.outputs["z"], _own_z(course, each)
    return z is not None and own_z is not None and z <= LOW_FOR_THE_CLIENT_Z and own_z >= 0


def _own_z(course: Course, wanted: CourseSession) -> float | None:
    """The therapist's own view beside their own series with this client, by the same filter."""
    state = detection.start(detection.SLIDER)
    for each in course.sessions:
        if not each.was_held:
            continue
        before = state
        step = detection.Step(pomp=each.therapy_session.own_pomp, asked=False)
        state, shown = detection.screen(before, step, detection.SLIDER)
        if each.number == wanted.number:
            return shown.z if before.rated >= RATINGS_BEFORE_RANGE else None
    return None


def _lowest_subscale(rating: AllianceRating) -> str:
    named = {_("Bond"): rating.bond, _("Goals"): rating.goals, _("Tasks"): rating.tasks}
    known = {name: value for name, value in named.items() if value is not None}
    if len(known) < len(named):
        return ""
    (lowest, low), (_next, above), *_rest = sorted(known.items(), key=lambda item: item[1])
    if above - low < SUBSCALES_APART:
        return ""
    return _("%(lowest)s was rated lowest of the three: %(all)s.") % {
        "lowest": lowest,
        "all": ", ".join(f"{name} {round(value)}" for name, value in known.items()),
    }
