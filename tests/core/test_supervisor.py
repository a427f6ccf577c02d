"""The supervisor: one per clone, restarts what dies, leaves nothing behind."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from apps.core.embedded import ROOT, rapport
from tests.core.test_embedded_engines import ENGINES, without_engines

PATIENCE_S = 60.0
RUN = [sys.executable, "-m", "apps.core.embedded", "run"]
STUBBORN = """
import os, signal, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
if os.fork() == 0:
    open(sys.argv[1] + ".child", "w").close()
time.sleep(600)
"""
SUPERVISE = """
import sys
from pathlib import Path
from apps.core.embedded.service import Service
from apps.core.embedded.supervisor import Supervisor

state, *argv = sys.argv[1:]
with Supervisor(Path(state), follow_parent=True) as supervisor:
    supervisor.start(Service(
        name="Sleeper", argv=argv, environment={}, log=Path(state) / "sleeper.log",
        is_ready=lambda: True, patience_s=1.0))
    print("started", flush=True)
    supervisor.keep_running()
"""

STOP_AT_ANY_LINE = """
import signal, sys
from pathlib import Path
from apps.core.embedded import supervisor

supervisor.TICK_S = 0.001

def stop_at(line):
    one, lines = supervisor.Supervisor(Path("nowhere")), 0
    signal.signal(signal.SIGTERM, one._ask_to_stop)
    def trace(frame, event, argument):
        nonlocal lines
        lines += 1
        if lines == line:
            signal.raise_signal(signal.SIGTERM)
        return trace
    sys.settrace(trace)
    one.keep_running()
    sys.settrace(None)
    assert lines >= line

for line in range(1, 60):  # more than one turn, with what it calls
    stop_at(line)
"""


def until(happens: Callable[[], bool], what: str) -> None:
    """Wait for something that must happen; fail with `what` when it does not."""
    deadline = time.monotonic() + PATIENCE_S
    while not happens():
        assert time.monotonic() < deadline, f"still waiting until {what}"
        time.sleep(0.05)


def processes(mark: str) -> list[int]:
    """Return the running processes whose command line holds `mark`; zombies have none."""
    found = subprocess.run(
        ["ps", "-A", "-ww", "-o", "pid=,command="], capture_output=True, text=True, check=True
    ).stdout
    lines = [line.strip().partition(" ") for line in found.splitlines()]
    return [int(pid) for pid, _, command in lines if mark in command]


@pytest.fixture
def state() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="rapport-test-") as folder:
        Path(folder).chmod(0o711)
        yield Path(folder)
        for pid in processes(folder):
            os.kill(pid, signal.SIGKILL)


@pytest.fixture
def supervise(state: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Start a supervisor of one command, whose command line ends with a mark of this test."""
    started: list[subprocess.Popen[str]] = []

    def start(code: str, folder: Path = state) -> subprocess.Popen[str]:
        argv = [str(folder), sys.executable, "-c", code, str(folder / "sleeper")]
        supervisor = subprocess.Popen(
            [sys.executable, "-c", SUPERVISE, *argv], cwd=ROOT, stdout=subprocess.PIPE, text=True
        )
        started.append(supervisor)
        assert supervisor.stdout
        assert supervisor.stdout.readline() == "started\n"
        return supervisor

    yield start
    for supervisor in started:
        supervisor.kill()
        supervisor.communicate()


def sleeper(state: Path) -> list[int]:
    """The processes of the service, which are the only ones that end with its mark."""
    supervisors = set(processes("Supervisor(Path(state)"))
    return [pid for pid in processes(str(state / "sleeper")) if pid not in supervisors]


def test_a_killed_supervisor_leaves_no_process_even_of_those_that_ignore_a_stop(
    state: Path, supervise: Callable[..., subprocess.Popen[str]]
) -> None:
    supervisor = supervise(STUBBORN)
    until((state / "sleeper.child").exists, "the service has a child")
    assert len(sleeper(state)) == 2
    supervisor.kill()
    until(lambda: not sleeper(state), "service and child are gone")
    until(lambda: not processes(str(state)), "the guardian is gone")


def test_what_dies_is_started_again_and_its_children_are_not_left_behind(
    state: Path, supervise: Callable[..., subprocess.Popen[str]]
) -> None:
    supervise(STUBBORN)
    until((state / "sleeper.child").exists, "the service has a child")
    first = sleeper(state)
    (state / "sleeper.child").unlink()
    os.kill(min(first), signal.SIGKILL)
    until((state / "sleeper.child").exists, "the service is started again")
    until(lambda: not set(first) & set(sleeper(state)), "the orphan is gone")


def test_a_supervisor_stops_when_the_make_that_started_it_is_killed(state: Path) -> None:
    sleep = "import time; time.sleep(600)"
    argv = [sys.executable, "-c", SUPERVISE, str(state), sys.executable, "-c", sleep]
    make = subprocess.Popen(
        ["sh", "-c", '"$@"; true', "sh", *argv, str(state / "sleeper")],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert make.stdout
    assert make.stdout.readline() == "started\n"
    make.kill()
    make.communicate()
    until(lambda: not processes(str(state)), "supervisor and service are gone")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_stopped_supervisor_ends_its_service_and_succeeds(
    state: Path, supervise: Callable[..., subprocess.Popen[str]], number: signal.Signals
) -> None:
    supervisor = supervise("import time; time.sleep(600)")
    supervisor.send_signal(number)
    assert supervisor.wait(PATIENCE_S) == 0
    assert processes(str(state)) == []


def test_a_stop_is_heard_at_whatever_line_it_arrives() -> None:
    argv = [sys.executable, "-c", STOP_AT_ANY_LINE]
    subprocess.run(argv, cwd=ROOT, timeout=PATIENCE_S, check=True)


def test_a_second_start_in_the_same_clone_is_refused_with_the_process_to_stop(
    state: Path, supervise: Callable[..., subprocess.Popen[str]]
) -> None:
    supervisor = supervise("import time; time.sleep(600)")
    second = subprocess.run(
        RUN,
        cwd=ROOT,
        env=without_engines(RAPPORT_STATE=str(state)),
        capture_output=True,
        text=True,
        check=False,
    )
    assert second.returncode == 1
    assert second.stderr == (
        f"rapport: Rapport already runs in this clone (process {supervisor.pid}). Use that one, "
        f"or stop it first with Ctrl-C there or 'kill {supervisor.pid}'.\n"
    )
    assert supervisor.poll() is None


@pytest.mark.enable_socket
def test_a_port_that_is_taken_is_said_in_one_line_with_the_way_out(state: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        refused = subprocess.run(
            RUN,
            cwd=ROOT,
            env=without_engines(RAPPORT_STATE=str(state), PORT=str(port)),
            capture_output=True,
            text=True,
            check=False,
        )
    assert refused.returncode == 1
    assert refused.stderr == (
        f"rapport: Port {port} cannot be used (Address already in use). "
        "Name another (PORT=8001), or none to take the next free one.\n"
    )
    assert list(state.iterdir()) == []


@pytest.mark.parametrize("port", ["many", "99999"])
def test_a_port_that_is_no_number_is_said_in_one_line(state: Path, port: str) -> None:
    refused = subprocess.run(
        RUN,
        cwd=ROOT,
        env=without_engines(RAPPORT_STATE=str(state), PORT=port),
        capture_output=True,
        text=True,
        check=False,
    )
    assert refused.returncode == 1
    assert refused.stderr.startswith(f"rapport: PORT is '{port}'; give a number")


def test_after_a_kill_of_the_supervisor_no_engine_runs_and_the_next_start_works(
    state: Path,
) -> None:
    """Engines as `make run` starts them, on the same data before and after the kill."""
    code = """
import sys
from pathlib import Path
from apps.core.embedded import postgres, valkey
from apps.core.embedded.place import prepare
from apps.core.embedded.supervisor import Supervisor
state = Path(sys.argv[1])
with Supervisor(state) as supervisor:
    place = prepare(state)
    supervisor.start(postgres.service(place), valkey.service(place))
    with postgres.connect(place, "migrator", "rapport") as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS start (at timestamptz DEFAULT now())")
        connection.execute("INSERT INTO start DEFAULT VALUES")
        print(connection.execute("SELECT count(*) FROM start").fetchone()[0], flush=True)
    supervisor.keep_running()
"""
    for start in range(1, 4):
        supervisor = subprocess.Popen(
            [sys.executable, "-c", code, str(state)], cwd=ROOT, stdout=subprocess.PIPE, text=True
        )
        assert supervisor.stdout
        assert supervisor.stdout.readline() == f"{start}\n"
        supervisor.kill()
        supervisor.communicate()
    until(lambda: not processes(str(state)), "PostgreSQL and Valkey are gone")


def test_a_killed_test_run_leaves_neither_engines_nor_data(state: Path) -> None:
    up = "import time; print('up', flush=True); time.sleep(600)"
    run = subprocess.Popen(
        [*ENGINES, sys.executable, "-c", up],
        cwd=ROOT,
        env=without_engines(TMPDIR=str(state)),
        stdout=subprocess.PIPE,
        text=True,
    )
    assert run.stdout
    assert run.stdout.readline() == "up\n"
    run.kill()
    run.communicate()
    until(lambda: not processes(str(state)), "the engines are gone")
    until(lambda: not list(state.iterdir()), "their data are gone")


def test_a_command_that_fails_among_throwaway_engines_fails_the_call() -> None:
    done = subprocess.run(
        [*ENGINES, "sh", "-c", "exit 7"], cwd=ROOT, env=without_engines(), check=False
    )
    assert done.returncode == 7


def test_the_scheduler_is_a_process_of_its_own_and_the_only_one(tmp_path: Path) -> None:
    place: Any = SimpleNamespace(state=tmp_path, logs=tmp_path)
    worker, beat = rapport.worker(place, {}), rapport.beat(place, {})
    assert "beat" in beat.argv
    assert not {"beat", "--beat", "-B"} & set(worker.argv)
