"""Commands of the embedded engines: run, demo, with-engines, backup, restore, clean-data."""

from __future__ import annotations

import argparse
import contextlib
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from apps.core.embedded import ROOT, STATE, EmbeddedError, postgres, rapport
from apps.core.embedded.binaries import postgres_bin
from apps.core.embedded.place import ENCRYPTION_KEY, Place, make_state, passwords, prepare, remove
from apps.core.embedded.process import tail
from apps.core.embedded.supervisor import Stopped, Supervisor, is_running, say

INTERRUPTED = 130
KEY_TABLES = ("core_practicekey", "core_clientkey")
# As in deploy/backup.sh, which says why.
NOT_DUMPED = ("django_session", *KEY_TABLES)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status; errors are one line on standard error."""
    try:
        chosen = _parser().parse_args(arguments)
        status: int = chosen.command(chosen)
    except EmbeddedError as error:
        sys.stderr.write(f"rapport: {error}\n")
        return 1
    except (Stopped, KeyboardInterrupt):
        return INTERRUPTED
    except OSError as error:
        where = f" ({error.filename})" if error.filename else ""
        sys.stderr.write(
            f"rapport: {error.strerror or error}{where}. "
            "Check disk space and the rights on the folder, then start again.\n"
        )
        return 1
    return status


def run(chosen: argparse.Namespace) -> int:
    """Start engines, web and worker, and keep them running until Ctrl-C."""
    demo = chosen.name == "demo"
    listening = rapport.listen(os.environ.get("PORT"))
    address = f"http://{rapport.HOST}:{listening.getsockname()[1]}"
    make_state(STATE)
    with Supervisor(STATE, follow_parent=chosen.follow_parent) as supervisor:
        place = prepare(STATE)
        engines = rapport.engines(place)
        if engines:
            say(f"Starting {' and '.join(engine.name for engine in engines)} …")
            supervisor.start(*engines)
        key = place.state / ENCRYPTION_KEY
        is_new = not key.exists()
        rapport.publish(place, address)
        if is_new:
            say(f"Made {key}. Keep a copy elsewhere: without it notes and addresses are lost.")
        defaults = {"BASE_URL": address} | (rapport.DEMO_ENVIRONMENT if demo else {})
        environment = defaults | rapport.environment(place)
        say("Bringing the database up to date …")
        _migrate(supervisor, place, environment)
        if demo and supervisor.run(rapport.manage("seed_demo"), environment) != 0:
            raise EmbeddedError("The demo practice could not be made; the reason is above.")
        supervisor.start(
            rapport.web(place, listening, environment),
            rapport.worker(place, environment),
            rapport.beat(place, environment),
        )
        say(f"\nRapport is at {address}/  (Ctrl-C stops it; logs are in {place.logs})")
        supervisor.keep_running()
        say("\nStopping …")
    say("Stopped. Nothing is left running.")
    return 0


def with_engines(chosen: argparse.Namespace) -> int:
    """Run a command with throwaway engines; with DATABASE_URL or REDIS_URL set, with that one."""
    argv = chosen.argv[1:] if chosen.argv[:1] == ["--"] else chosen.argv
    if not argv:
        raise EmbeddedError("Name the command to run: with-engines -- pytest")
    with _throwaway() as supervisor_and_place:
        supervisor, place = supervisor_and_place
        return supervisor.run(argv, rapport.environment(place))


def backup(chosen: argparse.Namespace) -> int:
    """Write all data of this clone to a file (pg_dump, custom format), running or not.

    The wrapped keys go to a file of their own, FILE.keys: of it only the newest is kept, so that a
    client whose key was destroyed cannot be read from older dumps either.
    """
    target = Path(chosen.file).absolute()
    os.umask(0o077)
    with _reachable() as place:
        for file, options in (
            (target, [f"--exclude-table-data={table}" for table in NOT_DUMPED]),
            (keys_of(target), ["--data-only", *(f"--table={table}" for table in KEY_TABLES)]),
        ):
            partial = file.with_name(file.name + ".partial")
            _tool(
                *(place, "pg_dump", "backup", "--format=custom", f"--file={partial}"),
                *("--no-large-objects", *options),
            )
            partial.replace(file)
    say(
        f"Saved to {target} and {keys_of(target).name}. Keep {STATE / 'secrets.json'} and "
        f"{STATE / ENCRYPTION_KEY} as well, the last one apart from the dumps."
    )
    return 0


def restore(chosen: argparse.Namespace) -> int:
    """Read a file that `backup` wrote into this clone, which must hold no data yet."""
    source = Path(chosen.file).absolute()
    if not source.is_file():
        raise EmbeddedError(f"There is no file {source}. Name the one that 'backup' wrote.")
    if is_running_here():
        raise EmbeddedError("Rapport runs in this clone. Stop it with Ctrl-C, then restore.")
    with _reachable() as place:
        with postgres.connect(place, "migrator", "rapport") as connection:
            tables = connection.execute(
                "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'"
            ).fetchone()
        if tables != (0,):
            raise EmbeddedError(
                "This clone holds data already, and restore never overwrites. "
                "Move it away first: 'make clean-data', or restore in a fresh clone."
            )
        dumps = [source, *([keys_of(source)] if keys_of(source).is_file() else [])]
        _tool(place, "bash", "migrator", ROOT / "deploy" / "backup.sh", "restore", *dumps)
    say("Restored. Start with 'make run'; messages wait until 'manage.py release_sending'.")
    return 0


def clean_data(chosen: argparse.Namespace) -> int:
    """Delete all data of this clone, after asking."""
    if not STATE.exists():
        say("There is nothing to delete.")
        return 0
    if is_running_here():
        raise EmbeddedError("Rapport runs in this clone. Stop it with Ctrl-C first.")
    say(f"This deletes every client, rating and message in {STATE}, for good.")
    sys.stdout.write("Type 'delete' to go on: ")
    sys.stdout.flush()
    if sys.stdin.readline().strip() != "delete":
        say("Nothing was deleted.")
        return 1
    remove(STATE)
    say("Deleted.")
    return 0


def keys_of(dump: Path) -> Path:
    """The file beside a dump that holds the wrapped keys."""
    return dump.with_name(dump.name + ".keys")


def is_running_here() -> bool:
    """Whether Rapport runs in this clone now."""
    return STATE.exists() and is_running(STATE)


def _migrate(supervisor: Supervisor, place: Place, environment: dict[str, str]) -> None:
    log = place.logs / "migrate.log"
    log.unlink(missing_ok=True)
    if supervisor.run(rapport.manage("migrate", "--no-input"), environment, log) != 0:
        raise EmbeddedError(
            f"The database could not be brought up to date; {log} ends with:\n{tail(log)}"
        )


@contextlib.contextmanager
def _throwaway() -> Iterator[tuple[Supervisor, Place]]:
    """Engines in a new temporary folder, gone with everything in them at the end."""
    state = Path(tempfile.mkdtemp(prefix="rapport-"))
    if os.geteuid() == 0:
        state.chmod(0o711)
    try:
        place = prepare(state)
        with Supervisor(state, throwaway=[state, place.data, place.sockets]) as supervisor:
            supervisor.start(*rapport.engines(place, durable=False))
            yield supervisor, place
    finally:
        remove(state)


@contextlib.contextmanager
def _reachable() -> Iterator[Place]:
    """PostgreSQL of this clone: the one that runs, else one started for the occasion."""
    if is_running_here():
        yield prepare(STATE)
        return
    make_state(STATE)
    with Supervisor(STATE) as supervisor:
        place = prepare(STATE)
        supervisor.start(postgres.service(place))
        yield place


def _tool(place: Place, tool: str, role: str, *arguments: str | Path) -> None:
    environment = postgres.ENVIRONMENT | {
        "PATH": f"{postgres_bin()}:{postgres.ENVIRONMENT['PATH']}",
        "PGHOST": str(place.sockets),
        "PGPORT": postgres.PORT,
        "PGUSER": role,
        "PGPASSWORD": passwords(place.state)[role],
        "PGDATABASE": "rapport",
    }
    done = subprocess.run([tool, *arguments], env=environment, check=False)  # noqa: S603
    if done.returncode != 0:
        raise EmbeddedError(f"{tool} did not finish; the reason is above. Nothing was changed.")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m apps.core.embedded", description=__doc__)
    commands = parser.add_subparsers(dest="name", required=True)
    for name, command in (("run", run), ("demo", run), ("clean-data", clean_data)):
        added = commands.add_parser(name, help=command.__doc__)
        added.set_defaults(command=command)
        added.add_argument("--follow-parent", action="store_true", help="stop when make is gone")
    for name, command in (("backup", backup), ("restore", restore)):
        added = commands.add_parser(name, help=command.__doc__)
        added.set_defaults(command=command)
        added.add_argument("file")
    added = commands.add_parser("with-engines", help=with_engines.__doc__)
    added.set_defaults(command=with_engines)
    added.add_argument("argv", nargs=argparse.REMAINDER)
    return parser


if __name__ == "__main__":
    sys.exit(main())
