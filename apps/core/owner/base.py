"""PostgreSQL for commands, which work as the schema's owner or not at all."""

from django.core.management import CommandError
from django.db import OperationalError
from django.db.backends.postgresql import base


class NotTheOwner(CommandError, OperationalError):
    """What `manage.py` prints alone; `makemigrations` goes on, as where no database runs."""


class DatabaseWrapper(base.DatabaseWrapper):
    """Ends a command that would be bound by row-level security: outside of any practice it would
    see no rows, and say that all is well. Commands that need no database go on."""

    def connect(self) -> None:
        """Raises NotTheOwner."""
        if not self.settings_dict["NAME"]:
            raise _refused("whose address is not known here")
        super().connect()
        with self.connection.cursor() as cursor:
            cursor.execute(
                "SELECT rolbypassrls OR rolsuper FROM pg_roles WHERE rolname = current_user"
            )
            sees_all = cursor.fetchone()[0]
        if not sees_all:
            self.close()
            raise _refused("and the role of MIGRATOR_DATABASE_URL is bound by row-level security")


def _refused(why: str) -> NotTheOwner:
    return NotTheOwner(
        f"Commands work as the schema's owner, {why}. With compose: "
        "docker compose run --rm migrate python manage.py …; elsewhere set MIGRATOR_DATABASE_URL "
        "to the address of a role with BYPASSRLS (deploy/postgres/roles.sql), or start `make run` "
        "in another terminal. Nothing was done.",
        returncode=2,
    )
