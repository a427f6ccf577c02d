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
from apps.core import tenancy
from apps.core.embedded.binaries import postgres_bin
from apps.core.fields import encrypted_fields
from apps.core.management.commands.check_encryption import counted
from apps.exchange.models import NoteReview
from apps.exchange.rights import erase_client
from tests.conftest import a_fresh_database, the_owner
from tests.core.test_canaries import MARK, tell_the_story
from tests.factories import TreatmentFactory, rate

RESTORED = f"test_restored_{MARK}"


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


def restore(server: dict[str, Any], dump: Path) -> None:
    options = ["--no-owner", "--single-transaction", "--exit-on-error", f"--dbname={RESTORED}"]
    subprocess.run(["pg_restore", *options, dump], env=server, check=True)


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
        restore(server, keys)
        assert in_all_columns() == {"sealed": len(texts)}
        with connection.cursor() as cursor:
            cursor.execute("TRUNCATE core_clientkey, core_practicekey")
        restore(server, newest_keys)
        of = Counter(texts.values())
        assert of.keys() == {stays.client_id, erased.pk, erased.practice_id}
        gone = of.pop(erased.pk)
        assert in_all_columns() == {"sealed": of.total(), "unreadable": gone}
