"""Valkey for one place: the broker and the cache, reachable through a Unix socket alone."""

from __future__ import annotations

import contextlib
import shutil
import signal
from pathlib import Path
from urllib.parse import quote

import redis

from apps.core.embedded.binaries import valkey_server
from apps.core.embedded.place import Place
from apps.core.embedded.process import can_use, wait_until_gone
from apps.core.embedded.service import Service


def service(place: Place, *, durable: bool = True) -> Service:
    """Return Valkey as a service. `durable=False` is for tests: nothing is written to disk."""
    program = _usable(place, valkey_server())
    data = place.own_folder(place.valkey)
    socket, pid_file = _socket(place), place.sockets / "valkey.pid"
    options = {
        "--port": "0",
        "--unixsocket": str(socket),
        "--unixsocketperm": "700",
        "--pidfile": str(pid_file),
        "--dir": str(data),
        "--appendonly": "yes" if durable else "no",
        "--save": "",
        "--maxmemory-policy": "noeviction",
        "--daemonize": "no",
        "--set-proc-title": "no",
    }

    def is_ready() -> bool:
        with contextlib.suppress(redis.RedisError), redis.Redis(unix_socket_path=str(socket)) as r:
            return bool(r.ping())
        return False

    def clear_away() -> None:
        with contextlib.suppress(FileNotFoundError, ValueError):
            pid = int(pid_file.read_text())
            wait_until_gone(pid, str(socket), patience_s=10.0, nudge=signal.SIGKILL)
            pid_file.unlink(missing_ok=True)

    return Service(
        name="Valkey",
        argv=[program, *(part for option in options.items() for part in option)],
        environment={"LC_ALL": "C", "PATH": "/usr/bin:/bin"},
        log=place.logs / "valkey.log",
        is_ready=is_ready,
        before=clear_away,
        account=place.account,
        is_engine=True,
    )


def url(place: Place) -> str:
    """Return the address, as redis-py writes it; Celery wants `redis+socket://` in front."""
    return f"unix://{quote(str(_socket(place)))}"


def _socket(place: Place) -> Path:
    return place.sockets / "valkey.sock"


def _usable(place: Place, program: Path) -> Path:
    """Return `program`, or a copy of it where the engines' account cannot reach it."""
    if can_use(place.account, program):
        return program
    copied = place.data / "programs" / program.name
    partial = copied.with_suffix(".partial")
    copied.parent.mkdir(exist_ok=True)
    shutil.copy(program, partial)
    partial.replace(copied)
    return copied
