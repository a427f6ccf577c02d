"""No log line holds a token or what a client said, whatever breaks."""

import json
import logging
from typing import Any

import pytest
import yaml
from django.db import IntegrityError, connection, transaction

from apps.accounts.models import Membership, User
from apps.accounts.tasks import forget_ended_sessions
from apps.clients.models import Client
from apps.core import tracing
from apps.core.embedded import ROOT
from apps.core.logs import JsonLines
from config.celery import hand_on_request_id
from tests.factories import ClientFactory


def written(error: BaseException | None = None, message: str = "Internal Server Error") -> str:
    record = logging.LogRecord("django.request", 40, "", 0, message, (), None)
    if error:
        record.exc_info = (type(error), error, error.__traceback__)
    return JsonLines().format(record)


def refused(email: str) -> Exception:
    """The error of a row that PostgreSQL refuses, on the way to another."""
    try:
        try:
            with transaction.atomic():
                User.objects.create(email=email)
                User.objects.create(email=email)
        except IntegrityError as error:
            raise RuntimeError("Told /f/CANARY/ so") from error
    except RuntimeError as error:
        return error


def test_the_row_that_postgresql_refused_is_not_quoted(db: None) -> None:
    error = refused("canary@\nfernbank.example")
    assert "canary@\nfernbank" in str(error.__cause__)
    text = written(error)
    assert "canary" not in text.lower()
    assert "fernbank" not in text
    line = json.loads(text)
    told = [each["error"] for each in line["errors"]]
    assert told == ["RuntimeError", "IntegrityError", "UniqueViolation"]
    assert any("test_logs.py" in place and "refused" in place for place in line["errors"][0]["at"])


def test_what_celery_quotes_of_an_error_is_taken_out_of_its_line() -> None:
    error = ValueError("Canary said so")
    text = written(error, f"Task x raised unexpected: {error!r}")
    assert json.loads(text)["event"] == "Task x raised unexpected: ValueError"


def test_addresses_tokens_and_numbers_are_taken_out_of_every_line() -> None:
    text = written(message="GET /f/CANARY/ /link/CANARY/ canary@mail.example +44 7700 900123")
    assert json.loads(text)["event"] == "GET /f/… /link/… …@… +…"


@pytest.mark.parametrize("word", ["a", "@,", "a@,", "=a", "/f/", "?", "+1 ", "+1"])
def test_what_a_stranger_makes_long_is_looked_through_once(word: str) -> None:
    """Sign by sign anew, this would take minutes."""
    text = written(message=f"{word * 200_000} kim@mail.example,lee@mail.example said")
    assert text.count("mail.example") == 0
    assert json.loads(text)["event"].endswith(" …@… said")


def test_each_line_says_when_who_and_under_which_request_and_route() -> None:
    tracing.begin(request_id="abc", route="caseload")
    line = json.loads(written())
    assert {"timestamp", "level", "logger"} <= set(line)
    assert (line["request_id"], line["route"]) == ("abc", "caseload")


def test_a_task_logs_under_the_id_of_the_request_that_sent_it(
    monkeypatch: pytest.MonkeyPatch, settings: Any
) -> None:
    seen = []
    task = forget_ended_sessions
    monkeypatch.setattr(task, "run", lambda: seen.append((tracing.request_id(), tracing.route())))
    tracing.begin(request_id="abc", route="caseload")
    headers: dict[str, Any] = {}
    hand_on_request_id(headers=headers)
    tracing.begin()
    task.apply(headers=headers)
    assert seen == [("abc", task.name)]


def test_a_row_behind_the_second_wall_is_not_even_told(alice: Membership) -> None:
    client = ClientFactory.create(practice=alice.practice)
    with pytest.raises(IntegrityError) as refused, transaction.atomic():
        Client.objects.filter(id=client.id).update(initials="Canary", code=None)
    assert "DETAIL" not in str(refused.value)


def test_the_logs_of_django_celery_and_the_web_server_are_all_written_so() -> None:
    for name in ("", "gunicorn.error"):
        ours = [each for each in logging.getLogger(name).handlers if each.name == "stderr"]
        assert [type(each.formatter) for each in ours] == [JsonLines], name
    for name in ("django", "django.request", "celery", "apps"):
        assert logging.getLogger(name).propagate, name


def test_postgresql_itself_writes_neither_statements_nor_details(db: None) -> None:
    wanted = {"log_min_error_statement": "panic", "log_error_verbosity": "terse"}
    with connection.cursor() as cursor:
        cursor.execute("SELECT name, setting FROM pg_settings WHERE name = ANY(%s)", [list(wanted)])
        assert dict(cursor.fetchall()) == wanted
    compose: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
    command = compose["services"]["postgres"]["command"]
    assert {f"{name}={value}" for name, value in wanted.items()} <= set(command)


@pytest.mark.parametrize(
    "address", ["f/CANARY/", "link/CANARY/", "calendar/CANARY/rapport.ics", "weekly-mail/CANARY/"]
)
def test_no_line_holds_the_secret_of_an_address(address: str) -> None:
    assert "CANARY" not in written(message=f"Ignoring broken request GET /{address} HTTP/1.1")
