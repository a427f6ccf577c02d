"""People and doors that every test may use.

alice is a therapist, sam her supervisor, charlie another therapist, mona the manager, dora a
therapist in another practice; `as_alice` is a browser-like client signed in as alice.
"""

import datetime
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from uuid import UUID, uuid4

import environ
import pytest
from django.db import connection
from django.middleware.csrf import CSRF_SESSION_KEY
from django.test import Client as Browser
from django.test.utils import setup_databases, teardown_databases
from psycopg import sql
from pytest_django import Settings
from pytest_django.plugin import DjangoDbBlocker

from apps.accounts.models import Membership, Practice, Role
from apps.accounts.sign_in import BEGAN, SEEN
from apps.core import tenancy
from apps.core.form_tokens import secret_for
from tests.factories import MembershipFactory, PracticeFactory, SupervisionFactory


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Journeys first: one process is long busy with them, while the other takes the rest."""
    items.sort(key=lambda item: "journeys" not in item.path.parts)


@pytest.fixture(scope="session")
def django_db_setup(
    django_test_environment: None,
    django_db_blocker: DjangoDbBlocker,
    django_db_modify_db_settings: None,
) -> Iterator[None]:
    """A database made by its owner and used as role `app`, which the second wall binds."""
    with django_db_blocker.unblock(), the_owner():
        made = setup_databases(verbosity=0, interactive=False)
        with connection.cursor() as cursor:
            # Only tests that commit for real empty the tables afterwards.
            cursor.execute("GRANT TRUNCATE ON ALL TABLES IN SCHEMA public TO app")
            for table in ("core_auditentry", "core_auditseal"):
                cursor.execute(f"ALTER TABLE {table} DISABLE TRIGGER never_emptied")
    yield
    with django_db_blocker.unblock(), the_owner():
        teardown_databases(made, verbosity=0)


@pytest.fixture(scope="module")
def as_owner(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[None]:
    """Work as `migrator`, which `manage.py` is: for tests of commands."""
    with django_db_blocker.unblock(), the_owner():
        yield


@contextmanager
def the_owner() -> Iterator[None]:
    """Sign in to the database as its owner for a while."""
    owner = environ.Env.db_url_config(os.environ["MIGRATOR_DATABASE_URL"])
    app = {key: connection.settings_dict[key] for key in ("USER", "PASSWORD")}
    connection.close()
    connection.settings_dict.update({key: owner[key] for key in app})
    try:
        yield
    finally:
        connection.close()
        connection.settings_dict.update(app)


@contextmanager
def a_fresh_database(name: str) -> Iterator[None]:
    """Work as the owner in an empty database, which is dropped afterwards."""
    before = connection.settings_dict["NAME"]
    with the_owner():
        with connection._nodb_cursor() as cursor:
            cursor.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        connection.settings_dict["NAME"] = name
        try:
            yield
        finally:
            connection.close()
            connection.settings_dict["NAME"] = before
            with connection._nodb_cursor() as cursor:
                cursor.execute(sql.SQL("DROP DATABASE {}").format(sql.Identifier(name)))


@pytest.fixture
def empty_database(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[None]:
    with django_db_blocker.unblock(), a_fresh_database(f"test_before_{uuid4().hex[:6]}"):
        yield


@pytest.fixture
def practice(db: None) -> Iterator[Practice]:
    """The practice that the test is about: what it writes and reads, it does inside."""
    practice = PracticeFactory.create()
    work_in(practice.id)
    yield practice
    work_in(None)


def work_in(practice_id: UUID | None) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT set_config('app.practice_id', %s, false)", [str(practice_id or "")])


@pytest.fixture
def alice(practice: Practice) -> Membership:
    return MembershipFactory.create(practice=practice, name="Alice Moreau")


@pytest.fixture
def sam(practice: Practice, alice: Membership) -> Membership:
    sam = MembershipFactory.create(practice=practice, name="Sam Okafor", roles=[Role.SUPERVISOR])
    SupervisionFactory.create(supervisor=sam, supervisee=alice)
    return sam


@pytest.fixture
def charlie(practice: Practice) -> Membership:
    return MembershipFactory.create(practice=practice, name="Charlie Nowak")


@pytest.fixture
def mona(practice: Practice) -> Membership:
    return MembershipFactory.create(practice=practice, name="Mona Haddad", roles=[Role.MANAGER])


@pytest.fixture
def dora(db: None) -> Membership:
    return MembershipFactory.create(name="Dora Lind")


@pytest.fixture(autouse=True)
def own_counters(settings: Settings) -> None:
    """Each test counts attempts by itself, by its own clock: Valkey's cannot be frozen."""
    settings.CACHES = {
        "default": {
            "BACKEND": "django.core.cache.backends.locmem.LocMemCache",
            "LOCATION": uuid4().hex,
            "KEY_FUNCTION": "apps.core.cached.keyed",
        }
    }


@pytest.fixture(autouse=True)
def one_slot(settings: Settings) -> None:
    """Messages go out in the test's own thread, which sees what its transaction wrote."""
    settings.OUTBOX_SLOTS = 1


@pytest.fixture(autouse=True)
def no_fault_is_only_logged(monkeypatch: pytest.MonkeyPatch) -> None:
    """What fails in one of many practices fails the test."""
    monkeypatch.setattr(tenancy, "one_of_many", tenancy.practice)


@pytest.fixture(autouse=True)
def no_quiet_hours(settings: Settings) -> None:
    """Messages go out whatever hour the tests run at."""
    settings.FEEDBACK_QUIET_HOURS = None


@pytest.fixture
def quiet_hours(no_quiet_hours: None, settings: Settings) -> None:
    """As in production: nothing goes out at night."""
    settings.FEEDBACK_QUIET_HOURS = datetime.time(21), datetime.time(8)


@pytest.fixture
def valkey(own_counters: None, settings: Settings) -> None:
    """The real cache, with counters that no other test finds."""
    settings.CACHES = {
        "default": {
            "BACKEND": "django.core.cache.backends.redis.RedisCache",
            "LOCATION": os.environ["REDIS_URL"],
            "KEY_PREFIX": uuid4().hex,
            "KEY_FUNCTION": "apps.core.cached.keyed",
        }
    }


class WithOwnForms(Browser):
    """Sends forms as pages give them to a person: with a token that says whose they are."""

    def __init__(self, secret: str) -> None:
        super().__init__()
        self.token = {"csrfmiddlewaretoken": "a" * len(secret) + secret}

    def post(self, path: str, data: Any = None, **further: Any) -> Any:
        if data is None or isinstance(data, dict):
            data = self.token | (data or {})
        return super().post(path, data, **further)


def signed_in(member: Membership) -> Browser:
    """A browser-like client that works as this member."""
    secret = secret_for(member.user_id)
    browser = WithOwnForms(secret)
    browser.force_login(member.user)
    # What `begin_session` does at a sign-in by hand, so that no request has to.
    session = browser.session
    session[BEGAN] = session[SEEN] = int(time.time())
    session[CSRF_SESSION_KEY] = secret
    session.save()
    return browser


@pytest.fixture
def sign_in() -> Callable[[Membership], Browser]:
    return signed_in


@pytest.fixture
def as_alice(alice: Membership, sign_in: Callable[[Membership], Browser]) -> Browser:
    return sign_in(alice)


@pytest.fixture
def as_sam(sam: Membership, sign_in: Callable[[Membership], Browser]) -> Browser:
    return sign_in(sam)


@pytest.fixture
def as_charlie(charlie: Membership, sign_in: Callable[[Membership], Browser]) -> Browser:
    return sign_in(charlie)


@pytest.fixture
def as_mona(mona: Membership, sign_in: Callable[[Membership], Browser]) -> Browser:
    return sign_in(mona)


@pytest.fixture
def as_dora(dora: Membership, sign_in: Callable[[Membership], Browser]) -> Browser:
    return sign_in(dora)
