"""Text that only Rapport can read back: secrets of the second step, drafts of a session that ended.

Authenticated encryption (Fernet). Each purpose has keys of its own, so that what was sealed for
one cannot be opened for another. The first of `settings.SEALING_KEYS` seals, all of them open:
put a new one in front to change keys.
"""

import base64
import hmac

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings


class Unreadable(Exception):
    """The text was not sealed here, for this purpose, or it is too old."""


def seal(text: str, *, purpose: str) -> str:
    """Seal a text for a purpose.

    >>> unseal(seal("a word", purpose="draft"), purpose="draft")
    'a word'
    """
    return _keys(purpose).encrypt(text.encode()).decode()


def unseal(sealed: str, *, purpose: str, max_age_s: int | None = None) -> str:
    """The text again.

    Raises:
        Unreadable: it was changed, sealed with another key or for another purpose, or is older
            than `max_age_s`.
    """
    try:
        return _keys(purpose).decrypt(sealed.encode(), ttl=max_age_s).decode()
    except InvalidToken:
        raise Unreadable from None


def _keys(purpose: str) -> MultiFernet:
    return MultiFernet(
        [
            Fernet(base64.urlsafe_b64encode(hmac.digest(key.encode(), purpose.encode(), "sha256")))
            for key in settings.SEALING_KEYS
        ]
    )
