"""PostgreSQL for one place: made once, then started as a service.

A Unix socket in a 0700 folder and no TCP; passwords (SCRAM) even there; data checksums; the
collation `C.UTF-8` that PostgreSQL brings itself, so that an upgrade of the system's C library
cannot reorder an index. Roles: see deploy/postgres/roles.sql.
"""

from __future__ import annotations

import contextlib
import shutil
import signal
import time
from pathlib import Path
from urllib.parse import quote

import psycopg
from psycopg import sql

from apps.core.embedded import ROOT, EmbeddedError
from apps.core.embedded.binaries import copy_postgres, postgres_bin, postgres_major
from apps.core.embedded.place import ROLES, Place, passwords, write_private
from apps.core.embedded.process import can_use, spawn, tail, wait_until_gone
from apps.core.embedded.service import Service

ROLES_SQL = ROOT / "deploy" / "postgres" / "roles.sql"
PORT = "5432"
ENVIRONMENT = {"LC_ALL": "C", "PATH": "/usr/bin:/bin", "TZ": "UTC"}
THROWAWAY = ("fsync=off", "synchronous_commit=off", "full_page_writes=off")


def service(place: Place, *, durable: bool = True) -> Service:
    """Return PostgreSQL as a service, its data folder made when there is none.

    `durable=False` is for tests: faster, and a crash of the machine loses the data.

    Raises:
        EmbeddedError: the data are of another major version, or cannot be made.
    """
    programs = _usable(place, postgres_bin())
    refuse_other_version(place.postgres, programs)
    if not place.postgres.exists():
        _make(place, programs)
    return _service(place, programs, place.postgres, durable=durable)


def url(place: Place, role: str, database: str = "rapport") -> str:
    """Return the address of a database, in the one form both libpq and django-environ read."""
    host = quote(str(place.sockets), safe="")
    password = passwords(place.state)[role]
    return f"postgres://{role}:{password}@/{database}?host={host}&port={PORT}"


def connect(place: Place, role: str, database: str) -> psycopg.Connection:
    """Open a connection that commits each statement."""
    return psycopg.connect(
        host=str(place.sockets),
        port=PORT,
        user=role,
        password=passwords(place.state)[role],
        dbname=database,
        autocommit=True,
        connect_timeout=2,
    )


def refuse_other_version(data: Path, programs: Path) -> None:
    """Refuse to start on a data folder that another major version made.

    Raises:
        EmbeddedError: with the commands that carry the data over.
    """
    version = data / "PG_VERSION"
    if not version.exists():
        return
    made_by, running = int(version.read_text()), postgres_major(programs)
    if made_by == running:
        return
    command = ".venv/bin/python -m apps.core.embedded"
    raise EmbeddedError(
        f"The data in {data} were made by PostgreSQL {made_by}; this is {running}. Nothing was "
        "changed. To carry them over:\n"
        f"    PG_BIN=/usr/lib/postgresql/{made_by}/bin {command} backup rapport.dump\n"
        f"    mv {data} {data}-{made_by}\n"
        f"    {command} restore rapport.dump"
    )


def _service(place: Place, programs: Path, data: Path, *, durable: bool) -> Service:
    settings = [
        f"unix_socket_directories={_quoted(place.sockets)}",
        "unix_socket_permissions=0700",
        "listen_addresses=",
        f"port={PORT}",
        "max_connections=100",
        "timezone=UTC",
        "log_timezone=UTC",
        "cluster_name=rapport",
        # A refused statement holds the data it was about, and so does the detail of its error.
        "log_min_error_statement=panic",
        "log_error_verbosity=terse",
        *(() if durable else THROWAWAY),
    ]
    options = [part for setting in settings for part in ("-c", setting)]

    def is_ready() -> bool:
        with contextlib.suppress(psycopg.OperationalError), connect(place, "postgres", "postgres"):
            return True
        return False

    return Service(
        name="PostgreSQL",
        argv=[programs / "postgres", "-D", data, *options],
        environment=ENVIRONMENT,
        log=place.logs / "postgres.log",
        is_ready=is_ready,
        before=lambda: clear_away(data),
        stop_signal=signal.SIGINT,
        patience_s=30.0,
        account=place.account,
        is_engine=True,
    )


def _make(place: Place, programs: Path) -> None:
    """Make the data folder and the roles beside their final name, then rename: all or nothing."""
    partial = place.data / "postgres.partial"
    clear_away(partial)
    shutil.rmtree(partial, ignore_errors=True)
    place.own_folder(partial)
    password_file = place.sockets / "initdb-password"
    write_private(password_file, passwords(place.state)["postgres"] + "\n", place.account)
    log = place.logs / "initdb.log"
    log.unlink(missing_ok=True)
    options = [
        "--username=postgres",
        "--auth=scram-sha-256",
        f"--pwfile={password_file}",
        "--encoding=UTF8",
        "--locale=C",
        "--locale-provider=builtin",
        "--builtin-locale=C.UTF-8",
        "--data-checksums",
        "--no-instructions",
        "--no-sync",  # the server is started and stopped in order below, which writes all of it
    ]
    argv: list[str | Path] = [programs / "initdb", "-D", partial, *options]
    try:
        made = spawn(argv, environment=ENVIRONMENT, log=log, account=place.account).wait()
    finally:
        password_file.unlink()
    if made != 0:
        raise EmbeddedError(
            f"PostgreSQL could not make its data folder in {place.data}. Free disk space or give "
            f"this user the right to write there, and start again.\n{tail(log)}"
        )
    _make_roles(place, programs, partial)
    partial.rename(place.postgres)


def _make_roles(place: Place, programs: Path, data: Path) -> None:
    server = _service(place, programs, data, durable=True)
    process = spawn(
        server.argv,
        environment=server.environment,
        log=server.log,
        account=server.account,
        parent_death=server.stop_signal,
    )
    try:
        while not server.is_ready():
            if process.poll() is not None:
                raise EmbeddedError(f"PostgreSQL does not start:\n{tail(server.log)}")
            time.sleep(0.05)
        with connect(place, "postgres", "template1") as template:
            template.execute(ROLES_SQL.read_bytes())
            for role in ROLES:
                template.execute(
                    sql.SQL("ALTER ROLE {} PASSWORD {}").format(
                        sql.Identifier(role), sql.Literal(passwords(place.state)[role])
                    )
                )
        with connect(place, "postgres", "postgres") as server_connection:
            server_connection.execute("CREATE DATABASE rapport OWNER migrator")
    finally:
        process.send_signal(server.stop_signal)
        process.wait()


def _usable(place: Place, programs: Path) -> Path:
    """Return `programs`, or a copy of them where the engines' account cannot reach those."""
    if can_use(place.account, programs / "postgres"):
        return programs
    return copy_postgres(programs, place.data / "programs")


def clear_away(data: Path) -> None:
    """Wait for a server that an earlier start left on `data`; drop the mark of one that is gone.

    PostgreSQL itself refuses to start while the number in postmaster.pid is in use, even when it
    has gone to another program since (as it does when a container starts again).
    """
    mark = data / "postmaster.pid"
    with contextlib.suppress(FileNotFoundError, ValueError, IndexError):
        pid = int(mark.read_text().splitlines()[0])
        wait_until_gone(pid, str(data), patience_s=10.0, nudge=signal.SIGQUIT)
        mark.unlink(missing_ok=True)


def _quoted(path: Path) -> str:
    """Quote a folder for a PostgreSQL setting that is a comma-separated list."""
    return '"' + str(path).replace('"', '""') + '"'
