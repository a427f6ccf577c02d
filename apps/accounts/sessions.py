"""Sessions as Django keeps them in the database, looked up by what can be a session's key alone."""

from django.contrib.sessions.backends import db
from django.contrib.sessions.backends.base import VALID_KEY_CHARS


class SessionStore(db.SessionStore):
    def __init__(self, session_key: str | None = None) -> None:
        """A cookie may hold anything, also a NUL, over which PostgreSQL breaks."""
        can_be_one = set(session_key or "") <= set(VALID_KEY_CHARS)
        super().__init__(session_key if can_be_one else None)
