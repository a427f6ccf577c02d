"""Either wall by itself keeps the other practice out; the matrix sees a hole in a wall."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.apps import apps
from django.db import connection
from pytest_django.plugin import DjangoDbBlocker

from apps.clients.models import ClientQuerySet
from tests.architecture.matrix.building import world
from tests.architecture.matrix.canaries import TENANT, canaries, texts
from tests.architecture.matrix.cells import (
    NOT_COUNTED,
    Cell,
    Report,
    ask_all,
    cells,
    names,
    shown_to,
)
from tests.architecture.matrix.report import MARKS, tell
from tests.architecture.matrix.routes import SAFE
from tests.architecture.matrix.world import Relation, World
from tests.architecture.rules import SCOPES
from tests.conftest import the_owner


@pytest.fixture(scope="module", params=["app", "migrator"])
def practices(
    request: pytest.FixtureRequest, django_db_setup: None, django_db_blocker: DjangoDbBlocker
) -> Iterator[World]:
    """The world as role `app`, which row-level security binds, and as one it does not."""
    with django_db_blocker.unblock():
        if request.param == "app":
            with world() as made:
                yield made
        else:
            with the_owner(), world() as made:
                yield made


def is_bound() -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_user")
        return bool(cursor.fetchone() == ("app",))


def without_scopes(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """Let every scope return everything; tells which there were."""
    found = set()
    for model in apps.get_models():
        queryset: Any = type(model._default_manager.all())
        for name in SCOPES & set(dir(queryset)):
            monkeypatch.setattr(queryset, name, lambda self, *args, **kwargs: self.all())
            found.add(name)
    return found


def other_practice(world: World, cell: Cell, response: Any, delta: dict[str, int]) -> Iterator[str]:
    """Texts and rows of the other practice, whatever else is wrong. Links are keys anywhere."""
    text = f"{shown_to(cell.person, response)} {response.headers}"
    if cell.route.kwarg != "token":
        for canary in sorted(canaries(text)):
            if canary.practice != cell.person.practice:
                yield f"shows {canary.kind} of client {canary.number} of practice {canary.practice}"
    works_there = cell.door.name == "practice" and cell.case.practice in cell.person.works_in
    is_theirs = cell.relation is Relation.FOREIGN and cell.door.refused == 404 and not works_there
    if is_theirs and response.status_code < 300:
        yield f"answered {response.status_code}"
    changed = sorted(table for table, n in delta.items() if n and table not in NOT_COUNTED)
    if is_theirs and changed:
        yield f"changed {changed}"


def foreign(world: World, name: str) -> Iterator[Cell]:
    """Lists and the other practice's objects, asked from one of the two, which are made alike."""
    for cell in cells(world, name):
        is_far = cell.relation in {None, Relation.FOREIGN}
        is_asked = cell.method in {"GET", "POST"} and cell.person.is_signed_in
        if is_far and is_asked and cell.person.practice == "a":
            yield cell


def leaks(world: World, *routes: str) -> Report:
    report = Report()
    for name in routes:
        ask_all(world, foreign(world, name), report, judges=other_practice)
    assert report.cells
    return report


def test_one_wall_alone_shows_nothing_of_the_other_practice(
    practices: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As `app` with every scope off; as `migrator`, above row-level security, with scopes on."""
    if is_bound():
        assert without_scopes(monkeypatch) == SCOPES
    report = leaks(practices, *names())
    assert not report.leaks, "\n".join(report.leaks[:20])


def test_a_scope_that_forgets_is_reported(
    practices: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """With both walls down the other practice shows; with the second one up, colleagues do."""
    monkeypatch.setattr(ClientQuerySet, "visible_to", lambda self, *args, **kwargs: self.all())
    report = Report()
    these = [
        cell
        for cell in cells(practices, "plan_sessions")
        if cell.person.name == "therapist" and cell.method in SAFE
    ]
    ask_all(practices, these, report)
    assert any("colleague's object by therapist" in leak for leak in report.leaks)
    assert any("other practice's object" in leak for leak in report.leaks) != is_bound()
    assert tell(report) == 1
    said = capsys.readouterr().out.splitlines()
    assert said[-1] == f"{len(these)} cells, {len(report.leaks)} leaks"
    assert set(report.leaks) <= set(said)
    assert tell(Report(cells=1)) == 0
    assert set(MARKS) == set(Relation)


def test_without_either_wall_the_other_practice_shows(
    practices: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    without_scopes(monkeypatch)
    report = leaks(practices, "client", "caseload")
    assert bool(report.leaks) != is_bound()
    if report.leaks:
        assert any("shows z of client" in leak for leak in report.leaks)


def test_the_world_has_a_canary_in_every_text(practices: World) -> None:
    if is_bound():
        return
    empty = [model._meta.label for model in TENANT if not model._default_manager.exists()]
    assert not empty, f"{empty}: give each a row in tests/architecture/matrix/world.py"
    for model in TENANT:
        for row in model._default_manager.all():
            for column, _kind in texts(model):
                text = getattr(row, column.name)
                assert canaries(text), f"{model._meta.label}.{column.name} is {text!r}"
