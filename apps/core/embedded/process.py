"""Starts processes that cannot outlive the one that started them, and stops them."""

from __future__ import annotations

import contextlib
import ctypes
import grp
import os
import pwd
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from apps.core.embedded import ROOT, EmbeddedError

ENGINE_USER = "rapport-engine"
PR_SET_PDEATHSIG = 1
LOG_LIMIT_BYTES = 5_000_000


@dataclass(frozen=True)
class Account:
    """The system user that runs the engines when Rapport is started by root."""

    uid: int
    gid: int


def engine_account() -> Account | None:
    """Return whom the engines must run as: None for 'as myself', a system user for root.

    PostgreSQL refuses to run as root. The user is made when missing.

    Raises:
        EmbeddedError: root, and the user cannot be made.
    """
    if os.geteuid() != 0:
        return None
    for create in (True, False):
        with contextlib.suppress(KeyError):
            user = pwd.getpwnam(ENGINE_USER)
            return Account(uid=user.pw_uid, gid=user.pw_gid)
        if create:
            _create_engine_user()
    raise EmbeddedError(
        f"PostgreSQL refuses to run as root, and the system user {ENGINE_USER} could not be made. "
        f"Create it (useradd --system {ENGINE_USER}) or run as an ordinary user."
    )


def _create_engine_user() -> None:
    useradd = shutil.which("useradd", path="/usr/sbin:/sbin:/usr/bin:/bin")
    if useradd is None:
        return
    group = ["--gid", ENGINE_USER] if _group_exists(ENGINE_USER) else ["--user-group"]
    options = ["--system", "--no-create-home", "--home-dir", "/nonexistent"]
    shell = ["--shell", "/usr/sbin/nologin"]
    subprocess.run(  # noqa: S603
        [useradd, *options, *shell, *group, ENGINE_USER], capture_output=True, check=False
    )


def _group_exists(name: str) -> bool:
    try:
        grp.getgrnam(name)
    except KeyError:
        return False
    return True


def can_use(account: Account | None, path: Path) -> bool:
    """Whether `account` can enter the folder or run the program at `path`.

    Asked of the kernel by trying, as permission depends on every folder above and on the mount.
    """
    test = 'cd -- "$1"' if path.is_dir() else 'test -x "$1"'
    return (
        subprocess.run(  # noqa: S603
            ["/bin/sh", "-c", test, "sh", str(path)],
            check=False,
            capture_output=True,
            **_as(account),
        ).returncode
        == 0
    )


def spawn(
    argv: Sequence[str | Path],
    *,
    environment: Mapping[str, str],
    log: Path | None = None,
    account: Account | None = None,
    parent_death: signal.Signals = signal.SIGTERM,
    pass_fds: Sequence[int] = (),
    foreground: bool = False,
) -> subprocess.Popen[bytes]:
    """Start `argv` in a session of its own, so that Ctrl-C reaches only the supervisor.

    `foreground` leaves it at the terminal instead, for a command that a person watches.

    On Linux the kernel sends it `parent_death` when this process ends, however that happens; call
    only from the main thread, as the signal follows the thread. Output is added to `log`, or shown
    where there is none.
    """
    with contextlib.ExitStack() as stack:
        output = stack.enter_context(_open_log(log)) if log else None
        return subprocess.Popen(  # noqa: S603
            argv,
            env=dict(environment),
            stdin=None if foreground else subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT if output else None,
            start_new_session=not foreground,
            pass_fds=pass_fds,
            preexec_fn=_die_with_parent(parent_death),
            **_as(account),
        )


def signal_group(group: int, number: signal.Signals) -> bool:
    """Send a signal to a process group; return whether it had any process."""
    try:
        os.killpg(group, number)
    except ProcessLookupError:
        return False
    except PermissionError:  # macOS answers so for a group of which only zombies are left
        return False
    return True


def wait_until_gone(pid: int, mark: str, *, patience_s: float, nudge: signal.Signals) -> None:
    """Wait for a process of an earlier, killed start to end, and end it when it does not.

    Only a process whose command line holds `mark` (its data folder) is waited for or signalled:
    another may have got the number since.

    Raises:
        EmbeddedError: it is still there.
    """
    for number in (None, nudge, signal.SIGKILL):
        if number is not None and mark in command_line(pid):
            os.kill(pid, number)
        deadline = time.monotonic() + patience_s
        while time.monotonic() < deadline:
            if mark not in command_line(pid):
                return
            time.sleep(0.05)
    raise EmbeddedError(
        f"Process {pid} of an earlier start does not end. Stop it (kill -9 {pid}) and start again."
    )


def command_line(pid: int) -> str:
    """Return the command line of a running process, '' where there is none."""
    if sys.platform == "linux":
        try:
            return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8")
        except (OSError, UnicodeDecodeError):
            return ""
    found = subprocess.run(  # noqa: S603
        ["/bin/ps", "-ww", "-o", "command=", "-p", str(pid)],
        capture_output=True,
        text=True,
        check=False,
    )
    return found.stdout


def tail(log: Path, lines: int = 12) -> str:
    """Return the last lines of a log, indented, for an error message."""
    with contextlib.suppress(OSError):
        kept = log.read_text(errors="replace").splitlines()[-lines:]
        return "\n".join(f"    {line}" for line in kept)
    return ""


def _open_log(log: Path) -> IO[bytes]:
    if log.exists() and log.stat().st_size > LOG_LIMIT_BYTES:
        log.replace(log.with_suffix(".old.log"))
    return os.fdopen(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "ab")


def _as(account: Account | None) -> dict[str, Any]:
    if account is None:
        return {"cwd": ROOT}
    return {"user": account.uid, "group": account.gid, "extra_groups": [], "cwd": "/"}


def _die_with_parent(number: signal.Signals) -> Callable[[], None] | None:
    if sys.platform != "linux":
        return None  # the guardian does it alone
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    parent = os.getpid()

    def ask_kernel() -> None:
        prctl(PR_SET_PDEATHSIG, int(number), 0, 0, 0)
        if os.getppid() != parent:  # it died in between
            os._exit(1)

    return ask_kernel
