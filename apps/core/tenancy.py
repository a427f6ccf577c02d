"""The second wall: PostgreSQL itself shows a practice's rows to nobody else.

Every tenant table has a row-level security policy that compares `practice_id` with the setting
`app.practice_id` of the running transaction. Where none is set, there are no rows. The first wall
is `Client.objects.visible_to`; each holds alone.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from celery.exceptions import SoftTimeLimitExceeded
from django.core.exceptions import ImproperlyConfigured
from django.db import connection, migrations, transaction
from django.utils import timezone

from apps.core import crypto

logger = logging.getLogger(__name__)

# Of tables that are not made yet it says nothing.
ABOVE_THE_TRAIL = """
SELECT has_table_privilege(to_regclass('core_auditentry'), 'UPDATE, DELETE')
    OR has_table_privilege(to_regclass('core_auditseal'), 'UPDATE, DELETE')
    OR has_table_privilege(to_regclass('core_audithead'), 'DELETE')
    OR has_column_privilege(to_regclass('core_auditentry'), 'id', 'INSERT')
"""
PRACTICE = "nullif((SELECT current_setting('app.practice_id', true)), '')::uuid"
USER = "nullif((SELECT current_setting('app.user_id', true)), '')::uuid"


@contextmanager
def practice(practice_id: UUID, *, zone: ZoneInfo | None = None) -> Iterator[None]:
    """Work inside one practice: a transaction that sees and writes this practice's rows only, by
    the practice's clock: who treats and who supervises today goes by its day.

    Tasks and callbacks that run after a commit open their own. Nested, the outer practice is back
    afterwards.

    Args:
        zone: the practice's time zone, where it is at hand; None: it is asked for.
    """
    inside = _set("app.practice_id", practice_id)
    with inside, crypto.keyring(), timezone.override(zone or _zone(practice_id)):
        yield


@contextmanager
def one_of_many(practice_id: UUID) -> Iterator[None]:
    """`practice`, for what is done in all of them: what fails in one is undone there and logged,
    and stops no other. Only the end of the task's time ends all."""
    try:
        with practice(practice_id):
            yield
    except SoftTimeLimitExceeded:
        raise
    except Exception:
        logger.exception("Work in practice %s failed; the others went on", practice_id)


@contextmanager
def user(user_id: UUID) -> Iterator[None]:
    """Let a signed-in person see their own memberships, whatever the practice."""
    with _set("app.user_id", user_id):
        yield


@contextmanager
def _set(name: str, value: UUID) -> Iterator[None]:
    """Have a setting in a transaction; the end of the outermost one forgets it by itself."""
    is_nested = connection.in_atomic_block
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(
            "SELECT coalesce(current_setting(%s, true), ''), set_config(%s, %s, true)",
            [name, name, str(value)],
        )
        outer: str = cursor.fetchone()[0]
        yield
        if is_nested:
            cursor.execute("SELECT set_config(%s, %s, true)", [name, outer])


def _zone(practice_id: UUID) -> ZoneInfo | None:
    """The practice's time zone; None, which is that of the settings, where there is none such."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT time_zone FROM accounts_practice WHERE id = %s", [practice_id])
        row = cursor.fetchone()
    return ZoneInfo(row[0]) if row else None


def refuse_powerful_role() -> None:
    """Stop a server that would serve as a role above row-level security, or above the trail.

    Raises:
        ImproperlyConfigured: the database role is a superuser or bypasses row-level security; or
            it may change the audit trail, as after a dump that was read back by other means.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT rolname FROM pg_roles WHERE rolname = current_user"
            " AND (rolsuper OR rolbypassrls)"
        )
        row = cursor.fetchone()
    if row:
        raise ImproperlyConfigured(
            f"The database role {row[0]!r} stands above row-level security. Serve as the role "
            "'app' (DATABASE_URL); only migrations and commands run as 'migrator'."
        )
    with connection.cursor() as cursor:
        cursor.execute(ABOVE_THE_TRAIL)
        if cursor.fetchone()[0]:
            raise ImproperlyConfigured(
                "The database role may change the audit trail, as after a dump that was read back "
                "by hand. Empty the database and read the dump, which is as good as it was, back "
                "by 'deploy/backup.sh restore' (docs/operations.md)."
            )


class RowSecurity(migrations.RunSQL):
    """Put a tenant table behind the wall; FORCE binds its owner too, unless it may bypass."""

    def __init__(self, table: str, column: str = "practice_id") -> None:
        self.table, self.column = table, column
        super().__init__(
            [
                f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY",
                f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY",
                (
                    f"CREATE POLICY own_practice ON {table}"
                    f" USING ({column} = {PRACTICE}) WITH CHECK ({column} = {PRACTICE})"
                ),
            ],
            [
                f"DROP POLICY own_practice ON {table}",
                f"ALTER TABLE {table} NO FORCE ROW LEVEL SECURITY",
                f"ALTER TABLE {table} DISABLE ROW LEVEL SECURITY",
            ],
        )

    def deconstruct(self) -> tuple[str, list[str], dict[str, str]]:
        return (type(self).__name__, [self.table, self.column], {})


class LookUp(migrations.RunSQL):
    """Define a look-up that runs above the wall, as the role `lookup`, and tells ids only.

    Args:
        signature: name and arguments, e.g. "practice_of_link(request uuid)".
        returns: result type.
        query: SQL of the body.
        reads: columns it may read by table, e.g. {"core_outboxmessage": "id, practice_id"}.
        replaces: a look-up of an earlier migration that this one takes the place of.
    """

    def __init__(
        self,
        signature: str,
        returns: str,
        query: str,
        reads: dict[str, str],
        replaces: "LookUp | None" = None,
    ) -> None:
        self.arguments = [signature, returns, query, reads, replaces]
        grants = [
            f"GRANT SELECT ({columns}) ON {table} TO lookup" for table, columns in reads.items()
        ]
        self.do: list[Any] = [
            *grants,
            (
                f"CREATE FUNCTION {signature} RETURNS {returns} LANGUAGE sql STABLE"
                f" SECURITY DEFINER SET search_path = public, pg_temp AS $$ {query} $$"
            ),
            f"REVOKE ALL ON FUNCTION {signature} FROM PUBLIC",
            f"GRANT EXECUTE ON FUNCTION {signature} TO app",
            "GRANT CREATE ON SCHEMA public TO lookup",
            f"ALTER FUNCTION {signature} OWNER TO lookup",
            "REVOKE CREATE ON SCHEMA public FROM lookup",
        ]
        self.undo: list[Any] = [f"DROP FUNCTION {signature}"]
        if replaces:
            super().__init__([*replaces.undo, *self.do], [*self.undo, *replaces.do])
        else:
            super().__init__(self.do, self.undo)

    def deconstruct(self) -> tuple[str, list[Any], dict[str, str]]:
        return (type(self).__name__, self.arguments, {})
