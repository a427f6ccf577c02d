"""A stolen dump: the one that deploy/backup.sh makes, read without keys, with them, and too late.

Of a dump with other people's data `manage.py check_encryption` says the same (docs/operations.md).
"""

import os
import subprocess
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import UUID

import environ
import pytest
from django.conf import settings
from django.contrib.sessions.models import Session
from django.db import connection
from django.test import Client as Browser
from django.utils import timezone

from apps.accounts.models import Membership
from apps.clients.models import Client
from apps.core import sending, tenancy
from apps.core.embedded.binaries import postgres_bin
from apps.core.fields import encrypted_fields
from apps.core.management.commands.check_encryption import counted
from apps.exchange.models import NoteReview
from apps.exchange.rights import erase_client
from tests.conftest import a_fresh_database, the_owner
from tests.core.test_canaries import MARK, tell_the_story
from tests.factories import TreatmentFactory, rate

RESTORED = f"test_restored_{MARK}"
# What belongs to whom, and who may do what: tables, columns, look-ups, the schema, what comes new.
MAY = """
SELECT relname, x.grantee, x.privilege_type, relowner FROM pg_class,
    aclexplode(coalesce(relacl, acldefault('r', relowner))) x
    WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'v', 'S')
UNION ALL SELECT attrelid::regclass || '.' || attname, x.grantee, x.privilege_type, 0
    FROM pg_attribute, aclexplode(attacl) x WHERE attrelid::regclass::text ~ '^[a-z]+_'
UNION ALL SELECT proname, x.grantee, x.privilege_type, proowner FROM pg_proc,
    aclexplode(coalesce(proacl, acldefault('f', proowner))) x
    WHERE pronamespace = 'public'::regnamespace
UNION ALL SELECT nspname, x.grantee, x.privilege_type, nspowner FROM pg_namespace,
    aclexplode(nspacl) x WHERE nspname = 'public'
UNION ALL SELECT format('new %s', defaclobjtype), x.grantee, x.privilege_type, defaclrole
    FROM pg_default_acl, aclexplode(defaclacl) x
"""
EMPTIED = """
DROP SCHEMA public CASCADE;
CREATE SCHEMA public AUTHORIZATION pg_database_owner;
GRANT USAGE ON SCHEMA public TO PUBLIC;
"""


@pytest.fixture
def server() -> dict[str, Any]:
    """How the programs of PostgreSQL reach the test database, as its owner."""
    owner = environ.Env.db_url_config(os.environ["MIGRATOR_DATABASE_URL"])
    return {
        "PATH": f"{postgres_bin()}:{os.environ['PATH']}",
        "PGHOST": owner.get("OPTIONS", {}).get("host") or owner["HOST"],
        "PGPORT": str(owner.get("OPTIONS", {}).get("port") or owner["PORT"] or 5432),
        "PGUSER": owner["USER"],
        "PGPASSWORD": owner["PASSWORD"],
        "PGDATABASE": connection.settings_dict["NAME"],
    }


def back_up(server: dict[str, Any], folder: Path) -> tuple[Path, Path]:
    """The dump of a day, and the file of keys that belongs beside it."""
    folder.mkdir()
    (folder / "password").write_text(server["PGPASSWORD"])
    (folder / "rapport-2026-01-01T000000Z.dump.partial").write_text("of one that broke off")
    where = {"BACKUP_FOLDER": str(folder), "PASSWORD_FILE": str(folder / "password")}
    script = settings.BASE_DIR / "deploy" / "backup.sh"
    subprocess.run([script, "once"], env=server | where, check=True, capture_output=True)
    [dump] = folder.glob("rapport-*.dump")
    assert not list(folder.glob("*.partial"))
    return dump, folder / "keys.dump"


def restore(server: dict[str, Any], *dumps: Path) -> None:
    """Read dumps back as docs/operations.md says."""
    script = settings.BASE_DIR / "deploy" / "backup.sh"
    subprocess.run([script, "restore", *dumps], env=server | {"PGDATABASE": RESTORED}, check=True)


def let_each_column_sing() -> dict[str, UUID]:
    """A marked text in every encrypted column of every row; returns about which client each is, or
    that it is the practice's own."""
    texts = {}
    for field in encrypted_fields():
        rows = list(field.model._base_manager.all())
        assert rows, f"{field} has no row to be marked"
        for row in rows:
            text = f"{MARK} {field} {row.pk}"
            field.put({row.pk: field.seal(row, text)})
            texts[text] = field.client_of(row)
    return texts


def in_all_columns() -> Counter[str]:
    """How many values are sealed, plain or unreadable, in the database that is read now."""
    counts: Counter[str] = Counter()
    for field in encrypted_fields():
        counts += counted(field)
    return counts


@pytest.mark.django_db(transaction=True)
def test_a_stolen_dump_tells_nothing_and_an_older_one_nothing_of_who_was_erased(
    sign_in: Callable[[Membership], Browser],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    server: dict[str, Any],
) -> None:
    tell_the_story(sign_in, monkeypatch)
    with the_owner():
        erased, alice = Client.objects.get(), Membership.objects.get(name="Alice Moreau")
        NoteReview.objects.create(
            practice=erased.practice,
            client=erased,
            reviewed_by=alice,
            reason="Asked for",
            reviewed_at=timezone.now(),
        )
        stays = TreatmentFactory.create(therapist=alice)
        rate(stays, [80])
        texts = let_each_column_sing()
    dump, keys = back_up(server, tmp_path / "before")
    sql = subprocess.run(
        ["pg_restore", "--file=-", dump], env=server, check=True, capture_output=True, text=True
    ).stdout
    assert stays.client.code in sql, "the dump has data"
    cookies = Session.objects.values_list("session_key", flat=True)
    assert cookies, "somebody was signed in"
    assert not [cookie for cookie in cookies if cookie in sql]
    assert not [text for text in texts if text in sql or text.encode().hex() in sql]
    with tenancy.practice(erased.practice_id):
        erase_client(client=erased, by=alice)
    _, newest_keys = back_up(server, tmp_path / "after")
    with a_fresh_database(RESTORED):
        restore(server, dump)
        assert in_all_columns() == {"unreadable": len(texts)}
        subprocess.run(["pg_restore", f"--dbname={RESTORED}", keys], env=server, check=True)
        assert in_all_columns() == {"sealed": len(texts)}
        with connection.cursor() as cursor:
            cursor.execute("TRUNCATE core_clientkey, core_practicekey")
        subprocess.run(["pg_restore", f"--dbname={RESTORED}", newest_keys], env=server, check=True)
        of = Counter(texts.values())
        assert of.keys() == {stays.client_id, erased.pk, erased.practice_id}
        gone = of.pop(erased.pk)
        assert in_all_columns() == {"sealed": of.total(), "unreadable": gone}


def may() -> set[tuple[str, int, str, int]]:
    with connection.cursor() as cursor:
        cursor.execute(MAY)
        return set(cursor.fetchall())


@pytest.mark.django_db(transaction=True)
def test_what_is_read_back_lets_nobody_do_more_and_sends_nothing(
    tmp_path: Path, server: dict[str, Any]
) -> None:
    """Also read back into the same database, emptied, whose cluster and number stay the same."""
    before = may()
    dumps = back_up(server, tmp_path / "before")
    with a_fresh_database(RESTORED):
        restore(server, *dumps)
        assert may() == before
        sending.note_database()
        assert sending.paused() is None
        dumps = back_up(server | {"PGDATABASE": RESTORED}, tmp_path / "after")
        with connection.cursor() as cursor:
            cursor.execute(EMPTIED)
        broken = tmp_path / "broken.dump"
        broken.write_bytes(dumps[0].read_bytes()[:-2000])
        with pytest.raises(subprocess.CalledProcessError):
            restore(server, broken, dumps[1])
        assert "core_sending" not in connection.introspection.table_names()
        restore(server, *dumps)
        assert may() == before
        pause = sending.paused()
        assert pause
        assert pause.why == sending.AFTER_A_RESTORE
        sending.release()
        with connection.cursor() as cursor:
            cursor.execute(EMPTIED)
        subprocess.run(["pg_restore", f"--dbname={RESTORED}", dumps[0]], env=server, check=False)
        assert "core_sending" in connection.introspection.table_names()
        assert sending.paused(), "also read back by other means"
