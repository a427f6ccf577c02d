"""One process that starts the others, restarts what dies, and stops them all.

Three nets, so that nothing runs on without it: an orderly stop (Ctrl-C, SIGTERM, SIGHUP), the
kernel's parent-death signal on Linux, and the guardian for what both miss (children of children,
macOS). Single-threaded on purpose: the parent-death signal follows the thread that forked.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType, TracebackType

from apps.core.embedded import ROOT, EmbeddedError
from apps.core.embedded.process import signal_group, spawn, tail
from apps.core.embedded.service import Service

TICK_S = 0.1
START_PATIENCE_S = 120.0
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.5, 30.0
HEALTHY_AFTER_S = 60.0
STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Stopped(Exception):
    """Someone asked the supervisor to stop."""


def say(line: str) -> None:
    """Tell the person at the keyboard."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


@dataclass
class _Running:
    service: Service
    process: subprocess.Popen[bytes]
    started: float
    pause_s: float = FIRST_PAUSE_S
    restart_at: float | None = None


@dataclass
class Supervisor:
    """Keeps services running; use as a context manager, which stops all of them at its end.

    `state` is the folder whose locks make it the only one. With `follow_parent` it also stops when
    the process that started it (make) is gone.

    Raises (on entering):
        EmbeddedError: another supervisor runs here.
    """

    state: Path
    follow_parent: bool = False
    throwaway: Sequence[Path] = ()
    _running: list[_Running] = field(default_factory=list)
    _asked_to_stop: bool = False

    def __enter__(self) -> Supervisor:
        self._parent = os.getppid()
        self._lock = _lock(self.state)
        leftovers = _wait_for_leftovers(self.state)
        for number in STOP_SIGNALS:
            signal.signal(number, self._ask_to_stop)
        self._guardian = subprocess.Popen(
            [sys.executable, "-m", "apps.core.embedded.guardian"],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            start_new_session=True,
            pass_fds=[leftovers],
            text=True,
            bufsize=1,
        )
        os.close(leftovers)
        for folder in self.throwaway:
            self._tell_guardian(f"delete {folder}")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for number in STOP_SIGNALS:
            signal.signal(number, signal.SIG_IGN)
        self._stop_all()
        with contextlib.suppress(BrokenPipeError):
            if self._guardian.stdin:
                self._guardian.stdin.close()
        self._guardian.wait()
        os.close(self._lock)

    def start(self, *services: Service) -> None:
        """Start services side by side and return when all are ready.

        Raises:
            EmbeddedError: one ended instead, with the last lines of its log.
            Stopped: someone asked to stop meanwhile.
        """
        new = [self._spawn(service) for service in services]
        deadline = time.monotonic() + START_PATIENCE_S
        while new:
            for running in list(new):
                service = running.service
                if running.process.poll() is not None:
                    raise EmbeddedError(
                        f"{service.name} does not start; its log {service.log} ends with:\n"
                        + tail(service.log)
                    )
                if service.is_ready():
                    new.remove(running)
            if time.monotonic() > deadline:
                names = ", ".join(running.service.name for running in new)
                raise EmbeddedError(f"{names} not ready after {START_PATIENCE_S:.0f} s. See logs.")
            if new:
                self._pause()

    def run(
        self, argv: Sequence[str | Path], environment: Mapping[str, str], log: Path | None = None
    ) -> int:
        """Run a command to its end and return its exit status; without `log` at the terminal.

        Raises:
            Stopped: someone asked to stop meanwhile; the command was ended.
        """
        process = spawn(argv, environment=environment, log=log, foreground=log is None)
        try:
            while process.poll() is None:
                self._pause()
        finally:
            _end(process, signal.SIGTERM, patience_s=10.0)
        return process.returncode

    def keep_running(self) -> None:
        """Restart what dies, with growing pauses, until someone asks to stop."""
        try:
            while True:
                for running in self._running:
                    self._look_after(running)
                self._pause()
        except Stopped:
            return

    def _look_after(self, running: _Running) -> None:
        now, service = time.monotonic(), running.service
        if running.restart_at is None:
            if running.process.poll() is None:
                if now - running.started > HEALTHY_AFTER_S:
                    running.pause_s = FIRST_PAUSE_S
                return
            self._forget(running)
            running.restart_at = now + running.pause_s
            say(
                f"{service.name} ended ({_reason(running.process.returncode)}); "
                f"starting it again in {running.pause_s:g} s. Log: {service.log}"
            )
        elif now >= running.restart_at:
            pause_s = min(running.pause_s * 2, LONGEST_PAUSE_S)
            self._running[self._running.index(running)] = self._fork(service, pause_s)

    def _spawn(self, service: Service) -> _Running:
        running = self._fork(service, FIRST_PAUSE_S)
        self._running.append(running)
        return running

    def _fork(self, service: Service, pause_s: float) -> _Running:
        service.before()
        process = spawn(
            service.argv,
            environment=service.environment,
            log=service.log,
            account=service.account,
            parent_death=service.stop_signal,
            pass_fds=service.pass_fds,
        )
        self._tell_guardian(f"watch {process.pid} {int(service.stop_signal)}")
        return _Running(service, process, time.monotonic(), pause_s)

    def _stop_all(self) -> None:
        """Stop web and worker, then the engines: nothing loses its database under its feet."""
        for engines in (False, True):
            group = [r for r in self._running if r.service.is_engine is engines]
            for running in group:
                if running.process.poll() is None:
                    running.process.send_signal(running.service.stop_signal)
            for running in group:
                _end(running.process, None, running.service.patience_s)
                self._forget(running)
        self._running.clear()

    def _forget(self, running: _Running) -> None:
        signal_group(running.process.pid, signal.SIGKILL)  # children that outlived it
        self._tell_guardian(f"forget {running.process.pid}")

    def _tell_guardian(self, line: str) -> None:
        with contextlib.suppress(BrokenPipeError):  # killed; the kernel's signal still holds
            if self._guardian.stdin:
                self._guardian.stdin.write(line + "\n")

    def _pause(self) -> None:
        if self.follow_parent and os.getppid() != self._parent:
            self._asked_to_stop = True
        if not self._asked_to_stop:
            time.sleep(TICK_S)
        if self._asked_to_stop:
            raise Stopped

    def _ask_to_stop(self, number: int, frame: FrameType | None) -> None:
        # No lock, so no Event: the signal may interrupt the very code that holds it.
        self._asked_to_stop = True


def is_running(state: Path) -> bool:
    """Whether a supervisor keeps engines running on `state` now."""
    try:
        os.close(_lock(state))
    except EmbeddedError:
        return True
    return False


def _lock(state: Path) -> int:
    """Take the supervisor's lock and write the process id into it; the kernel frees it."""
    handle = os.open(state / "supervisor.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        pid = os.read(handle, 20).decode().strip() or "unknown"
        os.close(handle)
        raise EmbeddedError(
            f"Rapport already runs in this clone (process {pid}). "
            f"Use that one, or stop it first with Ctrl-C there or 'kill {pid}'."
        ) from None
    os.ftruncate(handle, 0)
    os.write(handle, f"{os.getpid()}\n".encode())
    return handle


def _wait_for_leftovers(state: Path, patience_s: float = 40.0) -> int:
    """Take the lock that the guardian of a killed supervisor holds while it clears up."""
    handle = os.open(state / "guardian.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    deadline = time.monotonic() + patience_s
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise EmbeddedError(
                    "Processes of an earlier start that was killed do not end. "
                    "Look for them with 'ps -ef | grep rapport', stop them, and start again."
                ) from None
            time.sleep(TICK_S)
        else:
            return handle


def _end(
    process: subprocess.Popen[bytes], number: signal.Signals | None, patience_s: float
) -> None:
    """End a process: ask with `number` (None: already asked), kill it after `patience_s`."""
    if process.poll() is None and number is not None:
        process.send_signal(number)
    try:
        process.wait(patience_s)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _reason(status: int) -> str:
    return f"signal {signal.Signals(-status).name}" if status < 0 else f"status {status}"
