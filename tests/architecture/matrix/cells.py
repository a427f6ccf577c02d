"""Ask every cell, and judge the answer."""

import logging
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any
from uuid import uuid4
from zipfile import ZipFile

from django.conf import settings
from django.core import mail
from django.core.cache import cache
from django.db import connection
from django.http import HttpResponse
from django.test import Client as Browser
from django.urls import NoReverseMatch, reverse
from django.utils.html import escape

from apps.accounts.permissions import Permission
from apps.core import tenancy
from apps.core.models import AuditEntry
from tests.architecture.matrix.building import taken_back
from tests.architecture.matrix.canaries import canaries
from tests.architecture.matrix.headers import wrong_headers
from tests.architecture.matrix.routes import (
    METHODS,
    PUBLIC,
    ROUTES,
    SAFE,
    Door,
    Route,
    urls,
)
from tests.architecture.matrix.world import Case, Person, Relation, World

# Signing in and being looked at are written by reads too; nothing else is.
NOT_COUNTED = {"django_session", "core_auditentry"}


@dataclass(frozen=True)
class Cell:
    """One request of one person."""

    name: str
    route: Route
    door: Door
    person: Person
    relation: Relation | None
    case: Case
    method: str
    query: str = ""

    def __str__(self) -> str:
        what = f"{self.relation} object" if self.relation else ""
        asked = f"{self.door}{f'?{self.query}' if self.query else ''}"
        return " ".join(f"{self.method} {self.name} {asked} {what} by {self.person}".split())

    @property
    def allowed(self) -> bool:
        """Whether the declaration lets this request through to the view's work."""
        return self.expected() in (self.route.reads, self.route.wrote) and not (
            self.is_sent_away or self.is_held_back
        )

    @property
    def is_sent_away(self) -> bool:
        return self.route.who != PUBLIC and not self.person.is_signed_in

    @property
    def is_held_back(self) -> bool:
        """Whether the person must first set up a second step."""
        row = self.route
        is_open = row.who == PUBLIC or row.before_second_step
        return self.person.stage == "set-up" and not is_open

    def expected(self) -> frozenset[int]:
        """The statuses that the table declares for it."""
        row, permissions = self.route, self.person.permissions
        if self.is_sent_away:
            return frozenset({302})
        if self.is_held_back:
            return frozenset({302})
        if isinstance(row.who, Permission) and row.who not in permissions:
            return frozenset({403})
        if self.method not in row.methods:
            return frozenset({405})
        if self.door.name == "practice":
            is_open = self.case.practice and self.case.practice in self.person.works_in
            return frozenset({302 if is_open else 404})
        if row.answers:
            read, sent = row.answers.get(self.person.stage, row.answers[""])
            return frozenset({read if self.method in SAFE else sent})
        by_link = row.kwarg == "token"
        if by_link and self.relation not in row.reach:
            return frozenset({404})
        if row.who != PUBLIC and row.memberless and not permissions:
            return frozenset({403})
        if self.door.how in {"path", "query"} and self.door.refused and not by_link:
            if self.relation in row.known or (self.door.name == "client" and self.is_known):
                return frozenset({403})
            if not self.is_reached:
                return frozenset({self.door.refused})
        taken = row.once and self.relation is Relation.ANSWERED
        if self.method in SAFE or row.body is None or taken:
            return row.reads
        if self.door.refused == 200 and self.relation not in row.reach:
            return frozenset({200})
        if self.door == Door() and self.name == "log_session":
            return frozenset({200})
        return row.wrote

    @property
    def is_reached(self) -> bool:
        """Whether the person may open the object."""
        others = self.is_known and self.route.held_by not in ("", self.person.name)
        return self.relation in self.route.reach and not others

    @property
    def is_known(self) -> bool:
        return self.relation in {Relation.SUPERVISED, Relation.QUIET}

    @property
    def writes(self) -> bool:
        """Whether it must change rows: else the matrix would not see a change that it forbids."""
        return self.may_write and self.door.refused != 0

    @property
    def may_write(self) -> bool:
        changes = self.route.body and self.method not in SAFE and self.door.name != "show treatment"
        return bool(changes) and self.allowed and self.expected() == self.route.wrote

    @property
    def changes_own_account(self) -> bool:
        is_in = self.person.is_signed_in and not self.is_held_back
        return self.route.account and is_in and self.method == "POST"

    @property
    def hides(self) -> bool:
        """Whether its answer must be that of a missing object."""
        if self.relation in {None, Relation.MISSING}:
            return False
        if not self.door.refused:
            return self.relation == Relation.FOREIGN
        return self.expected() == {404} or (
            self.door.refused == 200 and self.relation not in self.route.reach
        )


Judge = Callable[[World, Cell, Any, dict[str, int]], Iterator[str]]


@dataclass
class Report:
    """What came out: cells asked, leaks found, who reached what; and the rows counted so far."""

    cells: int = 0
    leaks: list[str] = field(default_factory=list)
    reached: dict[tuple[str, str], set[str]] = field(default_factory=dict)
    shown: dict[tuple[object, ...], set[str]] = field(default_factory=dict)
    written: dict[str, int] = field(default_factory=dict)


def names() -> list[str]:
    """Every route that can be asked for."""
    return sorted({name for name, _ in urls()})


def cells(world: World, name: str) -> Iterator[Cell]:
    """All cells of one route; the missing object comes before the ones compared with it.

    Methods that the route declares, and GET, are asked about every object. HEAD and OPTIONS run
    the same code as GET: about the missing object, the first, another practice's and links. What
    the route does not take is refused before any object is looked at, as GET shows: one is enough.
    """
    row = ROUTES[name]
    for person in world.people:
        for door in row.every_door():
            objects: list[tuple[Any, Case]] = [(None, world.missing)]
            if row.kwarg == "token":
                objects = world.links(person)
            elif door.how:
                objects = world.objects(person)
            for method in METHODS:
                if door.how == "body" and method in SAFE:
                    continue
                for relation, case in _asked_about(objects, method, row):
                    yield Cell(name, row, door, person, relation, case, method)
        for query in row.queries:
            for method in ("GET", *row.methods - SAFE):
                yield Cell(name, row, Door(), person, None, world.missing, method, query)


def _asked_about(
    objects: list[tuple[Any, Case]], method: str, row: Route
) -> list[tuple[Any, Case]]:
    if method == "GET" or method in row.methods - SAFE:
        return objects
    if method in row.methods:
        others = {Relation.FOREIGN, Relation.LINK}
        return [each for n, each in enumerate(objects) if n < 2 or each[0] in others]
    return objects[:1]


def ask_all(
    world: World, these: Iterable[Cell], report: Report, *, judges: Judge | None = None
) -> None:
    """Ask each cell in a savepoint that is taken back, and note what is wrong with the answer.

    `judges` replaces `judge`, for a world in which one wall is down on purpose.
    """
    browser = Browser(raise_request_exception=False)
    absent: dict[tuple[object, ...], tuple[object, ...]] = {}
    with without_log_lines():
        for cell in these:
            _ask_one(world, cell, report, browser, absent, judges or judge)


def _ask_one(
    world: World,
    cell: Cell,
    report: Report,
    browser: Browser,
    absent: dict[tuple[object, ...], tuple[object, ...]],
    judges: Judge,
) -> None:
    """Ask one cell; `absent` keeps the answers about missing objects for the cells that follow."""
    report.cells += 1
    mail.outbox.clear()
    cache.clear()  # each cell is asked as if it were the first: limits have their own tests
    before = report.written or written()
    with taken_back():
        response = ask(browser, cell)
        after = written()
        delta = {table: n - before.get(table, 0) for table, n in after.items()}
        trail = left_behind(cell, delta)
    report.written = after
    wrong = list(judges(world, cell, response, delta))
    if judges is judge:
        wrong += audited(world, cell, response, trail, report)
        wrong += told_apart(cell, response, absent)
    report.leaks += [f"{cell}: {each}" for each in wrong]
    _note(report, cell, response)


@contextmanager
def without_log_lines() -> Iterator[None]:
    """Each of thousands of requests and refusals would be a line in the log."""
    loggers = [logging.getLogger(name) for name in ("django.request", "apps.core.tracing")]
    before = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        for logger, level in zip(loggers, before, strict=True):
            logger.setLevel(level)


def ask(browser: Browser, cell: Cell) -> Any:
    browser.cookies.clear()
    if cell.person.key:
        browser.cookies[settings.SESSION_COOKIE_NAME] = cell.person.key
    url, body = address(cell), {}
    if cell.method not in SAFE and cell.route.body:
        body = cell.route.body(cell.case)
        if cell.door.how == "body":
            *press, name = cell.door.name.split()
            body |= {name: cell.case.ids[name]} | dict.fromkeys(press, "1")
    query = cell.query
    if cell.door.how == "query":
        query = f"{cell.door.name}={cell.case.ids[cell.door.name]}"
    referer = {"HTTP_REFERER": f"http://testserver{cell.person.link}"} if cell.person.link else {}
    if cell.method == "POST":
        return browser.post(f"{url}?{query}" if query else url, body, **referer)
    answer: Any = browser.generic(cell.method, f"{url}?{query}" if query else url, **referer)
    return whole(answer) if answer.streaming else answer


def whole(answer: Any) -> Any:
    """A file that was sent piece by piece, as one answer."""
    made: Any = HttpResponse(answer.getvalue(), status=answer.status_code, headers=answer.headers)
    made.wsgi_request = answer.wsgi_request
    return made


def address(cell: Cell) -> str:
    """The route's address with the case's id."""
    if not cell.route.made_up:
        kwarg = cell.route.kwarg
        return reverse(cell.name, kwargs={kwarg: cell.case.ids[kwarg]} if kwarg else None)
    pattern = next(each.pattern for name, each in urls() if name == cell.name)
    wanted = list(pattern.converters) or list(pattern.regex.groupindex)
    for value in ("nothing", 1, uuid4()):
        try:
            return reverse(cell.name, kwargs=dict.fromkeys(wanted, value))
        except NoReverseMatch:
            continue
    raise NoReverseMatch(f"No address for {cell.name}: give its row a kwarg.")


def written() -> dict[str, int]:
    """Rows written by this transaction so far, by table; what was taken back counts as well."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT relname, n_tup_ins + n_tup_upd + n_tup_del FROM pg_stat_xact_user_tables"
        )
        return dict(cursor.fetchall())


def judge(world: World, cell: Cell, response: Any, delta: dict[str, int]) -> Iterator[str]:
    """Everything that is wrong with one answer, in words."""
    expected, status = cell.expected(), response.status_code
    if status not in expected:
        yield f"answered {status}, declared {sorted(expected)}"
    if cell.is_sent_away and not response.headers.get("Location", "").startswith(
        reverse(settings.LOGIN_URL)
    ):
        yield f"leads to {response.headers.get('Location')}, not to the sign-in"
    if cell.is_held_back and response.headers.get("Location") != reverse("mfa_index"):
        yield f"leads to {response.headers.get('Location')}, not to setting up a second step"
    changed = sorted(table for table, n in delta.items() if n and table not in NOT_COUNTED)
    if changed and not cell.may_write and not cell.changes_own_account:
        yield f"changed {changed}"
    # What changes the session with the browser alone is not counted, but leaves an audit row.
    if cell.writes and not changed and not delta.get("core_auditentry"):
        yield "changed nothing, though it is allowed to: is the declared body valid?"
    if delta.get("core_auditentry") and not cell.person.member and not cell.may_write:
        yield "left an audit row, though nobody of a practice asked"
    yield from sung(world, cell, response)
    yield from wrong_headers(cell, response)


def left_behind(cell: Cell, delta: dict[str, int]) -> list[AuditEntry]:
    """The audit rows that one request wrote, oldest first: in the practice of the member, or of
    the link. What made the world came by no route."""
    public = cell.route.who == PUBLIC
    practice_id = cell.case.ids.get("practice") if public else None
    if cell.person.member and not public:
        practice_id = cell.person.member.practice_id
    if not practice_id or not delta.get("core_auditentry"):
        return []
    with tenancy.practice(practice_id):
        return list(AuditEntry.objects.exclude(route="").order_by("id"))


def audited(
    world: World, cell: Cell, response: Any, trail: list[AuditEntry], report: Report
) -> Iterator[str]:
    """Whether the trail says exactly whom the answer showed, and who changed what.

    Which clients an answer showed is heard from their canaries, so that no route has to declare
    it; a HEAD leaves what the GET before it left.
    """
    heard = canaries(shown_to(cell.person, response))
    shown = {
        world.cases[each.practice, each.number].ids["client_id"]
        for each in heard
        if each.number != "0" and cell.person.is_signed_in
    }
    same = (cell.name, cell.door, str(cell.person), cell.relation, cell.query)
    if cell.method == "HEAD":
        shown = report.shown.get(same, set())
    elif cell.method == "GET":
        report.shown[same] = shown
    me = cell.person.member and cell.person.member.id
    reads = [
        (each.actor_id, each.route, {str(client) for client in each.client_ids})
        for each in trail
        if each.is_read
    ]
    if reads != ([(me, cell.name, shown)] if shown else []):
        yield f"showed {len(shown)} clients, but left the reads {reads}"
    changes = [each for each in trail if not each.is_read]
    if cell.writes and cell.route.client_data:
        # Whoever answers a link is nobody to us, also where somebody is signed in beside it.
        actor = None if cell.route.who == PUBLIC else me
        if not any((each.actor_id, each.route) == (actor, cell.name) for each in changes):
            yield "changed a client's data and left no audit row of it"
    elif changes and not cell.may_write and not cell.changes_own_account:
        yield f"left audit rows of changes: {[each.action for each in changes]}"


def told_apart(
    cell: Cell, response: Any, absent: dict[tuple[object, ...], tuple[object, ...]]
) -> Iterator[str]:
    """Whether an object that is not theirs is answered otherwise than one that is not there."""
    same = (cell.name, cell.door, str(cell.person), cell.method)
    if cell.relation is Relation.MISSING:
        absent[same] = told(cell, response)
    elif cell.hides and told(cell, response) != absent[same]:
        yield "differs from the answer about a missing object"


def shown_to(person: Person, response: Any) -> str:
    """The text of an answer, of what is packed in it too, without the name of the person's other
    practice, which the switcher shows on every page."""
    content = response.content
    if content and response.headers.get("Content-Type") == "application/zip":
        with ZipFile(BytesIO(content)) as packed:
            content = b"\n".join(packed.read(name) for name in packed.namelist())
    text: str = content.decode(errors="replace")
    return text.replace(escape(person.elsewhere), "") if person.elsewhere else text


def sung(world: World, cell: Cell, response: Any) -> Iterator[str]:
    """Canaries in the page, its headers, its cookies or its mail that this person may not hear."""
    heard = canaries(shown_to(cell.person, response))
    heard |= canaries(f"{response.headers} {response.cookies}")
    for message in mail.outbox:
        heard |= canaries(str(message.message()))
    for canary in sorted(heard):
        if cell.route.kwarg == "token":
            is_fine = (canary.practice, canary.number, canary.kind) == (
                cell.case.practice,
                "0",
                "s",
            )
        else:
            # Everybody who signs in sees their own account, whatever they may do here.
            own_account = cell.route.account and canary.number == "0"
            a_code = cell.route.codes and canary.kind == "c"
            of_ended = cell.route.codes_of_ended and world.may_recall(cell.person, canary)
            is_fine = (
                world.may_see(cell.person, canary)
                or of_ended
                or ((own_account or a_code) and canary.practice == cell.person.practice)
            )
        if not is_fine:
            kind = {"c": "code", "s": "sender", "z": "data"}[canary.kind]
            whose = f"client {canary.number}" if canary.number != "0" else "people"
            yield f"shows {kind} of {whose} of practice {canary.practice}"


def told(cell: Cell, response: Any) -> tuple[object, ...]:
    """The answer without what differs between any two: the CSRF mask, the address, the id, and the
    number of a form that is kept."""
    page: bytes = response.content
    headers = str(sorted(response.headers.items())).encode()
    ids = (each for name, each in cell.case.ids.items() if name != "practice")  # the switcher's
    for text in (response.wsgi_request.get_full_path(), *ids):
        page, headers = page.replace(text.encode(), b""), headers.replace(text.encode(), b"")
    page = re.sub(rb'name="csrfmiddlewaretoken" value="[^"]+"', b"", page)
    headers = re.sub(rb"draft%3D[0-9a-f-]{36}", b"", headers)
    return response.status_code, headers, page


def _note(report: Report, cell: Cell, response: Any) -> None:
    reached = report.reached.setdefault((cell.name, cell.person.name), set())
    is_in = response.status_code < 400 and not (cell.is_sent_away or cell.is_held_back)
    if (
        cell.method in cell.route.methods
        and is_in
        and cell.door.how != "body"
        and cell.door.refused == 404
    ):
        reached.add(str(cell.relation) if cell.relation else "yes")
