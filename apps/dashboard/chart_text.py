"""What the charts say in words: title, summary, key and the equivalent table.

`alliance_chart` is the one call a page needs: both drawings and all their words.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from django.utils.formats import date_format
from django.utils.text import get_text_list
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from apps.dashboard.chart_parts import (
    ChartEpisode,
    ChartSession,
    Drawing,
    Sparkline,
    with_range,
)
from apps.dashboard.charts import alliance_drawing
from apps.dashboard.sparklines import SLOTS_SPARKLINE, sparkline

MISSING = "–"


@dataclass(frozen=True)
class Row:
    """One session in the table; every value is text, newest session first."""

    number: int
    held_on: str
    client: str
    usual: str
    bond: str
    goals: str
    tasks: str
    therapist: str
    note: str


@dataclass(frozen=True)
class AllianceChart:
    """All that ``components/chart.html`` needs.

    ``wide`` and ``narrow`` are None and ``rows`` is empty where there is no session yet.
    ``therapist_label`` is 'Your rating' for the therapist, else 'Therapist's rating'.
    """

    code: str
    wide: Drawing | None
    narrow: Drawing | None
    axis_note: str
    summary: str
    therapist_label: str
    rows: tuple[Row, ...]
    recovering: bool
    repaired: bool
    broken: bool


def alliance_chart(
    code: str,
    sessions: Sequence[ChartSession],
    episodes: Sequence[ChartEpisode],
    *,
    for_therapist: bool = True,
) -> AllianceChart:
    """Both drawings of one treatment's alliance with title, summary, key and table.

    `sessions` in order, all of them: the drawings pick the latest, the table shows each.
    """
    wide = alliance_drawing(sessions, episodes) if sessions else None
    return AllianceChart(
        code=code,
        wide=wide,
        narrow=alliance_drawing(sessions, episodes, narrow=True) if sessions else None,
        axis_note=axis_note(wide.floor) if wide else "",
        summary=summary(sessions, episodes),
        therapist_label=_("Your rating") if for_therapist else _("Therapist’s rating"),
        rows=rows(sessions, episodes),
        recovering=any(e.state == "recovering" for e in episodes),
        repaired=any(e.state == "repaired" for e in episodes),
        broken=bool(episodes),
    )


def labelled_sparkline(
    sessions: Sequence[ChartSession],
    episodes: Sequence[ChartEpisode],
    *,
    floor: int = 50,
    width: int = 132,
    height: int = 40,
) -> Sparkline:
    """A sparkline with its text alternative; `floor` is that of the whole list."""
    return sparkline(
        sessions,
        episodes,
        label=sparkline_label(sessions),
        floor=floor,
        width=width,
        height=height,
    )


def axis_note(floor: int) -> str:
    """What stands beside the title: the scale, and where the axis starts unless at 0."""
    if floor == 0:
        return _("Client rating, 0–100.")
    return _("Client rating, 0–100. Axis starts at %(floor)d.") % {"floor": floor}


def usual_range(session: ChartSession) -> tuple[int, int] | None:
    """The usual range in whole points, clipped to 0-100; None where the filter gives none."""
    if session.low is None or session.high is None:
        return None
    return max(0, round(session.low)), min(100, round(session.high))


def sparkline_label(sessions: Sequence[ChartSession]) -> str:
    """'Last 10 sessions: 72, no rating, 62; usual range 82 to 95'."""
    latest = sessions[-SLOTS_SPARKLINE:]
    if not latest:
        return _("No sessions yet")
    values = ", ".join(_("no rating") if s.pomp is None else str(round(s.pomp)) for s in latest)
    words = ngettext(
        "Last session: %(values)s", "Last %(count)d sessions: %(values)s", len(latest)
    ) % {"count": len(latest), "values": values}
    ranged = with_range(sessions)
    usual = usual_range(sessions[-1])
    if ranged[-1] and usual:
        words += "; " + _("usual range %(low)d to %(high)d") % {"low": usual[0], "high": usual[1]}
    return words


def summary(sessions: Sequence[ChartSession], episodes: Sequence[ChartEpisode]) -> str:
    """The chart in a few sentences: the latest rating, the spread, the episodes, the gaps."""
    if not sessions:
        return _("No sessions yet.")
    sentences = [_latest(sessions)]
    rated = [s.pomp for s in sessions if s.pomp is not None]
    if len(rated) > 1:
        sentences.append(
            _("%(rated)d of %(sessions)d sessions rated, between %(lowest)d and %(highest)d.")
            % {
                "rated": len(rated),
                "sessions": len(sessions),
                "lowest": round(min(rated)),
                "highest": round(max(rated)),
            }
        )
    sentences += [_episode(episode) for episode in episodes]
    sentences += _gaps(sessions)
    return " ".join(sentences)


def rows(sessions: Sequence[ChartSession], episodes: Sequence[ChartEpisode]) -> tuple[Row, ...]:
    """The same numbers as a table, newest session first."""
    recorded = {
        e.closed_at_number: _("Repair recorded")
        for e in episodes
        if e.state == "repaired" and e.closed_at_number is not None
    }
    ranged = with_range(sessions)
    return tuple(
        Row(
            number=s.number,
            held_on=date_format(s.held_on, "j M Y"),
            client=_value(s.pomp),
            usual=_usual(s, shown),
            bond=_value(s.bond),
            goals=_value(s.goals),
            tasks=_value(s.tasks),
            therapist=_value(s.therapist_pomp),
            note=" · ".join(
                filter(None, (s.note or _note(s), recorded.get(s.number, ""), s.entered))
            ),
        )
        for s, shown in zip(reversed(sessions), reversed(ranged), strict=True)
    )


def day(when: date) -> str:
    return date_format(when, "j M")


def _latest(sessions: Sequence[ChartSession]) -> str:
    ranged = with_range(sessions)
    for s, shown in zip(reversed(sessions), reversed(ranged), strict=True):
        usual = usual_range(s)
        if s.pomp is None:
            continue
        said: dict[str, object] = {"rating": round(s.pomp), "day": day(s.held_on)}
        if usual is None:
            return _("Rated %(rating)d on %(day)s.") % said
        if not shown:
            return _("Rated %(rating)d on %(day)s; the baseline is still forming.") % said
        said |= {"low": usual[0], "high": usual[1]}
        return _("Rated %(rating)d on %(day)s; usually %(low)d–%(high)d.") % said
    return _("No rating yet.")


def _episode(episode: ChartEpisode) -> str:
    words = {"opened": episode.opened_at_number, "closed": episode.closed_at_number}
    if episode.state == "repaired":
        return (
            _("Possible rupture from session %(opened)d; repair recorded at session %(closed)d.")
            % words
        )
    if episode.state == "recovering":
        return _("Possible rupture from session %(opened)d; recovering.") % words
    if episode.closed_at_number is not None:
        return _("Possible rupture from session %(opened)d to session %(closed)d.") % words
    return _("Possible rupture since session %(opened)d.") % words


def _gaps(sessions: Sequence[ChartSession]) -> list[str]:
    not_held = [str(s.number) for s in sessions if not s.held]
    silent = [str(s.number) for s in sessions if s.held and s.asked and s.pomp is None]
    found = []
    if not_held:
        found.append(
            ngettext(
                "Session %(numbers)s did not take place.",
                "Sessions %(numbers)s did not take place.",
                len(not_held),
            )
            % {"numbers": get_text_list(not_held, _("and"))}
        )
    if silent:
        found.append(
            ngettext(
                "No answer for session %(numbers)s.",
                "No answer for sessions %(numbers)s.",
                len(silent),
            )
            % {"numbers": get_text_list(silent, _("and"))}
        )
    return found


def _value(pomp: float | None) -> str:
    return MISSING if pomp is None else str(round(pomp))


def _usual(session: ChartSession, shown: bool) -> str:
    usual = usual_range(session)
    if usual is None:
        return MISSING
    return f"{usual[0]}–{usual[1]}" if shown else _("forming")


def _note(s: ChartSession) -> str:
    if not s.held:
        return _("Did not take place")
    event = {
        "opened": _("Possible rupture opened, marked")
        if s.level == 3
        else _("Possible rupture opened"),
        "escalated": _("Possible rupture, now marked"),
        "continues": _("Possible rupture"),
        "improving": _("Improving"),
        "repaired": _("Recovering") if s.pomp is None else _("Back in the usual range"),
        "settled_lower": _("Settled at a lower level"),
    }.get(s.event or "", "")
    if event:
        return event
    if s.pomp is None and not s.entered:
        return _("No answer") if s.asked else _("Not asked")
    return ""
