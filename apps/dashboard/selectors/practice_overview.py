"""Whether feedback does its work in a practice: four figures a quarter, to learn from.

Never for policing: sums over the whole practice, and no therapist in them.

- **Answered**: of the forms that were really sent or offered, by the day of their session.
- **Openings** in 100 rated sessions; what a correction took back is left out.
- **Talked about**: the first day that the repair record gives for the conversation, within two
  weeks of the opening; an episode without one counts as later. Median of the openings.
- **Repaired**: of the outcomes recorded; *not a rupture* is none.

A figure is shown from ten clients on, and not where all of it but the reader's own and fewer than
three clients is one colleague's. Quarters do not overlap, there is no total and no filter, and a
quarter is shown once it is two weeks over. A correction made later still changes its figures.
(Openings also stand in the alert load, which the rule's budget needs live; it shows no shares.)
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from math import inf, isinf
from typing import Any, TypeAlias
from uuid import UUID

from django.contrib.postgres.aggregates import ArrayAgg
from django.db.models import Aggregate, Count, DateField, Exists, OuterRef, Q, Subquery
from django.db.models.functions import TruncQuarter
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from apps.accounts.models import Membership
from apps.dashboard.intervals import median_interval, poisson_interval, wilson_interval
from apps.dashboard.selectors import words
from apps.ruptures.models import RepairStep, RuptureEpisode, Screening, StepNote, Worksheet

FEWEST_CLIENTS = 10
FEWEST_BESIDE = 3
"""Others' clients, besides those of any one colleague: with fewer it would be that one's figure."""
QUARTERS_SHOWN = 4
SETTLES_DAYS = 14
Outcome = RuptureEpisode.Outcome
ENDED = Q(
    outcome__in=[
        Outcome.REPAIRED,
        Outcome.SETTLED_LOWER,
        Outcome.ENDED_UNREPAIRED,
        Outcome.MOVED,
    ]
)
CONVERSATION = [RepairStep.OPEN, RepairStep.DISCUSS, RepairStep.EXPLORE, RepairStep.AGREE]

_Counted: TypeAlias = list[dict[str, Any]]


@dataclass(frozen=True)
class Figure:
    """One figure in words: '87 in 100', '62 of 71', '78 to 93'. All '' where it is not shown."""

    value: str = ""
    counts: str = ""
    interval: str = ""


@dataclass(frozen=True)
class Quarter:
    name: str
    answered: Figure
    openings: Figure
    talked_about: Figure
    repaired: Figure


def practice_overview(viewer: Membership, *, today: date) -> tuple[Quarter, ...]:
    """The latest closed quarters, the newest first, in three queries."""
    firsts = list(_closed_quarters(today))
    begin, end = (_midnight(day) for day in (firsts[-1], _next(firsts[0])))
    sessions = {"therapy_session__starts_at__gte": begin, "therapy_session__starts_at__lt": end}
    is_asked, is_rated = Q(therapy_session__asked=True), Q(pomp__isnull=False)
    seen = _by_quarter(
        Screening.objects.current().filter(practice=viewer.practice_id, **sessions),
        "therapy_session__starts_at",
        asked=Count("pk", filter=is_asked),
        answered=Count("pk", filter=is_asked & is_rated),
        rated=Count("pk", filter=is_rated),
        asked_clients=_clients(is_asked),
        rated_clients=_clients(is_rated),
    )
    episodes = RuptureEpisode.objects.filter(practice=viewer.practice_id)
    ended = _by_quarter(
        episodes.filter(ENDED, outcome_at__gte=begin, outcome_at__lt=end),
        "outcome_at",
        ended=Count("pk"),
        repaired=Count("pk", filter=Q(outcome=Outcome.REPAIRED)),
        ended_clients=_clients(Q()),
    )
    opened: dict[date, list[_Opening]] = defaultdict(list)
    for opening in _openings(episodes.filter(opened_at__gte=begin, opened_at__lt=end)):
        opened[_first(opening.on)].append(opening)
    return tuple(
        Quarter(
            name=f"{date_format(first, 'M')}–{date_format(_next(first) - timedelta(1), 'M Y')}",
            answered=_answered(seen[first], viewer),
            openings=_rate(seen[first], len(opened[first]), viewer),
            talked_about=_talked_about(opened[first], viewer),
            repaired=_repaired(ended[first], viewer),
        )
        for first in firsts
    )


@dataclass(frozen=True)
class _Opening:
    """`waited`: days from the opening to the conversation, infinite after two weeks."""

    on: date
    waited: float
    client_id: UUID
    therapist_id: UUID


def _openings(episodes: Any) -> Iterator[_Opening]:
    later = Worksheet.objects.filter(
        episode=OuterRef("worksheet__episode"), version__gt=OuterRef("worksheet__version")
    )
    talked = StepNote.objects.filter(
        ~Exists(later),
        worksheet__episode=OuterRef("pk"),
        step__in=CONVERSATION,
        done_on__isnull=False,
    )
    rows = episodes.exclude(outcome=Outcome.SUPERSEDED).values_list(
        "opened_at",
        Subquery(talked.order_by("done_on").values("done_on")[:1]),
        "treatment__client_id",
        "treatment__therapist_id",
    )
    for opened_at, talked_on, client_id, therapist_id in rows:
        on = words.local(opened_at).date()
        waited = max(0, (talked_on - on).days) if talked_on else inf
        yield _Opening(on, waited if waited <= SETTLES_DAYS else inf, client_id, therapist_id)


def _answered(counted: _Counted, viewer: Membership) -> Figure:
    if not may_be_shown(_behind(counted, "asked_clients"), viewer):
        return Figure()
    return _share(_sum(counted, "answered"), _sum(counted, "asked"))


def _rate(counted: _Counted, opened: int, viewer: Membership) -> Figure:
    if not may_be_shown(_behind(counted, "rated_clients"), viewer):
        return Figure()
    rated = _sum(counted, "rated")
    low, high = (100 * end / rated for end in poisson_interval(opened))
    return Figure(
        _("%(rate).1f in 100") % {"rate": 100 * opened / rated},
        _("%(opened)d in %(rated)d") % {"opened": opened, "rated": rated},
        _("%(low).1f to %(high).1f") % {"low": low, "high": high},
    )


def _talked_about(openings: list[_Opening], viewer: Membership) -> Figure:
    behind: dict[UUID, set[UUID]] = defaultdict(set)
    for each in openings:
        behind[each.therapist_id].add(each.client_id)
    if not may_be_shown(behind, viewer):
        return Figure()
    median, low, high = median_interval([each.waited for each in openings])
    in_time = sum(not isinf(each.waited) for each in openings)
    return Figure(
        _days(median),
        _("%(talked)d of %(opened)d in two weeks") % {"talked": in_time, "opened": len(openings)},
        _("%(low)s to %(high)s") % {"low": _days(low), "high": _days(high)},
    )


def _repaired(counted: _Counted, viewer: Membership) -> Figure:
    if not may_be_shown(_behind(counted, "ended_clients"), viewer):
        return Figure()
    return _share(_sum(counted, "repaired"), _sum(counted, "ended"))


def may_be_shown(behind: Mapping[UUID, set[UUID]], viewer: Membership) -> bool:
    """From ten clients on, and never nearly all one colleague's (the reader knows their own).

    Args:
        behind: the clients who stand behind a figure, by therapist.
    """
    others = [clients for who, clients in behind.items() if who != viewer.id and clients]
    of_others = set().union(*others)
    return len(set().union(*behind.values())) >= FEWEST_CLIENTS and all(
        len(of_others - theirs) >= FEWEST_BESIDE for theirs in others
    )


def _behind(counted: _Counted, what: str) -> dict[UUID, set[UUID]]:
    return {row["treatment__therapist"]: set(row[what] or ()) for row in counted}


def _sum(counted: _Counted, what: str) -> int:
    return sum(row[what] for row in counted)


def _share(hits: int, of: int) -> Figure:
    low, high = (100 * end for end in wilson_interval(hits, of))
    return Figure(
        _("%(share).0f in 100") % {"share": 100 * hits / of},
        _("%(hits)d of %(of)d") % {"hits": hits, "of": of},
        _("%(low).0f to %(high).0f") % {"low": low, "high": high},
    )


def _days(days: float) -> str:
    if isinf(days):
        return _("over two weeks")
    return ngettext("%(days)d day", "%(days)d days", int(days)) % {"days": days}


def _clients(which: Q) -> ArrayAgg:
    return ArrayAgg("treatment__client", filter=which, distinct=True)


def _by_quarter(rows: Any, moment: str, **counts: Aggregate) -> dict[date, _Counted]:
    """The counts of each quarter, one row a therapist."""
    counted = (
        rows.annotate(quarter=TruncQuarter(moment, output_field=DateField()))
        .values("quarter", "treatment__therapist")
        .annotate(**counts)
        .order_by()
    )
    quarters: dict[date, _Counted] = defaultdict(list)
    for row in counted:
        quarters[row["quarter"]].append(row)
    return quarters


def _closed_quarters(today: date) -> Iterable[date]:
    """First days of the latest quarters that were over two weeks ago, the newest first."""
    first = _first(today - timedelta(days=SETTLES_DAYS))
    for _number in range(QUARTERS_SHOWN):
        first = _first(first - timedelta(days=1))
        yield first


def _first(day: date) -> date:
    """First day of the quarter.

    >>> _first(date(2026, 11, 25))
    datetime.date(2026, 10, 1)
    """
    return date(day.year, (day.month - 1) // 3 * 3 + 1, 1)


def _next(first: date) -> date:
    return _first(first + timedelta(days=93))


def _midnight(day: date) -> datetime:
    return timezone.make_aware(datetime.combine(day, time.min))
