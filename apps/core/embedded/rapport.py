"""The processes of Rapport itself: migrations, web server, worker."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import socket
import sys
from pathlib import Path

from apps.core.embedded import ROOT, EmbeddedError, postgres, valkey
from apps.core.embedded.place import Place, encryption_keys, passwords, write_private
from apps.core.embedded.service import Service

HOST = "127.0.0.1"
FIRST_PORT = 8000
PORTS_TRIED = 100
DEMO_ENVIRONMENT = {"FEEDBACK_DELAY_MINUTES": "1", "FEEDBACK_QUIET_HOURS": "false"}
"""The demo does not wait two hours, nor for the morning, before it asks a client."""


def engines(place: Place, *, durable: bool = True) -> list[Service]:
    """Return the engines that nobody named an address for."""
    return [
        engine.service(place, durable=durable)
        for name, engine in (("DATABASE_URL", postgres), ("REDIS_URL", valkey))
        if not os.environ.get(name)
    ]


def environment(place: Place) -> dict[str, str]:
    """Return the environment for processes of Rapport: servers are `app`, commands `migrator`.

    What the person set wins, except PG… variables, which would send libpq elsewhere.
    """
    kept = {k: v for k, v in os.environ.items() if v and not k.startswith("PG")}
    if "DATABASE_URL" not in kept:
        kept.pop("MIGRATOR_DATABASE_URL", None)  # the owner of somebody else's database
    own = addresses(place) | {"MAIL_FOLDER": str(place.state / "mail")}
    programs = f"{Path(sys.executable).parent}{os.pathsep}{kept.get('PATH', os.defpath)}"
    return own | kept | {"PATH": programs}


def addresses(place: Place) -> dict[str, str]:
    """Return how the embedded engines are reached, and the keys that belong to their data.

    A database that the person named has an owner that the person names as well.
    """
    owner = {} if os.environ.get("DATABASE_URL") else {"MIGRATOR_DATABASE_URL": "migrator"}
    roles = {"DATABASE_URL": "app"} | owner
    return {name: postgres.url(place, role) for name, role in roles.items()} | {
        "REDIS_URL": valkey.url(place),
        "SECRET_KEY": passwords(place.state)["secret_key"],
        "ENCRYPTION_KEYS": encryption_keys(place.state),
    }


def publish(place: Place, address: str) -> None:
    """Write down how engines and pages are reached, for `apps.core.embedded.urls`."""
    reached = addresses(place) | {"BASE_URL": address}
    write_private(place.state / "environment.json", json.dumps(reached))


def listen(wanted: str | None) -> socket.socket:
    """Return a socket that already listens: on port `wanted`, else on the first free from 8000.

    The supervisor keeps it, so that nobody takes the port while the web server restarts.

    Raises:
        EmbeddedError: `wanted` is taken or no port number, or no port is free.
    """
    if wanted:
        try:
            return _bound(int(wanted))
        except (ValueError, OverflowError):
            raise EmbeddedError(f"PORT is {wanted!r}; give a number from 1024 to 65535.") from None
        except OSError as error:
            raise EmbeddedError(
                f"Port {wanted} cannot be used ({error.strerror}). "
                "Name another (PORT=8001), or none to take the next free one."
            ) from None
    for port in range(FIRST_PORT, FIRST_PORT + PORTS_TRIED):
        with contextlib.suppress(OSError):
            return _bound(port)
    raise EmbeddedError(
        f"Ports {FIRST_PORT} to {FIRST_PORT + PORTS_TRIED - 1} are all taken. Name one: PORT=9000."
    )


def web(place: Place, listening: socket.socket, settings: dict[str, str]) -> Service:
    """Return the web server as a service on a socket that already listens."""
    port = listening.getsockname()[1]

    def is_ready() -> bool:
        connection = http.client.HTTPConnection(HOST, port, timeout=1)
        with (
            contextlib.suppress(OSError, http.client.HTTPException),
            contextlib.closing(connection),
        ):
            connection.request("GET", "/healthz/")
            return connection.getresponse().status < http.HTTPStatus.INTERNAL_SERVER_ERROR
        return False

    options = ["--worker-class=gthread", "--workers=2", "--threads=4", "--graceful-timeout=5"]
    return Service(
        name="Web server",
        argv=[
            *(sys.executable, "-m", "gunicorn", "config.wsgi:application"),
            *(f"--bind=fd://{listening.fileno()}", "--no-control-socket", *options),
        ],
        environment=settings,
        log=place.logs / "web.log",
        is_ready=is_ready,
        pass_fds=[listening.fileno()],
    )


def worker(place: Place, settings: dict[str, str]) -> Service:
    """Return one Celery worker as a service."""
    options = ["--concurrency=2", "--prefetch-multiplier=1", "--loglevel=INFO"]
    quiet = ["--without-gossip", "--without-mingle", "--without-heartbeat"]
    return Service(
        name="Worker",
        argv=[
            *(sys.executable, "-m", "celery", "--quiet", "--app=config.celery", "worker"),
            *options,
            *quiet,
        ],
        environment=settings,
        log=place.logs / "worker.log",
        is_ready=lambda: True,  # the page can be used before; what is due waits in PostgreSQL
        stop_signal=signal.SIGTERM,
        patience_s=25.0,
    )


def beat(place: Place, settings: dict[str, str]) -> Service:
    """Return the only scheduler as a service: what it rings for is found again by the next ring."""
    schedule = place.state / "celerybeat-schedule"
    return Service(
        name="Scheduler",
        argv=[
            *(sys.executable, "-m", "celery", "--app=config.celery", "beat", "--pidfile="),
            *(f"--schedule={schedule}", "--loglevel=INFO"),
        ],
        environment=settings,
        log=place.logs / "beat.log",
        is_ready=lambda: True,
    )


def manage(command: str, *arguments: str) -> list[str | Path]:
    """Return the command line of a management command."""
    return [sys.executable, ROOT / "manage.py", command, *arguments]


def _bound(port: int) -> socket.socket:
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((HOST, port))
        listening.listen(128)
    except BaseException:
        listening.close()
        raise
    return listening
