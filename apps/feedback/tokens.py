"""The link's token: key number, request id and a signature. Made when sent, never stored.

44 characters of URL-safe base64: 1 byte key number ‖ 16 bytes request id ‖
HMAC-SHA-256 over both and the request's generation, cut to 16 bytes. The key number lets keys be
changed while older links live; the generation lets the links of one request be revoked.
"""

import hashlib
import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as Base64Error
from uuid import UUID

from django.conf import settings

TOKEN_BYTES = 33
SIGNATURE_BYTES = 16


def make_token(request_id: UUID, *, generation: int) -> str:
    """The token for a request, signed with the current key."""
    # The oldest key has number 0, so that a key put in front leaves the numbers as they are.
    key_number = len(settings.FEEDBACK_LINK_KEYS) - 1
    head = bytes([key_number]) + request_id.bytes
    return urlsafe_b64encode(head + _signature(head, generation)).decode()


def read_request_id(token: str) -> UUID | None:
    """The request a token speaks of, before its signature is checked; None for no token."""
    raw = _decode(token)
    return UUID(bytes=raw[1:17]) if raw else None


def is_genuine(token: str, *, generation: int) -> bool:
    """Whether the token was made by us, for a request of this generation."""
    raw = _decode(token)
    return raw is not None and hmac.compare_digest(raw[17:], _signature(raw[:17], generation))


def _decode(token: str) -> bytes | None:
    try:
        raw = urlsafe_b64decode(token.encode("ascii"))
    except (Base64Error, UnicodeEncodeError):
        return None
    known = len(raw) == TOKEN_BYTES and raw[0] < len(settings.FEEDBACK_LINK_KEYS)
    # Only one spelling of a token is a token: base64 readers pass over foreign characters.
    return raw if known and urlsafe_b64encode(raw).decode() == token else None


def _signature(head: bytes, generation: int) -> bytes:
    key = settings.FEEDBACK_LINK_KEYS[len(settings.FEEDBACK_LINK_KEYS) - 1 - head[0]]
    message = b"feedback-link" + head + generation.to_bytes(2, "big")
    return hmac.new(key.encode(), message, hashlib.sha256).digest()[:SIGNATURE_BYTES]
