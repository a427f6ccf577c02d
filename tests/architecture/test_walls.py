"""The second wall, by itself: what PostgreSQL shows to role `app`."""

import os
import subprocess
import sys
from collections.abc import Iterator

import pytest
from django.apps import apps
from django.core.exceptions import ImproperlyConfigured
from django.db import ProgrammingError, connection, models, transaction

from apps.accounts.models import Membership, User
from apps.clients.models import Client
from apps.core import tenancy
from apps.core.models import Sending
from tests.conftest import the_owner, work_in
from tests.factories import TreatmentFactory

pytestmark = pytest.mark.django_db
TENANT = [
    model
    for model in apps.get_models()
    if model.__module__.startswith("apps.") and model not in (User, Sending)
]
FALL = [90, 90, 80, 90, 90, 90, 80, 90, 70]
LOOK_UPS = {
    "audit_entries_of",
    "due_messages",
    "practice_of_link",
    "practices_to_seal",
    "practices_with_digests",
    "practices_with_open_episodes",
    "practices_with_retention",
    "run_out_requests",
    "waiting_since",
}


@pytest.fixture
def two_practices(alice: Membership, dora: Membership) -> Iterator[tuple[Membership, Membership]]:
    for therapist in (alice, dora):
        TreatmentFactory.create(therapist=therapist, pomps=FALL)
    return alice, dora


def rows(model: type[models.Model]) -> int:
    with connection.cursor() as cursor:
        cursor.execute(f'SELECT count(*) FROM "{model._meta.db_table}"')
        count: int = cursor.fetchone()[0]
    return count


def test_tests_are_served_as_the_role_that_the_wall_binds() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_user")
        assert cursor.fetchone() == ("app",)
    tenancy.refuse_powerful_role()


SERVERS = {
    "web": "-m config.wsgi",
    "worker": "-m celery -A config.celery -b memory:// worker --pool solo",
}


@pytest.mark.parametrize("server", SERVERS)
@pytest.mark.parametrize(
    ("database", "said"),
    [
        ("MIGRATOR_DATABASE_URL", "'migrator' stands above row-level security"),
        ("", "connection failed"),
    ],
    ids=["above", "cannot ask"],
)
def test_no_server_starts_above_the_wall_or_without_asking(
    server: str, database: str, said: str
) -> None:
    url = os.environ.get(database, "postgres://app@127.0.0.1:1/nowhere")
    start = subprocess.run(
        [sys.executable, *SERVERS[server].split()],
        env=os.environ | {"DATABASE_URL": url},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert start.returncode != 0
    assert said in start.stderr


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    "too_much",
    [
        "UPDATE ON core_auditentry",
        "DELETE ON core_auditseal",
        "DELETE ON core_audithead",
        "INSERT (id) ON core_auditentry",
    ],
)
def test_no_server_starts_above_the_trail(too_much: str) -> None:
    """As with a dump that was read back under the default privileges."""
    with the_owner(), connection.cursor() as cursor:
        cursor.execute(f"GRANT {too_much} TO app")
    try:
        with pytest.raises(ImproperlyConfigured, match="may change the audit trail"):
            tenancy.refuse_powerful_role()
    finally:
        with the_owner(), connection.cursor() as cursor:
            cursor.execute(f"REVOKE {too_much} FROM app")
    tenancy.refuse_powerful_role()


@pytest.mark.parametrize("model", TENANT, ids=lambda model: model._meta.label)
def test_every_tenant_table_stands_behind_the_wall(model: type[models.Model]) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT relrowsecurity, relforcerowsecurity FROM pg_class WHERE oid = %s::regclass",
            [model._meta.db_table],
        )
        assert cursor.fetchone() == (True, True)


@pytest.mark.parametrize("model", TENANT, ids=lambda model: model._meta.label)
def test_without_a_practice_there_are_no_rows(
    model: type[models.Model], two_practices: tuple[Membership, Membership]
) -> None:
    alice, _ = two_practices
    here = rows(model)
    work_in(None)
    assert rows(model) == 0
    with tenancy.practice(alice.practice_id):
        assert rows(model) == here


@pytest.mark.parametrize("model", TENANT, ids=lambda model: model._meta.label)
def test_one_practice_shows_no_row_of_another(
    model: type[models.Model], two_practices: tuple[Membership, Membership]
) -> None:
    alice, dora = two_practices
    column = "id" if model._meta.label == "accounts.Practice" else "practice_id"
    for here, there in ((alice, dora), (dora, alice)):
        with tenancy.practice(here.practice_id), connection.cursor() as cursor:
            cursor.execute(
                f'SELECT count(*) FROM "{model._meta.db_table}" WHERE {column} = %s',
                [there.practice_id],
            )
            assert cursor.fetchone() == (0,)


def test_rows_of_another_practice_can_be_neither_changed_nor_made(
    two_practices: tuple[Membership, Membership],
) -> None:
    _, dora = two_practices
    with tenancy.practice(dora.practice_id):
        theirs = Client.objects.get()
    assert Client.objects.filter(id=theirs.id).update(initials="X") == 0
    assert Client.objects.filter(id=theirs.id).delete() == (0, {})
    with (
        pytest.raises(ProgrammingError, match="row-level security"),
        transaction.atomic(),
    ):
        Client.objects.create(practice=dora.practice, code="X", initials="X", country="GB")
    mine = Client.objects.get()
    with (
        pytest.raises(ProgrammingError, match="row-level security"),
        transaction.atomic(),
    ):
        Client.objects.filter(id=mine.id).update(practice=dora.practice)


def test_a_person_sees_their_own_memberships_before_a_practice_is_chosen(
    two_practices: tuple[Membership, Membership],
) -> None:
    alice, _ = two_practices
    work_in(None)
    assert alice.user
    with tenancy.user(alice.user.id):
        assert list(Membership.objects.select_related("practice")) == [alice]
        assert Membership.objects.update(name="Somebody else") == 0
        assert not Client.objects.exists()
    assert not Membership.objects.exists()


def test_a_practice_ends_with_its_block_even_when_it_fails(
    two_practices: tuple[Membership, Membership],
) -> None:
    _, dora = two_practices
    mine = Client.objects.get()
    with pytest.raises(Client.DoesNotExist), tenancy.practice(dora.practice_id):
        Client.objects.get(id=mine.id)
    assert Client.objects.get() == mine


def test_the_look_ups_across_practices_are_few_and_run_as_nobody() -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT proname, pg_get_userbyid(proowner) FROM pg_proc"
            " WHERE prosecdef AND pronamespace = 'public'::regnamespace"
        )
        assert dict(cursor.fetchall()) == dict.fromkeys(LOOK_UPS, "lookup")
        cursor.execute("SELECT rolcanlogin FROM pg_roles WHERE rolname = 'lookup'")
        assert cursor.fetchone() == (False,)
