"""Stands for the database where a command has no address of the schema's owner."""

from typing import NoReturn

from django.core.management import CommandError
from django.db.backends.postgresql import base


class DatabaseWrapper(base.DatabaseWrapper):
    """Serves commands that need no database, and ends all others.

    As role `app`, which row-level security binds, they would see no rows of any practice and say
    that all is well.
    """

    def connect(self) -> NoReturn:
        """Raises CommandError, which `manage.py` prints alone."""
        raise CommandError(
            "Commands work as the schema's owner, whose address is not known here. With compose: "
            "docker compose run --rm migrate python manage.py …; elsewhere set "
            "MIGRATOR_DATABASE_URL, or start `make run` in another terminal. Nothing was done.",
            returncode=2,
        )
