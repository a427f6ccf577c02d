"""The link's token: key id, request id and a signature. Made when sent, never stored.

44 characters of URL-safe base64: 1 byte (6 bits key id, 2 bits the way it goes) ‖ 16 bytes request
id ‖ HMAC-SHA-256 over both, the request's generation and the mailbox it goes to, cut to 16 bytes.
The key id lets keys be changed while older links live; the generation lets the links of one request
be revoked; the way tells an answer given in the room from one given by a message, and which channel
somebody means who says "this is not for me". A link speaks for its mailbox alone: it rests while
the channel leads to another.
"""

import hashlib
import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as Base64Error
from collections.abc import Mapping
from uuid import UUID

from django.conf import settings

TOKEN_BYTES = 33
SIGNATURE_BYTES = 16
ROOM = "room"
WAYS = ("email", "text", ROOM)
WAY_BITS = 0b11
NOWHERE: Mapping[str, bytes] = dict.fromkeys(WAYS, b"")


def make_token(
    request_id: UUID, *, generation: int, way: str = "email", mailbox: bytes = b""
) -> str:
    """The token for a request that goes out by `way` (one of WAYS), signed with the current key.

    Args:
        mailbox: keyed hash of the mailbox that the way leads to; of the room, none.
    """
    key = settings.FEEDBACK_LINK_KEYS[0]
    head = bytes([_key_id(key) | WAYS.index(way)]) + request_id.bytes
    return urlsafe_b64encode(head + _signature(key, head, generation, mailbox)).decode()


def read_request_id(token: str) -> UUID | None:
    """The request a token speaks of, before its signature is checked; None for no token."""
    raw = _decode(token)
    return UUID(bytes=raw[1:17]) if raw else None


def way_of(token: str, *, generation: int, mailboxes: Mapping[str, bytes] = NOWHERE) -> str:
    """The way a token went; '' unless it was made by us, for a request of this generation.

    Args:
        mailboxes: as in `make_token`, for each way that leads anywhere.
    """
    raw = _decode(token)
    way = WAYS[raw[0] & WAY_BITS] if raw and raw[0] & WAY_BITS < len(WAYS) else ""
    if raw is None or way not in mailboxes:
        return ""
    is_genuine = any(
        hmac.compare_digest(raw[17:], _signature(key, raw[:17], generation, mailboxes[way]))
        for key in settings.FEEDBACK_LINK_KEYS
        if _key_id(key) == raw[0] & ~WAY_BITS
    )
    return way if is_genuine else ""


def _decode(token: str) -> bytes | None:
    try:
        raw = urlsafe_b64decode(token.encode("ascii"))
    except (Base64Error, UnicodeEncodeError):
        return None
    # Only one spelling of a token is a token: base64 readers pass over foreign characters.
    return raw if len(raw) == TOKEN_BYTES and urlsafe_b64encode(raw).decode() == token else None


def _key_id(key: str) -> int:
    """Six bits made from the key itself: keys may come and go around it, in any order."""
    return hashlib.sha256(b"feedback-link-key" + key.encode()).digest()[0] & ~WAY_BITS


def _signature(key: str, head: bytes, generation: int, mailbox: bytes) -> bytes:
    # Links were signed with two bytes first: however often they are revoked, it goes on.
    revoked = generation.to_bytes(2 if generation < 1 << 16 else 4, "big")
    message = b"feedback-link" + head + revoked + mailbox
    return hmac.new(key.encode(), message, hashlib.sha256).digest()[:SIGNATURE_BYTES]
