"""Sessions as Django keeps them in the database, sealed, looked up by what can be a key alone.

Requests of one session that go on at a time, of several tabs, each write the keys that they changed
and no other: none takes back what another wrote. Of one key that both changed, the last stands.
"""

from copy import deepcopy
from typing import Any

from django.contrib.auth import SESSION_KEY as AUTH_SESSION_KEY
from django.contrib.messages.storage.session import SessionStorage
from django.contrib.sessions.backends import db
from django.contrib.sessions.backends.base import VALID_KEY_CHARS
from django.contrib.sessions.exceptions import SessionInterrupted
from django.db import transaction
from django.middleware.csrf import CSRF_SESSION_KEY

from apps.accounts.sign_in import PRACTICE, SEARCHED
from apps.core.sealing import Unreadable, seal, unseal

SESSION = "session"
# What is said, and looked for, in one practice, and the token of its forms.
OF_ITS_PRACTICE = {PRACTICE, CSRF_SESSION_KEY, SEARCHED, SessionStorage.session_key}

Data = dict[str, Any]


class SessionStore(db.SessionStore):
    _before: Data | None = None
    """As the row was when it was last read or written here."""

    def __init__(self, session_key: str | None = None) -> None:
        """A cookie may hold anything, also a NUL, over which PostgreSQL breaks."""
        can_be_one = set(session_key or "") <= set(VALID_KEY_CHARS)
        super().__init__(session_key if can_be_one else None)

    def encode(self, session_dict: Data) -> str:
        """Sealed: the secret of an app that is being set up waits in it for its first code."""
        return seal(super().encode(session_dict), purpose=SESSION)

    def decode(self, session_data: bytes | str) -> Data:
        """What was kept; nothing, so that its owner signs in again, where it cannot be read."""
        try:
            return super().decode(unseal(str(session_data), purpose=SESSION))
        except Unreadable:
            return {}

    def load(self) -> Data:
        data = super().load()
        self._before = deepcopy(data)
        return data

    def save(self, must_create: bool = False) -> None:
        """Write what was changed here to the row as it is by now.

        Raises:
            UpdateError: the session has ended meanwhile; it does not come back.
        """
        with transaction.atomic():
            if not must_create:
                self._take_over()
            super().save(must_create)
        self._before = deepcopy(dict(self.items()))

    def cycle_key(self) -> None:
        """What others wrote until now goes along to the new key; the old one takes nothing more.

        Raises:
            SessionInterrupted: who was signed in signed out, or got another key, meanwhile. A
                stranger's session begins anew then: nobody comes back by it.
        """
        with transaction.atomic():
            was_there = self._take_over()
            if not was_there and AUTH_SESSION_KEY in (self._before or {}):
                raise SessionInterrupted
            super().cycle_key()

    def _take_over(self) -> bool:
        """Hold the row until the transaction ends, and take over what others wrote to it; whether
        it is there."""
        mine = dict(self.items())
        if self.session_key is None or self._before is None:
            return False
        row = self.model.objects.select_for_update().filter(session_key=self.session_key).first()
        if row:
            self._session_cache = merged(self._before, mine, self.decode(row.session_data))
        return row is not None


def merged(before: Data, mine: Data, now: Data) -> Data:
    """A session that was `before`, is `now`, and was changed to `mine`, key by key.

    What belongs to a practice is of the one that the session is in by now.

    >>> merged({"seen": 1, "said": 1}, {"seen": 2}, {"seen": 1, "said": 1, "draft": 1})
    {'draft': 1, 'seen': 2}
    """
    gone = object()  # None is a value
    changed = {key for key in before | mine if before.get(key, gone) != mine.get(key, gone)}
    if PRACTICE in changed:
        changed |= OF_ITS_PRACTICE
    elif before.get(PRACTICE) != now.get(PRACTICE):
        changed -= OF_ITS_PRACTICE
    others = {key: value for key, value in now.items() if key not in changed}
    return others | {key: value for key, value in mine.items() if key in changed}
