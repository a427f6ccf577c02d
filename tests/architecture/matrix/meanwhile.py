"""A page is opened; meanwhile something happens; then its form is sent: what may come of it."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.core.cache import cache
from django.db import connection
from django.test import Client as Browser
from django.urls import reverse

from apps.clients.turns import WAYS
from apps.core import tenancy
from apps.core.models import AuditEntry, AuditSeal
from tests.architecture.matrix import scenes
from tests.architecture.matrix.building import taken_back
from tests.architecture.matrix.canaries import TENANT
from tests.architecture.matrix.cells import Report, without_log_lines
from tests.architecture.matrix.routes import ROUTES
from tests.architecture.matrix.scenes import Page, Scene
from tests.architecture.matrix.typed import Form, Forms
from tests.architecture.matrix.world import Person

COMMENT = "I felt hurried."

Rows = dict[tuple[str, str], str]
Forbids = Callable[[list[str]], list[str]]

LOCKS_OR_WRITES = re.compile(r"^\s*(INSERT|UPDATE|DELETE)|FOR (NO KEY )?UPDATE")
SEEN = re.compile(r'^\s*\w+ (INTO |FROM )?"?(django_session|core_auditentry)')
OF_CLIENTS = re.compile(r'FROM "(?!accounts_|core_|django_|mfa_)')


def to_write(tables: list[str]) -> list[str]:
    return tables


def to_ask_or_screen(tables: list[str]) -> list[str]:
    return [each for each in tables if each in {"core_outboxmessage", "ruptures_screening"}]


@dataclass(frozen=True)
class Event:
    """What happens, what a form may not do afterwards, and which forms it is about: by the id in
    their address or by their route, where it is not all of them.

    `midway`: whether it is also tried between the look of a form and what it writes. Whoever was
    let in finishes what they had begun as their place was closed.
    """

    happens: Callable[[Scene], None]
    forbids: Forbids = to_write
    forms: frozenset[str] = frozenset()
    midway: bool = True

    def is_about(self, form: Form) -> bool:
        return not self.forms or bool({form.route, ROUTES[form.route].kwarg} & self.forms)


EVENTS = {
    "erased": Event(scenes.the_client_is_erased),
    "handed over": Event(scenes.the_client_is_handed_over),
    "closed": Event(scenes.the_treatment_is_closed),
    "restricted": Event(scenes.processing_is_restricted, to_ask_or_screen, midway=False),
    "place closed": Event(scenes.their_place_is_closed, midway=False),
    "role taken away": Event(scenes.their_role_is_taken_away, midway=False),
    "sessions cancelled": Event(
        scenes.the_sessions_are_cancelled,
        forms=frozenset({"session_id", "logged_id"}),
        midway=False,
    ),
    "episode over": Event(
        scenes.the_episode_has_its_outcome, forms=frozenset({"episode_id", "decide"})
    ),
}


@contextmanager
def interrupted(event: Callable[[], None], *, looked: list[str] | None = None) -> Iterator[None]:
    """Let something happen between what a request has read and what it locks or writes first, as
    if somebody else had committed at that moment. `looked` takes the queries before it."""
    waiting = [event]

    def watch(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        if waiting and LOCKS_OR_WRITES.search(sql) and not SEEN.search(sql):
            waiting.pop()()
        if waiting and looked is not None:
            looked.append(sql)
        return execute(sql, params, many, context)

    with connection.execute_wrapper(watch):
        yield


def rows() -> Rows:
    """A checksum of every row of the practice; of the trail, its changes alone."""
    kept = [each._meta for each in TENANT if each not in (AuditEntry, AuditSeal)]
    row = "SELECT '{0}', {1}::text, md5(t::text) FROM {0} t"
    queries = [row.format(meta.db_table, meta.pk.column) for meta in kept if meta.pk]
    queries.append("SELECT 'the trail', id::text, action FROM core_auditentry WHERE NOT is_read")
    with connection.cursor() as cursor:
        cursor.execute(" UNION ALL ".join(queries))
        return {(table, row_id): said for table, row_id, said in cursor.fetchall()}


def changed(before: Rows, after: Rows) -> list[str]:
    """Tables with a row that was added, changed or taken away."""
    return sorted({table for (table, _id), _said in before.items() ^ after.items()})


def send(person: Person, form: Form) -> tuple[Any, set[str]]:
    """The answer to a form, and in which ways it spoke: success, info, error."""
    browser = Browser(raise_request_exception=False)
    browser.cookies[settings.SESSION_COOKIE_NAME] = person.key
    cache.clear()
    answer: Any = browser.post(form.action, form.words | form.sends)
    return answer, {each.level_tag for each in getattr(answer.wsgi_request, "_messages", ())}


def waits_for_its_turn(form: Form) -> bool:
    """Whether the id in its address leads to a client, who is held before anything is looked at."""
    return ROUTES[form.route].kwarg in WAYS


def at_work(page: Page, report: Report) -> Iterator[str]:
    """The routes of those forms of a page that change something where nothing happens. Noted is
    what looks at a client's rows before it waits for the turn with them."""
    with taken_back(), without_log_lines():
        at = page.state(page.scene)
        before = rows()
        for form in page.forms(at):
            with taken_back():
                looked: list[str] = []
                with interrupted(lambda: None, looked=looked):
                    answer, _said = send(at.person, form)
                if answer.status_code < 400 and changed(before, rows()):
                    yield form.route
            early = [each for each in looked if OF_CLIENTS.search(each)]
            if waits_for_its_turn(form) and early:
                report.leaks.append(f"{form.route} of {at.person} looks before its turn: {early}")


def ask(page: Page, name: str, report: Report, *, midway: bool) -> None:
    """Send every form of a page after an event, or with it midway, and note what is wrong."""
    if name in page.never:
        return
    event = EVENTS[name]
    when = f"{name} {'midway' if midway else 'before it was sent'}"
    with taken_back(), without_log_lines():
        at = page.state(page.scene)
        forms = [each for each in page.forms(at) if event.is_about(each)]
        if midway:  # where a form waits before it looks, nothing is between the two
            forms = [each for each in forms if not waits_for_its_turn(each)]
        if forms and not midway:
            event.happens(at)
        before = rows()
        for form in forms:
            report.cells += 1
            with taken_back():
                wrong = _wrong(at, form, before, event, midway=midway)
            if f"{at.person.name}, {name}" not in ROUTES[form.route].still:
                report.leaks += [f"{form.route} of {at.person}, {when}: {each}" for each in wrong]


def _wrong(at: Scene, form: Form, before: Rows, event: Event, *, midway: bool) -> list[str]:
    seen = [before]

    def happens() -> None:
        with tenancy.practice(at.practice_id):
            event.happens(at)
        seen.append(rows())

    with interrupted(happens if midway else lambda: None):
        answer, said = send(at.person, form)
    after = rows()
    # What was refused may have taken the event back with it: then nothing at all was written.
    tables = [] if after in seen else changed(seen[-1], after)
    if answer.status_code >= 500:
        return [f"answered {answer.status_code}"]
    if wrote := event.forbids(tables):
        return [f"wrote {wrote}"]
    if event.forbids is to_write and not tables and "success" in said:
        return ["did nothing, and says that it did"]
    return []


def answer_by_link(at: Scene, happens: Callable[[], None], *, midway: bool) -> Any:
    """Open the client's form, let something happen before it is sent or midway, and send it."""
    browser = Browser(raise_request_exception=False)
    url = reverse("feedback_form", args=[at.ids["token"]])
    cache.clear()
    [form, *_others] = Forms(browser.get(url).content.decode(), here=url).found
    body = ROUTES["feedback_form"].body
    assert body
    assert form.words.keys() == {"comment"}
    sent = form.sends | body(at.world.cases["a", "1"]) | {"comment": COMMENT}
    if not midway:
        happens()
    with without_log_lines(), interrupted(happens if midway else lambda: None):
        return browser.post(url, sent)
