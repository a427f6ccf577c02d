"""Writes of data that comes from outside: ratings of therapy sessions held elsewhere.

A file is stored whole or not at all, and reading it again changes nothing. A row is known again
by its client's code and its place: the session number, or `held_at`. Dates that were made up for
session numbers are made up once: rows known from before keep theirs, and later rows follow them.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from itertools import groupby
from math import ceil
from uuid import UUID
from zoneinfo import ZoneInfo

from django.db import transaction
from django.db.models import F, QuerySet
from django.utils import timezone

from apps.accounts.models import Membership, Practice, Role
from apps.accounts.services import add_member
from apps.alliance.models import AllianceRating, Questionnaire
from apps.alliance.services import build_rating
from apps.clients.models import Client, Treatment
from apps.clients.services import ERASED_PREFIX, HALF, code_marks, wait_for_turn
from apps.core import audit
from apps.exchange.known import Known, known_sessions, new_rows, told_tension
from apps.exchange.models import ImportedSession
from apps.exchange.placing import WEEK, Placed, Placer, monday_of, weekly_slot
from apps.exchange.ratings_csv import BadInputError, RatingsCsv, Row, Series
from apps.ruptures.detection import PARAMETERS
from apps.ruptures.services import screen_treatment
from apps.ruptures.transitions import end_history, goes_on_here
from apps.therapy_sessions.models import TherapySession

Attendance = TherapySession.Attendance
INITIALS_LENGTH = Client._meta.get_field("initials").max_length or 0
CODE_LENGTH = Client._meta.get_field("code").max_length or 0
NAME_LENGTH = Membership._meta.get_field("name").max_length or 0
# Nothing that a client did or left undone: such a session is not held against anybody.
NOT_ATTENDED = Attendance.THERAPIST_CANCELLED


@dataclass
class Imported:
    """What an import added, and how many sessions it found there already.

    `erased` has the first lines of clients who were erased: nothing of them is stored.
    """

    clients: int = 0
    sessions: int = 0
    ratings: int = 0
    known: int = 0
    therapists: list[str] = field(default_factory=list)
    erased: list[int | None] = field(default_factory=list)


@transaction.atomic
def import_ratings(
    *,
    practice: Practice,
    questionnaire: Questionnaire,
    ratings: RatingsCsv,
    therapist: str = "",
    first_week: date | None = None,
    progress: Callable[[list[list[Series]]], Iterable[list[Series]]] = iter,
    by: Membership | None,
) -> Imported:
    """Store every client of a ratings file with sessions, ratings, screenings and episodes.

    A therapist code becomes a member who cannot sign in, unless a member has this name. Clients
    get no consent and no address, so that nothing is ever sent to them. A change of therapist ends
    the treatment and starts another, unless somebody with an account has treated the client. A
    session that was not attended is stored as cancelled by the therapist, which counts for nothing;
    `no_shows` become sessions of their own. Clients who were erased are left out.

    Args:
        therapist: who treated clients whose rows name no therapist.
        first_week: a day of the week in which courses without dates begin; by default such that
            the longest of them ended last week.
        progress: wraps the list of clients, each a list of series, to show how far it is.

    Raises:
        BadInputError: nothing is stored; the message says where in the file.
    """
    _check_items(ratings, questionnaire)
    clients = [list(each) for _, each in groupby(ratings.read_series(), lambda s: s.client)]
    _check_codes(ratings, clients)
    # Before anything is read of them: who was erased or handed over meanwhile is so.
    wait_for_turn(practice=practice, code__in=[series[0].client for series in clients])
    importer = _Importer(practice, questionnaire, ratings, therapist, by)
    clients = importer.not_erased(clients)
    importer.choose_first_week(clients, first_week)
    for series in progress(clients):
        importer.take(series)
    return importer.done


def _check_items(ratings: RatingsCsv, questionnaire: Questionnaire) -> None:
    """The file has the questionnaire's items, or scores."""
    items = [item["id"] for item in questionnaire.items]
    if not ratings.items:
        return
    for column in ratings.items:
        if column not in items:
            expected = f"pomp, or the items of {questionnaire.key}: {', '.join(items)}"
            raise BadInputError(ratings.name, 1, column, expected)
    for item in items:
        if item not in ratings.items:
            raise BadInputError(ratings.name, 1, item, f"this item of {questionnaire.key}")


def _check_codes(ratings: RatingsCsv, clients: list[list[Series]]) -> None:
    """No code begins as those of erased clients do, before any is looked up."""
    for code, line in ((each[0].client, each[0].rows[0].line or 1) for each in clients):
        if code.lower().startswith(ERASED_PREFIX):
            expected = f"a code that does not begin with {ERASED_PREFIX}"
            raise BadInputError(ratings.name, line, "client", expected, code)


class _Importer:
    """One file on its way into one practice; `done` counts what was stored."""

    def __init__(
        self,
        practice: Practice,
        questionnaire: Questionnaire,
        ratings: RatingsCsv,
        therapist: str,
        by: Membership | None,
    ) -> None:
        self.done = Imported()
        self._practice, self._questionnaire, self._by = practice, questionnaire, by
        self._order, self._therapist = ratings.order, therapist
        self._zone = ZoneInfo(practice.time_zone)
        self._now = timezone.now().astimezone(self._zone).replace(tzinfo=None)
        self._parameters = PARAMETERS[questionnaire.detection_form]
        self._placer = Placer(
            file=ratings.name,
            order=ratings.order,
            zone=self._zone,
            parameters=self._parameters,
        )
        self._members: dict[str, Membership] = {}
        self._made: set[UUID] = set()  # treatments of this import
        self._monday = monday_of(self._now.date())

    def not_erased(self, clients: list[list[Series]]) -> list[list[Series]]:
        """All but those whose code was an erased client's, in whatever spelling; a client who is
        here by a code that differs in it stays."""
        ours = Client.objects.filter(practice=self._practice)
        marks = list(
            map(bytes, ours.exclude(erased_code=b"").values_list("erased_code", flat=True))
        )
        if not marks:
            return clients
        spelled, exact = {mark[:HALF] for mark in marks}, {mark[HALF:] for mark in marks}
        kept = []
        for series in clients:
            code = series[0].client
            mark = code_marks(code, practice_id=self._practice.id)
            is_here = mark[HALF:] not in exact and ours.filter(code=code).exists()
            if mark[:HALF] in spelled and not is_here:
                self.done.erased.append(series[0].rows[0].line)
            else:
                kept.append(series)
        return kept

    def choose_first_week(self, clients: list[list[Series]], first_week: date | None) -> None:
        """Let courses without dates begin in `first_week`, else early enough for the longest."""
        if first_week:
            self._monday = monday_of(first_week)
            return
        longest = timedelta(0)
        for series in clients:
            placed = self._placer.place(_rows(series), first=self._now)
            longest = max(longest, placed[-1].starts_at - self._now)
        self._monday -= timedelta(weeks=1 + max(0, ceil(longest / timedelta(weeks=1))))

    def take(self, series: list[Series]) -> None:
        """Store what is new of one client."""
        code = series[0].client
        rows = _rows(series)
        known = known_sessions(self._practice, self._questionnaire, self._placer, code)
        self._check_code(code, rows[0], known)
        new = new_rows(series, known, self._placer, therapist=self._therapist)
        self.done.known += len(rows) - len(new)
        if not new:
            return
        placed = {id(each.row): each for each in self._place(code, new, known)}
        treatment = self._last_treatment(known)
        if treatment is None:
            self.done.clients += 1
            client = self._add_client(code)
        else:
            client = treatment.client
        for each in series:
            theirs = [placed[id(row)] for row in each.rows if id(row) in placed]
            if not theirs:
                continue
            goes_on = len(theirs) < len(each.rows)
            if treatment is None or not goes_on:
                treatment = self._start_treatment(client, each, theirs[0], ends=treatment)
            for of_their_day, held in self._by_treatment(treatment, theirs).items():
                self._store(of_their_day, held)
        for each_treatment in client.treatments.all():
            if not goes_on_here(each_treatment):
                end_history(each_treatment, at=timezone.now())
        audit.record("import ratings", client, client_id=client.id, by=self._by)

    def _check_code(self, code: str, row: Row, known: dict[str, Known]) -> None:
        if len(code) > CODE_LENGTH:
            raise self._bad(row, "client", f"a code of at most {CODE_LENGTH} characters", code)
        if not known:
            if Client.objects.filter(practice=self._practice, code=code).exists():
                raise self._bad(row, "client", "a code that no client here has", code)
            return
        other = next(iter(known.values())).questionnaire
        if other != self._questionnaire:
            expected = f"ratings by {other.key} version {other.version}, as imported before"
            raise self._bad(row, "client", expected, code)

    def _place(self, code: str, new: list[Row], known: dict[str, Known]) -> list[Placed]:
        stored = list(known.values())
        last = stored[-1].starts_at if stored else None
        attended = [each.starts_at for each in stored if each.attended]
        placed = self._placer.place(
            new,
            first=weekly_slot(code, self._monday),
            last=last,
            last_attended=attended[-1] if attended else None,
        )
        late = next((each for each in placed if each.starts_at > self._now), None)
        if late is None:
            return placed
        is_break = any((row.gap_days or 0) >= self._parameters.gap_days for row in new)
        if last and last < self._now and not is_break and not late.row.held_at:
            return _pressed(placed, last, self._now)
        column = "held_at" if late.row.held_at else self._order
        expected = f"a session held by now; this one would be on {late.starts_at:%Y-%m-%d}"
        raise self._bad(late.row, column, expected, late.row.when)

    def _last_treatment(self, known: dict[str, Known]) -> Treatment | None:
        return known[next(reversed(known))].session.treatment if known else None

    def _add_client(self, code: str) -> Client:
        return Client.objects.create(
            practice=self._practice,
            code=code,
            initials=code[:INITIALS_LENGTH],
            country=self._practice.country,
            time_zone=self._practice.time_zone,
        )

    def _start_treatment(
        self, client: Client, series: Series, first: Placed, *, ends: Treatment | None
    ) -> Treatment:
        therapist = self._member(self._name_of(series), first.row)
        known = client.treatments.exclude(id__in=self._made)
        if known.filter(therapist__in=Membership.objects.with_account()).exists():
            return self._treatment_here(known, therapist, first.row)
        if ends and not ends.ends_on:
            last = ends.therapy_sessions.latest("starts_at")
            ends.ends_on = last.starts_at.astimezone(self._zone).date()
            ends.save(update_fields=["ends_on"])
        treatment = Treatment.objects.create(
            practice=self._practice,
            client=client,
            therapist=therapist,
            starts_on=min((first.starts_at, *first.no_shows)).date(),
            follows=client.treatments.not_followed().first(),
        )
        self._made.add(treatment.id)
        return treatment

    def _treatment_here(
        self, known: QuerySet[Treatment], therapist: Membership, row: Row
    ) -> Treatment:
        """One of theirs of a client whom somebody who works here treats, or treated: a file takes
        nobody from anybody. Which of several each session goes to, its day decides."""
        treatment = self._begun(known, therapist).first()
        if treatment is None:
            expected = "somebody who treats or treated the client here; hand the client over first"
            raise self._bad(row, "therapist", expected, therapist.name)
        return treatment

    def _by_treatment(
        self, treatment: Treatment, placed: Sequence[Placed]
    ) -> dict[Treatment, list[Placed]]:
        """Sessions by the treatment of their day, of those that their therapist has here with the
        client: one that was closed may have been begun again since. Past the end of all, the last.

        A date that the file gives has to be theirs, by the rule of what is logged by hand; dates
        that are made up tell of nobody.
        """
        if treatment.id in self._made:
            return {treatment: list(placed)}
        begun = self._begun(treatment.client.treatments.all(), treatment.therapist)
        in_order = list(begun.order_by(F("ends_on").asc(nulls_last=True), "starts_on"))
        found: dict[Treatment, list[Placed]] = {}
        for each in placed:
            day = each.starts_at.date()
            lasting = (it for it in in_order if it.ends_on is None or it.ends_on > day)
            of_day = next(lasting, in_order[-1])
            if each.row.held_at and of_day.day_is_anothers(day):
                expected = (
                    f"a day on which {treatment.therapist.name} treated the client here; it is a"
                    " colleague's: name them in the column therapist, or take the row out"
                )
                raise self._bad(each.row, "held_at", expected, each.row.when)
            found.setdefault(of_day, []).append(each)
        return found

    def _begun(self, treatments: QuerySet[Treatment], therapist: Membership) -> QuerySet[Treatment]:
        return treatments.filter(therapist=therapist, starts_on__lte=self._now.date())

    def _name_of(self, series: Series) -> str:
        return series.therapist or self._therapist

    def _member(self, name: str, row: Row) -> Membership:
        """The practice's member of this name, a therapist; a new one without sign-in if there is
        none. Of several, whoever they are by now, nobody is guessed."""
        if name in self._members:
            return self._members[name]
        if not name:
            expected = "a therapist; for rows that name none, give --therapist"
            raise self._bad(row, "therapist", expected, "")
        if len(name) > NAME_LENGTH:
            raise self._bad(row, "therapist", f"at most {NAME_LENGTH} characters", name)
        found = list(Membership.objects.filter(practice=self._practice, name=name))
        if len(found) > 1:
            expected = (
                "a name that no two members here have; use a name that nobody here has,"
                " and hand the clients over afterwards"
            )
            raise self._bad(row, "therapist", expected, name)
        if found and not found[0].has_role(Role.THERAPIST):
            expected = "a member who works as a therapist, or a name that nobody here has"
            raise self._bad(row, "therapist", expected, name)
        if found:
            member = found[0]
        else:
            member = add_member(
                practice=self._practice, name=name, roles=[Role.THERAPIST], by=self._by
            )
            self.done.therapists.append(name)
        self._members[name] = member
        return member

    def _refuse_taken(self, treatment: Treatment, placed: Sequence[Placed]) -> None:
        """A session that stands here already may be the row's or another: nobody guesses."""
        times = {
            starts_at.replace(tzinfo=self._zone): each
            for each in placed
            for starts_at in (each.starts_at, *each.no_shows)
        }
        here = treatment.therapy_sessions.filter(starts_at__in=times).order_by("starts_at").first()
        if here is None:
            return
        told = times[here.starts_at.astimezone(self._zone)]
        at = self._placer.wall_clock(here.starts_at)
        expected = (
            f"no session here with this client at that time, {at:%Y-%m-%d %H:%M};"
            " cancel or move the one that stands there"
        )
        if self._order == "held_at":  # a number that is missing is a session as well
            expected += ", or take the row out where that is the same session"
        # What a missing number tells of has no line: that of the row after it shows the gap.
        lines = (each.row.line for each in placed[placed.index(told) :])
        row = replace(told.row, line=next(filter(None, lines), None))
        raise self._bad(row, "held_at" if row.held_at else self._order, expected, row.when)

    def _store(self, treatment: Treatment, placed: Sequence[Placed]) -> None:
        self._refuse_taken(treatment, placed)
        held = [(each, self._session(treatment, each)) for each in placed]
        missed = [
            self._appointment(treatment, starts_at, Attendance.NO_SHOW)
            for each in placed
            for starts_at in each.no_shows
        ]
        ratings = [
            self._rating(session, each.row) for each, session in held if _is_answered(each.row)
        ]
        TherapySession.objects.bulk_create([*missed, *(session for _, session in held)])
        AllianceRating.objects.bulk_create(ratings)
        ImportedSession.objects.bulk_create(
            ImportedSession(
                practice=self._practice,
                therapy_session=session,
                questionnaire=self._questionnaire,
                place=self._placer.place_of(each.row),
            )
            for each, session in held
        )
        screen_treatment(
            treatment=treatment,
            questionnaire=self._questionnaire,
            since=held[0][1],
            at=timezone.now() if goes_on_here(treatment) else None,
        )
        self.done.sessions += len(held)
        self.done.ratings += len(ratings)

    def _session(self, treatment: Treatment, placed: Placed) -> TherapySession:
        row = placed.row
        attendance = Attendance.ATTENDED if row.attended else NOT_ATTENDED
        session = self._appointment(treatment, placed.starts_at, attendance)
        if row.attended:
            session.asked = row.asked
            tension = told_tension(row)
            session.tension = tension["therapist_tension"]
            session.tension_resolved = tension["therapist_resolved"]
        return session

    def _appointment(
        self, treatment: Treatment, starts_at: datetime, attendance: str
    ) -> TherapySession:
        session = TherapySession(
            practice=self._practice,
            treatment=treatment,
            starts_at=starts_at.replace(tzinfo=self._zone),
            attendance=attendance,
        )
        session.logged_at = session.ends_at
        return session

    def _rating(self, session: TherapySession, row: Row) -> AllianceRating:
        answers = {item: _plain(value) for item, value in row.answers.items() if value is not None}
        rating = build_rating(
            therapy_session=session,
            questionnaire=self._questionnaire,
            answers=answers,
            mode=AllianceRating.Mode.IMPORTED,
            answered_at=session.ends_at,
            tension=row.tension,
            tension_resolved=told_tension(row)["resolved"],
        )
        rating.pomp = row.pomp
        return rating

    def _bad(self, row: Row, column: str, expected: str, found: object) -> BadInputError:
        return self._placer.bad(row, column, expected, found)


def _pressed(placed: list[Placed], last: datetime, now: datetime) -> list[Placed]:
    """Made-up dates that ran past `now`, closer together instead, with room for a week more."""
    share = (now - last) / (placed[-1].starts_at - last + WEEK)
    return [
        replace(
            each,
            starts_at=last + share * (each.starts_at - last),
            no_shows=tuple(last + share * (missed - last) for missed in each.no_shows),
        )
        for each in placed
    ]


def _rows(series: Iterable[Series]) -> list[Row]:
    return [row for each in series for row in each.rows]


def _is_answered(row: Row) -> bool:
    """The client said something: a score, an item, or how tense it was."""
    answered = any(value is not None for value in row.answers.values())
    return answered or row.pomp is not None or row.tension is not None


def _plain(value: float) -> int:
    """A whole answer as a whole number, as clients give it; another as it is."""
    return int(value) if value.is_integer() else value  # type: ignore[return-value]
