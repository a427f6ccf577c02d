"""How much Rapport flags in a practice, and whether that is within the budget. Counts only.

No therapist is named, none compared with another: sums over the whole practice. Rates are shown
where the practice's overview would show them (`may_be_shown`): never those of a few clients, or of
one colleague.

What is false is only known where a person said so. Of the openings that have a person's outcome
(repaired, settled lower, not a rupture) some were *not a rupture*: f of m. Taking the others to be
like them, f false openings came of rated · m / opened rated sessions. The budget is in doubt once
the 95 % interval (`apps.dashboard.intervals`) reaches above it, and exceeded once it lies above.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from django.contrib.postgres.aggregates import ArrayAgg
from django.db.models import Count, Q
from django.db.models.functions import TruncWeek
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from apps.accounts.models import Membership, Practice
from apps.dashboard.intervals import poisson_interval
from apps.dashboard.selectors.practice_overview import may_be_shown
from apps.ruptures.models import RuptureEpisode, Screening
from apps.therapy_sessions.models import TherapySession

BUDGET = 4.0
"""False openings in 100 rated sessions."""
PERIOD = timedelta(days=364)
LEAST_JUDGED, LEAST_RATED = 20, 300
Outcome = RuptureEpisode.Outcome
JUDGED = (Outcome.REPAIRED, Outcome.SETTLED_LOWER, Outcome.NOT_A_RUPTURE)


class Budget(StrEnum):
    TOO_FEW = "too few to tell"
    WITHIN = "within"
    IN_DOUBT = "in doubt"
    EXCEEDED = "exceeded"


@dataclass(frozen=True)
class AlertLoad:
    """Counts of the last 52 weeks; ages of what is open now."""

    rated: int
    opened: int
    therapist_weeks: int
    judged: int
    not_a_rupture: int
    open_up_to_a_week: int
    open_up_to_four_weeks: int
    open_longer: int
    shows_rates: bool

    @property
    def open_now(self) -> int:
        return self.open_up_to_a_week + self.open_up_to_four_weeks + self.open_longer

    @property
    def per_100_rated(self) -> str:
        return _rate(100 * self.opened, self.rated)

    @property
    def per_therapist_week(self) -> str:
        return _rate(self.opened, self.therapist_weeks)

    @property
    def false_per_100(self) -> tuple[float, float, float]:
        """False openings in 100 rated sessions: estimate, and the ends of its interval."""
        exposure = self.rated * self.judged / self.opened / 100
        low, high = poisson_interval(self.not_a_rupture)
        return self.not_a_rupture / exposure, low / exposure, high / exposure

    @property
    def budget(self) -> Budget:
        if self.judged < LEAST_JUDGED or self.rated < LEAST_RATED:
            return Budget.TOO_FEW
        _estimate, low, high = self.false_per_100
        if low > BUDGET:
            return Budget.EXCEEDED
        return Budget.IN_DOUBT if high > BUDGET else Budget.WITHIN

    @property
    def needs_a_look(self) -> bool:
        return self.budget in (Budget.IN_DOUBT, Budget.EXCEEDED)

    @property
    def verdict(self) -> str:
        """What can be said about the budget, in a sentence or two."""
        if self.budget == Budget.TOO_FEW:
            return ngettext(
                "Too few to tell: %(judged)d opening has an outcome, from %(rated)d rated sessions."
                " It takes %(least_judged)d from %(least_rated)d.",
                "Too few to tell: %(judged)d openings have an outcome, from %(rated)d rated"
                " sessions. It takes %(least_judged)d from %(least_rated)d.",
                self.judged,
            ) % {
                "judged": self.judged,
                "rated": self.rated,
                "least_judged": LEAST_JUDGED,
                "least_rated": LEAST_RATED,
            }
        words = {
            Budget.WITHIN: _("Within the budget of %(budget)d false openings."),
            Budget.IN_DOUBT: _("The budget of %(budget)d false openings is in doubt."),
            Budget.EXCEEDED: _("The budget of %(budget)d false openings is exceeded."),
        }
        said = words[self.budget] % {"budget": BUDGET}
        if not self.shows_rates:
            return said
        estimate, low, high = self.false_per_100
        return f"{said} " + _(
            "In 100 rated sessions about %(estimate).1f openings were not a rupture, as far as"
            " therapists recorded it; anything from %(low).1f to %(high).1f fits the counts."
        ) % {"estimate": estimate, "low": low, "high": high}


def alert_load(practice: Practice, *, viewer: Membership, at: datetime) -> AlertLoad:
    """Count, in three queries."""
    since = at - PERIOD
    attended = TherapySession.objects.filter(
        practice=practice,
        attendance=TherapySession.Attendance.ATTENDED,
        starts_at__gte=since,
        starts_at__lte=at,
    )
    weeks = attended.annotate(week=TruncWeek("starts_at")).values("treatment__therapist", "week")
    rated = list(
        Screening.objects.current()
        .filter(
            practice=practice,
            pomp__isnull=False,
            therapy_session__starts_at__gte=since,
            therapy_session__starts_at__lte=at,
        )
        .values("treatment__therapist")
        .annotate(number=Count("pk"), clients=ArrayAgg("treatment__client", distinct=True))
    )
    behind = {each["treatment__therapist"]: set(each["clients"]) for each in rated}
    opened = Q(opened_at__gte=since)
    is_open = Q(outcome="")
    episodes = (
        RuptureEpisode.objects.filter(practice=practice)
        .exclude(outcome=Outcome.SUPERSEDED)
        .aggregate(
            opened=Count("pk", filter=opened),
            judged=Count("pk", filter=opened & Q(outcome__in=JUDGED)),
            not_a_rupture=Count("pk", filter=opened & Q(outcome=Outcome.NOT_A_RUPTURE)),
            open_up_to_a_week=Count(
                "pk", filter=is_open & Q(opened_at__gt=at - timedelta(weeks=1))
            ),
            open_up_to_four_weeks=Count(
                "pk",
                filter=is_open
                & Q(opened_at__lte=at - timedelta(weeks=1), opened_at__gt=at - timedelta(weeks=4)),
            ),
            open_longer=Count("pk", filter=is_open & Q(opened_at__lte=at - timedelta(weeks=4))),
        )
    )
    return AlertLoad(
        rated=sum(each["number"] for each in rated),
        therapist_weeks=weeks.distinct().count(),
        shows_rates=may_be_shown(behind, viewer),
        **episodes,
    )


def _rate(events: float, exposure: int) -> str:
    return f"{events / exposure:.1f}" if exposure else "–"
