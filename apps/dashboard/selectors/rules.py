"""What a manager sees of the rule: how much is flagged, and what another one would have been."""

from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from uuid import UUID

from django.utils.dateparse import parse_date
from django.utils.formats import date_format, number_format
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from apps.accounts.models import Membership, Practice
from apps.dashboard.bars import BarChart, bar_chart
from apps.dashboard.selectors import words
from apps.dashboard.selectors.alert_load import AlertLoad, alert_load
from apps.feedback.services import practice_questionnaire
from apps.ruptures.models import RuleChange
from apps.ruptures.rule_replay import MIN_CLIENTS, MIN_RATINGS, is_enough, rated_so_far
from apps.ruptures.rules import differences, read_parameters, rule_in_force

MONTHS_SHOWN = 12
FIGURES: dict[str, str | Promise] = {
    "mean_first": gettext_lazy("Mean of first ratings"),
    "spread_between": gettext_lazy("Between clients"),
    "spread_within": gettext_lazy("Within a client"),
    "possible": gettext_lazy("Threshold of possible"),
    "marked": gettext_lazy("Threshold of marked"),
    "watch": gettext_lazy("Threshold of watch"),
}
COUNTED: tuple[tuple[str, str | Promise, bool], ...] = (
    ("opened", gettext_lazy("Episodes opened"), False),
    ("marked", gettext_lazy("of these, marked"), True),
    ("not_a_rupture", gettext_lazy("Opened, then recorded as “not a rupture”"), False),
    ("settled", gettext_lazy("Settled lower"), False),
    ("watch", gettext_lazy("Watch"), False),
)


@dataclass(frozen=True)
class Count:
    """One line of the table: now, proposed, in both; `is_part` is of what stands above it."""

    label: str
    numbers: tuple[str, ...]
    is_part: bool = False


@dataclass(frozen=True)
class Report:
    title: str
    replayed: str
    now_version: str
    counts: tuple[Count, ...]
    new_and_lost: str
    chart: BarChart


@dataclass(frozen=True)
class Proposal:
    """A change that waits: for its replay while `report` is None, then for a decision."""

    id: UUID
    version: str
    progress: int
    figures: tuple[tuple[str, str], ...]
    report: Report | None


@dataclass(frozen=True)
class Decided:
    version: str
    decision: str
    when: str
    by: str
    reason: str


@dataclass(frozen=True)
class RulesPage:
    load: AlertLoad
    version: str
    ratings: int
    clients: int
    may_estimate: bool
    least_clients: int
    least_ratings: int
    proposal: Proposal | None
    decided: tuple[Decided, ...]


def rules_page(practice: Practice, *, viewer: Membership, today: date, at: datetime) -> RulesPage:
    """Compose the page in a constant number of queries."""
    form = practice_questionnaire(practice).detection_form
    changes = list(
        RuleChange.objects.filter(practice=practice)
        .select_related("decided_by")
        .order_by("-decided_at", "-proposed_at")
    )
    waiting = next((change for change in changes if not change.decision), None)
    counted = rated_so_far(practice.id, form)
    load = alert_load(practice, viewer=viewer, at=at)
    return RulesPage(
        load=load,
        version=rule_in_force(practice.id, form, at=at).version,
        **counted,
        may_estimate=is_enough(counted),
        least_clients=MIN_CLIENTS,
        least_ratings=MIN_RATINGS,
        proposal=_proposal(waiting, today, load) if waiting else None,
        decided=tuple(_decided(change, today) for change in changes if change.decided_at),
    )


def _proposal(change: RuleChange, today: date, load: AlertLoad) -> Proposal:
    return Proposal(
        id=change.id,
        version=change.version,
        progress=change.progress,
        figures=_figures(change),
        report=_report(change, today, load) if change.report else None,
    )


def _figures(change: RuleChange) -> tuple[tuple[str, str], ...]:
    """What would change, beside what is in force, and what it was learnt from."""
    if change.parameters is None:
        return ()
    form = change.detection_form
    now = rule_in_force(change.practice_id, form).parameters
    figures = [
        (str(FIGURES.get(name, name)), f"{_plain(old)} → {_plain(new)}")
        for name, old, new in differences(now, read_parameters(form, change.parameters))
    ]
    if change.learned_from:
        learned = _("%(clients)s clients, %(ratings)s ratings") % {
            name: number_format(count, force_grouping=True)
            for name, count in change.learned_from.items()
        }
        figures.append((_("Learned from"), learned))
    return tuple(figures)


def _plain(figure: Any) -> str:
    if isinstance(figure, tuple | list):
        return ", ".join(_plain(each) for each in figure)
    return f"{figure:g}" if isinstance(figure, int | float) else str(figure)


def _report(change: RuleChange, today: date, load: AlertLoad) -> Report:
    report: dict[str, Any] = change.report or {}
    same = [("rated", _("Rated sessions screened")), ("unrated", _("Sessions without a rating"))]
    rows = [Count(label, (_count(report[name]),) * 3) for name, label in same]
    rows += [
        Count(str(label), tuple(map(_count, report["counts"][name])), is_part)
        for name, label, is_part in COUNTED
    ]
    opened, rated = report["counts"]["opened"], report["rated"]
    if load.shows_rates:
        per_100 = tuple(f"{100 * n / rated:.1f}" if rated else "–" for n in opened)
        rows.insert(3, Count(_("in 100 rated sessions"), per_100, is_part=True))
    days = [parse_date(report[end]) for end in ("from", "to")]
    when = words.moment_inside(change.replayed_at, today) if change.replayed_at else ""
    return Report(
        title=" – ".join(date_format(day, "j M Y") for day in days if day),
        replayed=_("Replayed %(moment)s") % {"moment": when},
        now_version=report["now"],
        counts=tuple(rows),
        new_and_lost=_("%(new)s openings are new, %(lost)s would be lost.")
        % {"new": _count(opened[1] - opened[2]), "lost": _count(opened[0] - opened[2])},
        chart=_chart(report["months"][-MONTHS_SHOWN:]),
    )


def _chart(months: list[tuple[str, int, int]]) -> BarChart:
    named = [
        (date_format(date(int(month[:4]), int(month[5:]), 1), "M"), now, proposed)
        for month, now, proposed in months
    ]
    said = "; ".join(
        _("%(month)s: %(now)d now, %(proposed)d proposed")
        % {"month": month, "now": now, "proposed": proposed}
        for month, now, proposed in named
    )
    return bar_chart(_("Episodes opened per month. %(months)s") % {"months": said}, named)


def _decided(change: RuleChange, today: date) -> Decided:
    return Decided(
        version=change.version,
        decision=change.get_decision_display(),
        when=words.moment(change.decided_at, today) if change.decided_at else "",
        by=change.decided_by.name if change.decided_by else "",
        reason=change.reason,
    )


def _count(number: int) -> str:
    return str(number_format(number, force_grouping=True))
