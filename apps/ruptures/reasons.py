"""Why a step was flagged, in sentences that a therapist can check against the record.

Pages, brief, messages and print all take their sentences from here (`selectors.explain` for what is
stored). Each signal of at least 0.3 nats for a rupture, or 0.1 nats against, is one sentence with
its numbers, strongest first. Never a probability, odds or a percentage: those move with how common
ruptures are in a practice. The words follow the wording list of the design: they describe the
session, never the person.
"""

from dataclasses import dataclass

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from apps.ruptures.detection import Level, Screening, Step

SPEAKS_FOR_NATS = 0.3
SPEAKS_AGAINST_NATS = 0.1
RATINGS_BEFORE_RANGE = 2
"""The usual range is shown from the third rating on; before it the baseline is still forming."""


@dataclass(frozen=True)
class Reasons:
    """Sentences for a rupture and against one, strongest first, and what could not be known."""

    speaks_for: tuple[str, ...]
    speaks_against: tuple[str, ...]
    unknown: tuple[str, ...]

    @property
    def cannot_tell(self) -> tuple[str, ...]:
        """What this cannot tell: what was missing, and what no figure ever says."""
        return (*self.unknown, _("Whether it was a rupture: only a conversation can tell."))


def usual_range(screening: Screening) -> tuple[int, int]:
    """The usual range as people see it: whole points, clipped to 0-100."""
    return max(0, round(screening.low)), min(100, round(screening.high))


def reasons(
    step: Step,
    screening: Screening,
    *,
    ratings_before: int,
    asked_before: int,
    missed_before: int,
    therapist_name: str = "",
) -> Reasons:
    """Explain one screening to people.

    `ratings_before`, `asked_before` and `missed_before` are the counts of the state *before* the
    step: State.rated, State.asked and State.missed. Without `therapist_name` the sentences speak
    to the therapist ("You noticed …"); with it they speak about the therapist to a supervisor.

    A flagged step always has at least one sentence for it: where no signal of its own is strong
    enough, the rating beside the usual range, else a word about the sessions before it.
    """
    rating = _rating(screening, ratings_before)
    form = _form(step, asked_before, missed_before)
    evidence = screening.evidence
    signals = sorted(
        [
            (evidence.score, rating),
            (evidence.client, _client(step)),
            (evidence.therapist, _therapist(step, therapist_name)),
            (evidence.no_show, _no_shows(step)),
            (evidence.missing, form),
        ],
        key=lambda signal: -abs(signal[0]),
    )
    speaks_for = [sentence for nats, sentence in signals if nats >= SPEAKS_FOR_NATS]
    speaks_against = [sentence for nats, sentence in signals if nats <= -SPEAKS_AGAINST_NATS]
    if not speaks_for and screening.level > Level.NONE:
        weaker = [sentence for nats, sentence in signals if nats > 0]
        if screening.pomp is not None and rating not in speaks_against:
            speaks_for = [rating]
        else:
            speaks_for = weaker[:1] or [_("Nothing new in this session; earlier ones still count.")]
    unknown = _unknown(step, ratings_before)
    if step.pomp is None and form not in speaks_for:
        unknown.insert(0, _("No answer to this form.") if step.asked else _("No rating."))
    return Reasons(tuple(speaks_for), tuple(speaks_against), tuple(unknown))


def _rating(screening: Screening, ratings_before: int) -> str:
    if screening.pomp is None:
        return ""
    low, high = usual_range(screening)
    numbers = {
        "rating": round(screening.pomp),
        "low": low,
        "high": high,
        "count": ratings_before,
    }
    if ratings_before < RATINGS_BEFORE_RANGE:
        return (
            ngettext(
                "Rated %(rating)d; baseline still forming, from %(count)d earlier rating.",
                "Rated %(rating)d; baseline still forming, from %(count)d earlier ratings.",
                ratings_before,
            )
            % numbers
        )
    if not low <= numbers["rating"] <= high:
        return _("Rated %(rating)d; usually %(low)d–%(high)d, from %(count)d earlier ratings.") % (
            numbers
        )
    if screening.pomp < screening.expected:
        return (
            _(
                "Rated %(rating)d, in the lower part of the usual %(low)d–%(high)d, "
                "from %(count)d earlier ratings."
            )
            % numbers
        )
    return (
        _("Rated %(rating)d, within the usual %(low)d–%(high)d, from %(count)d earlier ratings.")
        % numbers
    )


def _client(step: Step) -> str:
    if not step.tension:
        return _("Client reported no tension.")
    return _("Client reported %(tension)s.") % {
        "tension": _tension(step.tension, step.resolved),
    }


def _therapist(step: Step, therapist_name: str) -> str:
    if not step.therapist_tension:
        if therapist_name:
            return _("%(name)s did not notice tension.") % {"name": therapist_name}
        return _("You did not notice tension.")
    tension = _tension(step.therapist_tension, step.therapist_resolved)
    if therapist_name:
        return _("%(name)s noticed %(tension)s.") % {"name": therapist_name, "tension": tension}
    return _("You noticed %(tension)s.") % {"tension": tension}


def _tension(tension: int, resolved: int | None) -> str:
    strengths = (
        _("slight tension"),
        _("some tension"),
        _("strong tension"),
        _("very strong tension"),
    )
    if resolved is None:
        return strengths[tension - 1]
    how_far = (
        _("not sorted out"),
        _("sorted out a little"),
        _("partly sorted out"),
        _("mostly sorted out"),
        _("fully sorted out"),
    )
    return _("%(tension)s, %(how_far)s") % {
        "tension": strengths[tension - 1],
        "how_far": how_far[resolved],
    }


def _no_shows(step: Step) -> str:
    return ngettext(
        "%(count)d session missed or cancelled late by the client since the previous one.",
        "%(count)d sessions missed or cancelled late by the client since the previous one.",
        step.no_shows,
    ) % {"count": step.no_shows}


def _form(step: Step, asked_before: int, missed_before: int) -> str:
    answered_before = asked_before - missed_before
    habit = ngettext(
        "%(answered)d of %(asked)d earlier form was answered.",
        "%(answered)d of %(asked)d earlier forms were answered.",
        asked_before,
    ) % {"answered": answered_before, "asked": asked_before}
    if step.pomp is None:
        if not asked_before:
            return _("No answer to this form.")
        return _("No answer to this form; %(habit)s") % {"habit": habit}
    if not asked_before:
        return _("Form returned.")
    if 5 * answered_before >= 4 * asked_before:
        return _("Form returned, as usual.")
    return _("Form returned; %(habit)s") % {"habit": habit}


def _unknown(step: Step, ratings_before: int) -> list[str]:
    """What the step could not tell, so that silence is not read as an answer."""
    unknown = []
    if not step.direct:
        unknown.append(_("No direct information."))
    if ratings_before < RATINGS_BEFORE_RANGE:
        unknown.append(_("Baseline still forming."))
    return unknown
