"""The token in a mailed account link: practice and link, signed. Made when sent, never stored.

It names the practice, so that the link can be looked up behind row-level security before anybody
has signed in. Expiry and use once are decided by the row.
"""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import NamedTuple
from uuid import UUID

from django.core.signing import BadSignature, Signer

from apps.accounts.models import AccountLink

_signer = Signer(salt="apps.accounts.links", sep=".")


class Address(NamedTuple):
    practice_id: UUID
    link_id: UUID


def make_token(link: AccountLink) -> str:
    """The token for a link, 87 characters that are safe in an address."""
    return _signer.sign(urlsafe_b64encode(link.practice_id.bytes + link.id.bytes).decode())


def read_token(token: str) -> Address | None:
    """Practice and link that a token speaks of; None where we did not make it."""
    try:
        raw = urlsafe_b64decode(_signer.unsign(token))
    except BadSignature:
        return None
    return Address(UUID(bytes=raw[:16]), UUID(bytes=raw[16:]))
