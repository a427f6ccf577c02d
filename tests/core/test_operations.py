"""docs/operations.md, done: start, back up, stop, delete, restore, start again."""

from __future__ import annotations

import contextlib
import http.client
import json
import re
import shlex
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest

from apps.core.embedded import ROOT
from tests.core.test_embedded_engines import without_engines
from tests.core.test_supervisor import processes, until

GUIDE = (ROOT / "docs" / "operations.md").read_text()
EMBEDDED = ".venv/bin/python -m apps.core.embedded"


def call(command: str, state: Path, answer: str = "") -> str:
    """Run a command of the guide on another folder; return what it prints."""
    assert command in GUIDE or command.endswith(" clean-data")
    words = shlex.split(command.replace(".venv/bin/python", shlex.quote(sys.executable)))
    done = subprocess.run(
        [str(state / word) if word.endswith(".dump") else word for word in words],
        cwd=ROOT,
        env=without_engines(RAPPORT_STATE=str(state / "rapport")),
        input=answer,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def start(state: Path) -> tuple[subprocess.Popen[str], str]:
    """Start Rapport and return its process and the address it prints."""
    running = subprocess.Popen(
        [sys.executable, "-m", "apps.core.embedded", "run"],
        cwd=ROOT,
        env=without_engines(RAPPORT_STATE=str(state / "rapport")),
        stdout=subprocess.PIPE,
        text=True,
    )
    assert running.stdout
    for line in running.stdout:
        address = re.search(r"http://\S+", line)
        if address:
            return running, address[0]
    raise AssertionError("Rapport printed no address")


def status(address: str) -> int:
    connection = http.client.HTTPConnection(urlsplit(address).netloc, timeout=30)
    with contextlib.closing(connection):
        connection.request("GET", "/healthz/")
        with connection.getresponse() as response:
            return response.status


def database(state: Path) -> psycopg.Connection:
    kept = json.loads((state / "rapport" / "environment.json").read_text())
    return psycopg.connect(kept["DATABASE_URL"], autocommit=True)


@pytest.fixture
def state() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="rapport-test-") as folder:
        Path(folder).chmod(0o711)
        yield Path(folder)


@pytest.mark.enable_socket
def test_data_survive_a_kill_a_stop_and_a_restore(state: Path) -> None:
    running, address = start(state)
    assert status(address) == 200
    with database(state) as connection:
        connection.execute("INSERT INTO django_session VALUES ('a cookie', '', now())")
        connection.execute(
            "INSERT INTO accounts_user (id, email, password, is_active, theme, sessions_ended)"
            " VALUES (gen_random_uuid(), 'kept', '', true, 'auto', 0)"
        )

    running.kill()
    running.communicate()
    running, address = start(state)
    assert status(address) == 200
    assert "Saved to" in call(f"{EMBEDDED} backup rapport.dump", state)
    modes = {each.name: each.stat().st_mode & 0o777 for each in state.glob("rapport.dump*")}
    assert modes == {"rapport.dump": 0o600, "rapport.dump.keys": 0o600}

    running.send_signal(signal.SIGINT)
    said, _ = running.communicate()
    assert running.returncode == 0
    assert "Nothing is left running" in said
    until(lambda: not processes(str(state)), "no process is left")
    with pytest.raises(ConnectionRefusedError):
        status(address)

    assert "Nothing was changed" not in call(f"{EMBEDDED} clean-data", state, "delete\n")
    assert not (state / "rapport").exists()
    call(f"{EMBEDDED} restore rapport.dump", state)
    running, address = start(state)
    with database(state) as connection:
        kept = connection.execute(
            "SELECT email, (SELECT count(*) FROM django_session) FROM accounts_user"
        ).fetchall()
    running.send_signal(signal.SIGTERM)
    running.communicate()
    assert kept == [("kept", 0)], "everything but sessions: a dump opens nothing"


def test_data_are_not_deleted_without_the_word(state: Path) -> None:
    folder = state / "rapport"
    folder.mkdir()
    done = subprocess.run(
        [sys.executable, "-m", "apps.core.embedded", "clean-data"],
        cwd=ROOT,
        env=without_engines(RAPPORT_STATE=str(folder)),
        input="yes\n",
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "Nothing was deleted" in done.stdout
    assert folder.exists()


def test_the_guide_lists_every_variable_that_the_settings_read() -> None:
    settings = (ROOT / "config" / "settings.py").read_text()
    read = set(re.findall(r'(?:env\.\w+|required)\(\s*"([A-Z_]+)"', settings))
    assert read
    assert read - set(re.findall(r"^\| `([A-Z_]+)`", GUIDE, re.MULTILINE)) == set()


def test_the_guide_names_only_make_targets_that_exist() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"`make ([a-z-]+)", GUIDE)) <= targets
