"""What earlier imports stored, and whether a file still says the same."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from apps.accounts.models import Practice
from apps.alliance.models import AllianceRating, Questionnaire
from apps.exchange.models import ImportedSession
from apps.exchange.placing import Placer
from apps.exchange.ratings_csv import Row, Series
from apps.therapy_sessions.models import TherapySession

Attendance = TherapySession.Attendance


@dataclass(frozen=True)
class Known:
    """A session that an earlier import stored, and what is stored about it.

    `starts_at` and `last_attended` (of the session before) are by the practice's clock.
    """

    session: TherapySession
    questionnaire: Questionnaire
    rating: AllianceRating | None
    starts_at: datetime
    last_attended: datetime | None
    no_shows: int

    @property
    def attended(self) -> bool:
        return self.session.attendance == Attendance.ATTENDED


def known_sessions(
    practice: Practice, questionnaire: Questionnaire, placer: Placer, code: str
) -> dict[str, Known]:
    """What earlier imports stored of a client, by the rows' places, in order."""
    sessions = TherapySession.objects.filter(
        treatment__client__practice=practice, treatment__client__code=code
    ).exclude(attendance="")
    imported = {
        each.therapy_session_id: each
        for each in ImportedSession.objects.filter(therapy_session__in=sessions).select_related(
            "questionnaire"
        )
    }
    ratings = {
        rating.therapy_session_id: rating
        for rating in AllianceRating.objects.used().filter(
            therapy_session__in=imported, questionnaire=questionnaire
        )
    }
    known: dict[str, Known] = {}
    no_shows, last_attended = 0, None
    for session in sessions.select_related("treatment__client", "treatment__therapist").order_by(
        "starts_at", "id"
    ):
        starts_at = placer.wall_clock(session.starts_at)
        if each := imported.get(session.id):
            known[each.place] = Known(
                session,
                each.questionnaire,
                ratings.get(session.id),
                starts_at,
                last_attended,
                no_shows,
            )
        no_shows += session.attendance == Attendance.NO_SHOW
        if session.attendance == Attendance.ATTENDED:
            no_shows, last_attended = 0, starts_at
    return known


def new_rows(
    series: Sequence[Series], known: dict[str, Known], placer: Placer, *, therapist: str
) -> list[Row]:
    """A client's rows that are not stored yet.

    Raises:
        BadInputError: a row contradicts what is stored of it, or the new rows do not follow the
            stored ones.
    """
    last = next(reversed(known), None)
    new: list[Row] = []
    seen_last = False
    for each in series:
        for row, line in zip(each.rows, _lines(each.rows), strict=True):
            place = placer.place_of(row)
            stored = known.get(place)
            if stored is None:
                new.append(row)
            elif new:
                raise placer.bad(new[0], placer.order, f"a row after {last}", new[0].when)
            else:
                _compare(row, line, each.therapist or therapist, stored, placer)
            seen_last |= place == last
    if new and last and not seen_last:
        expected = f"the client's rows from {last} on, the last one imported before"
        raise placer.bad(new[0], placer.order, expected, new[0].when)
    return new


def _lines(rows: Sequence[Row]) -> list[int]:
    """Each row's line; for a session that only a missing number tells of, the next row's."""
    lines = [row.line or 0 for row in rows]
    for n in range(len(lines) - 2, -1, -1):
        lines[n] = lines[n] or lines[n + 1]
    return lines


def _compare(row: Row, line: int, therapist: str, known: Known, placer: Placer) -> None:
    stored = _stored(row, known, placer)
    for column, value in _told(row, therapist, placer).items():
        if value != stored[column]:
            before = "blank" if stored[column] is None else stored[column]
            raise placer.bad(
                replace(row, line=line),
                column if row.line else placer.order,
                f"{column} of {row.when} to be {before} as imported before",
                "blank" if value is None else value,
            )
    if row.attended:
        placer.check_gap(row, known.starts_at, known.last_attended)


def _told(row: Row, therapist: str, placer: Placer) -> dict[str, Any]:
    if not row.attended:
        return {"attended": False}
    told = {"attended": True, "therapist": therapist, "asked": row.asked}
    told |= told_tension(row) | {"no_shows": row.no_shows}
    told |= dict(row.answers) or {"pomp": row.pomp}
    return told | ({"held_at": placer.held_at(row)} if row.held_at else {})


def _stored(row: Row, known: Known, placer: Placer) -> dict[str, Any]:
    session, rating = known.session, known.rating
    answers = rating.answers if rating else {}
    return {
        "attended": known.attended,
        "therapist": session.treatment.therapist.name,
        "asked": session.asked,
        "tension": rating and rating.tension,
        "resolved": rating and rating.tension_resolved,
        "therapist_tension": session.tension,
        "therapist_resolved": session.tension_resolved,
        "no_shows": known.no_shows,
        "pomp": rating and rating.pomp,
        "held_at": known.starts_at,
        **{item: answers.get(item) for item in row.answers},
    }


def told_tension(row: Row) -> dict[str, int | None]:
    """The answers about tension; how far it was sorted out only where there was any."""
    return {
        "tension": row.tension,
        "resolved": row.resolved if row.tension else None,
        "therapist_tension": row.therapist_tension,
        "therapist_resolved": row.therapist_resolved if row.therapist_tension else None,
    }
