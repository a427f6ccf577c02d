"""Every form of staff, filled in, and what becomes of the words."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from html import unescape
from html.parser import HTMLParser
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.test import Client as Browser
from django.urls import resolve

from apps.core import tenancy
from tests.architecture.matrix.building import taken_back
from tests.architecture.matrix.canaries import TENANT, texts
from tests.architecture.matrix.cells import Cell, ask, without_log_lines
from tests.architecture.matrix.routes import ROUTES, Door
from tests.architecture.matrix.world import Person, World

AS_THEY_STAND = {"hidden", "date", "time", "number", "email"}


@dataclass
class Form:
    """A form as a page shows it: where it goes, what it would send, where words can be written."""

    action: str
    sends: dict[str, Any] = field(default_factory=dict)
    words: dict[str, str] = field(default_factory=dict)

    @property
    def route(self) -> str:
        return resolve(urlsplit(self.action).path).url_name or ""


class Forms(HTMLParser):
    """Every form of a page that is sent by POST."""

    def __init__(self, page: str, *, here: str) -> None:
        super().__init__()
        self.found: list[Form] = []
        self.here, self.is_inside, self.select = here, False, ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        has = {name: value or "" for name, value in attrs}
        name, kind, value = has.get("name", ""), has.get("type", "text"), has.get("value", "")
        if tag == "form" and has.get("method") == "post":
            self.is_inside = True
            self.found.append(Form(has.get("action") or self.here))
        if not self.is_inside:
            return
        form = self.found[-1]
        if tag == "textarea" or (tag == "input" and kind == "text" and not value):
            form.words[name] = f"typed{name}"  # one word, as a choice is
        elif tag == "input" and (kind in AS_THEY_STAND or (value and kind == "text")):
            form.sends[name] = value
        elif tag == "input" and "checked" in has:
            form.sends.setdefault(name, []).append(value or "on")
        elif tag == "select":
            self.select = name
        elif tag == "option" and "selected" in has:
            form.sends[self.select] = value

    def handle_endtag(self, tag: str) -> None:
        self.is_inside = self.is_inside and tag != "form"


def forms_of(world: World, person: Person) -> Iterator[Form]:
    """Each form that the person can send, on whatever page about the first case it stands, made
    valid by the body of its row in ROUTES."""
    case, browser, met = world.cases[person.practice, "1"], Browser(), set()
    for name, row in ROUTES.items():
        if "GET" not in row.methods or row.who not in person.permissions:
            continue
        door = Door("path", row.kwarg) if row.kwarg else Door()
        with taken_back(), without_log_lines():
            page = ask(browser, Cell(name, row, door, person, None, case, "GET"))
        here = page.wsgi_request.get_full_path()
        for form in Forms(page.content.decode(errors="replace"), here=here).found:
            sent = ROUTES[form.route]
            if sent.who in person.permissions and form.action not in met:
                form.sends |= sent.body(case) if sent.body else {}
                met.add(form.action)
                yield form


def lost(person: Person, form: Form) -> Iterator[str]:
    """What of the words is neither in the answer nor stored, or what else is wrong with it."""
    browser = Browser(raise_request_exception=False)
    browser.cookies[settings.SESSION_COOKIE_NAME] = person.key
    assert person.member
    with taken_back(), without_log_lines():
        answer: Any = browser.post(form.action, form.sends | form.words)
        page = unescape(answer.content.decode(errors="replace"))
        if answer.status_code >= 500:
            yield f"{form.route} answered {answer.status_code}"
        missing = {name for name, words in form.words.items() if words not in page}
        if missing:
            with tenancy.practice(person.member.practice_id):
                kept = " ".join(all_words())
            missing = {name for name in missing if form.words[name] not in kept}
        for name in sorted(missing):
            yield f"{form.route} ({answer.status_code}) lost what was typed into {name}"
        is_refused = answer.status_code in {403, 404, 409}
        if is_refused and not re.search("othing was saved|not saved", page):
            yield f"{form.route} ({answer.status_code}) does not say that nothing was saved"


def all_words() -> Iterator[str]:
    """Every text of every row that the database shows."""
    for model in TENANT:
        columns = [column.name for column, _kind in texts(model)]
        for row in model._default_manager.all():
            yield from (str(getattr(row, name)) for name in columns)
