"""What can be reached is declared (tests/architecture/matrix/routes.py); what is not fails here."""

import inspect
import subprocess
import sys

import pytest
from django.apps import apps
from django.conf import settings
from django.core.management import get_commands
from django.test import Client as Browser

from apps.accounts.permissions import Permission
from apps.clients.turns import WAYS
from config.celery import app as celery
from tests.architecture.matrix.building import world
from tests.architecture.matrix.cells import ask, cells
from tests.architecture.matrix.routes import (
    COMMANDS,
    PUBLIC,
    ROUTES,
    SIGNED_IN,
    TASKS,
    urls,
)
from tests.architecture.matrix.world import World

HOW = "add a row under this name to ROUTES in tests/architecture/matrix/routes.py"


def test_every_route_is_declared_and_no_declaration_is_stale() -> None:
    names = {name for name, _ in urls()}
    undeclared = sorted(name for name in names if name not in ROUTES)
    assert not undeclared, f"{undeclared}: {HOW}"
    stale = sorted(set(ROUTES) - names)
    assert not stale, f"{stale}: no route has this name; take the row away"


def test_every_view_carries_what_is_declared() -> None:
    for name, pattern in urls():
        row, view = ROUTES[name], pattern.callback
        if isinstance(row.who, Permission):
            assert getattr(view, "permission", None) == row.who, name
            assert getattr(view, "login_required", True), name
        else:
            assert getattr(view, "login_required", True) == (row.who == SIGNED_IN), name


def test_every_id_in_an_address_is_declared() -> None:
    for name, pattern in urls():
        row = ROUTES[name]
        if not row.made_up:
            assert list(pattern.pattern.converters) == ([row.kwarg] if row.kwarg else []), name
            assert bool(row.kwarg) <= bool(row.reach), f"{name}: say in `reach` whose it opens"


def test_who_waits_for_the_practice_waits_for_no_client_before() -> None:
    """`require` holds the practice after `TurnMiddleware` held a client: a hand-over holds clients
    after the practice, and two that wait the other way round would wait for each other."""
    waiting = {row.kwarg for row in ROUTES.values() if row.who == Permission.MANAGE_PRACTICE}
    assert not waiting & WAYS.keys()


def test_every_permission_is_used() -> None:
    declared = {row.who for row in ROUTES.values()}
    assert declared - {PUBLIC, SIGNED_IN} == set(Permission)


def test_every_task_is_declared_and_carries_ids_only() -> None:
    celery.loader.import_default_modules()
    ours = {name: task for name, task in celery.tasks.items() if not name.startswith("celery.")}
    assert set(ours) == set(TASKS), "declare it in TASKS in tests/architecture/matrix/routes.py"
    for name, task in ours.items():
        assert tuple(inspect.signature(task.run).parameters) == TASKS[name].ids
        assert all(each.endswith("_id") for each in TASKS[name].ids)
    scheduled = {entry["task"] for entry in settings.CELERY_BEAT_SCHEDULE.values()}
    assert scheduled <= {name for name, task in TASKS.items() if not task.ids}


def test_every_command_is_declared() -> None:
    ours = {name for name, app in get_commands().items() if app.startswith("apps.")}
    assert ours == set(COMMANDS), "declare it in COMMANDS in tests/architecture/matrix/routes.py"


def test_commands_act_as_the_declared_role() -> None:
    said = subprocess.run(
        [sys.executable, "manage.py", "shell", "--no-imports", "-c",
         "from django.db import connection; print(connection.settings_dict['USER'])"],
        cwd=settings.BASE_DIR, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert {said.stdout.strip()} == {command.role for command in COMMANDS.values()}


def test_there_is_no_admin_to_register_with() -> None:
    assert not apps.is_installed("django.contrib.admin")
    assert not apps.is_installed("django.contrib.admindocs")


@pytest.fixture
def practices(db: None) -> World:
    with world() as made:
        yield made


def test_nothing_is_taken_from_a_form_of_another_site(practices: World) -> None:
    """Only a client's pages and the way out of a mail go without the token: whoever can send them
    holds the link."""
    browser = Browser(enforce_csrf_checks=True, raise_request_exception=False)
    refused = set()
    for name, row in ROUTES.items():
        if "POST" not in row.methods:
            continue
        for cell in cells(practices, name):
            if cell.person.name == "therapist" and cell.method == "POST":
                response = ask(browser, cell)
                if response.status_code == 403:
                    refused.add(name)
                else:
                    is_link = name in {"unknown_link", "stop_weekly_mail"}
                    assert row.kwarg == "token" or is_link, str(cell)
    assert "log_session" in refused
