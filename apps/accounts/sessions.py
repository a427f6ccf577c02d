"""Sessions as Django keeps them in the database, sealed, looked up by what can be a key alone."""

from typing import Any

from django.contrib.sessions.backends import db
from django.contrib.sessions.backends.base import VALID_KEY_CHARS

from apps.core.sealing import Unreadable, seal, unseal

SESSION = "session"


class SessionStore(db.SessionStore):
    def __init__(self, session_key: str | None = None) -> None:
        """A cookie may hold anything, also a NUL, over which PostgreSQL breaks."""
        can_be_one = set(session_key or "") <= set(VALID_KEY_CHARS)
        super().__init__(session_key if can_be_one else None)

    def encode(self, session_dict: dict[str, Any]) -> str:
        """Sealed: the secret of an app that is being set up waits in it for its first code."""
        return seal(super().encode(session_dict), purpose=SESSION)

    def decode(self, session_data: bytes | str) -> dict[str, Any]:
        """What was kept; nothing, so that its owner signs in again, where it cannot be read."""
        try:
            return super().decode(unseal(str(session_data), purpose=SESSION))
        except Unreadable:
            return {}
