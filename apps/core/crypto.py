"""Sealed values and their keys: a dump without the root key tells nothing that could hurt.

    root key      outside the database, `settings.ENCRYPTION_KEYS`, the current one first
      └ PracticeKey   one current per practice, wrapped by a root key
          └ ClientKey     one current per client, wrapped by a key of the practice
              └ values        AES-256-GCM, bound to table.column.row.practice

A sealed value names its key, so that a row is read without knowing whose it is, and old keys go on
reading while values move to a new one. Where the key is gone, the value is gone: that is how a
client is erased. Every AES-GCM text here begins with its own random nonce of 12 bytes.
"""

import hashlib
import hmac
import os
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import NamedTuple
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.db import IntegrityError, transaction

from apps.core.models import ClientKey, PracticeKey

VERSION = b"\x01"
KEY_BYTES = 32
NONCE_BYTES = 12
DESTROYED = b""
"""What stands in place of a wrapped key whose client was erased."""
HEAD_BYTES = len(VERSION) + 16
"""A sealed value: version, id of its key, nonce, ciphertext with tag."""


class Unreadable(Exception):
    """A value was changed, moved from another place, or sealed with a key that is not here."""


class KeyDestroyed(Unreadable):
    """The key of a client is gone: the client was erased."""


class DataKey(NamedTuple):
    id: UUID
    secret: bytes


@dataclass
class Keyring:
    """The keys that one request has unwrapped, and those that it will want.

    Reading a row names its key here before anybody asks for the text, so that one query fetches
    the keys of a whole page.
    """

    wanted: set[UUID] = field(default_factory=set)
    opened: dict[UUID, bytes] = field(default_factory=dict)
    current: dict[UUID, DataKey] = field(default_factory=dict)


_keyring: ContextVar[Keyring | None] = ContextVar("keyring", default=None)


@contextmanager
def keyring() -> Iterator[None]:
    """Unwrap each key once while this is open; `tenancy.practice` opens one."""
    token = _keyring.set(Keyring())
    try:
        yield
    finally:
        _keyring.reset(token)


def seal(text: str, *, key: DataKey, place: str) -> bytes:
    """Seal a text for one place, `table.column.row.practice`.

    >>> key = DataKey(UUID(int=7), bytes(32))
    >>> unseal(seal("a word", key=key, place="t.c.1.p"), secret=key.secret, place="t.c.1.p")
    'a word'
    """
    return VERSION + key.id.bytes + encrypt(key.secret, text.encode(), place)


def unseal(sealed: bytes, *, secret: bytes, place: str) -> str:
    """The text again.

    Raises:
        Unreadable: it was changed, sealed for another place, or sealed with another key.
    """
    return decrypt(secret, sealed[HEAD_BYTES:], place).decode()


def key_id_of(sealed: bytes) -> UUID:
    """Which key sealed this; Unreadable where no key of ours did."""
    if sealed[:1] != VERSION or len(sealed) < HEAD_BYTES + NONCE_BYTES:
        raise Unreadable("This is no sealed value.")
    return UUID(bytes=bytes(sealed[1:HEAD_BYTES]))


def expect(sealed: bytes) -> None:
    """Say that a value was read whose text may be asked for soon."""
    ring = _keyring.get()
    if ring is not None and len(sealed) >= HEAD_BYTES:
        ring.wanted.add(UUID(bytes=bytes(sealed[1:HEAD_BYTES])))


def secret_of(key_id: UUID) -> bytes:
    """The unwrapped data key; KeyDestroyed where it is gone."""
    ring = _keyring.get() or Keyring()
    if key_id not in ring.opened:
        wanted = (ring.wanted | {key_id}) - ring.opened.keys()
        kept = ClientKey.objects.exclude(wrapped=DESTROYED).select_related("practice_key")
        for row in kept.filter(id__in=wanted):
            ring.opened[row.id] = open_client_key(row)
        ring.wanted.clear()
    if key_id not in ring.opened:
        raise KeyDestroyed("The key of this value is gone, and the value with it.")
    return ring.opened[key_id]


def key_for(*, practice_id: UUID, client_id: UUID) -> DataKey:
    """The data key that seals new values of a client, made with the first value.

    Raises:
        KeyDestroyed: the client was erased; nothing is sealed for them again.
    """
    ring = _keyring.get() or Keyring()
    if client_id not in ring.current:
        row = _current_client_key(practice_id, client_id)
        ring.current[client_id] = DataKey(row.id, open_client_key(row))
    return ring.current[client_id]


def new_client_key(*, practice_id: UUID, client_id: UUID) -> ClientKey:
    """Store a new data key for a client; IntegrityError where another is current."""
    practice_key = current_practice_key(practice_id)
    row = ClientKey(practice_id=practice_id, client_id=client_id, practice_key=practice_key)
    wrap_client_key(row, os.urandom(KEY_BYTES), practice_key)
    row.save(force_insert=True)
    return row


def wrap_client_key(row: ClientKey, secret: bytes, practice_key: PracticeKey) -> None:
    row.practice_key = practice_key
    row.wrapped = encrypt(open_practice_key(practice_key)[:KEY_BYTES], secret, _client_place(row))


def destroy_client_keys(*, practice_id: UUID, client_id: UUID) -> None:
    """Empty a client's data keys for good: what they sealed is gone, and no new one is made."""
    _current_client_key(practice_id, client_id)
    ClientKey.objects.filter(practice_id=practice_id, client_id=client_id).update(wrapped=DESTROYED)


def open_client_key(row: ClientKey) -> bytes:
    """Unwrap a client's data key; KeyDestroyed where it was emptied."""
    if bytes(row.wrapped) == DESTROYED:
        raise KeyDestroyed("This client was erased.")
    wrapping = open_practice_key(row.practice_key)[:KEY_BYTES]
    return decrypt(wrapping, bytes(row.wrapped), _client_place(row))


def current_practice_key(practice_id: UUID) -> PracticeKey:
    """The key that wraps new data keys of a practice, made when first needed."""
    current = PracticeKey.objects.filter(practice_id=practice_id, retired_at__isnull=True)
    found = current.first()
    if found:
        return found
    try:
        with transaction.atomic():
            return new_practice_key(practice_id, os.urandom(2 * KEY_BYTES))
    except IntegrityError:  # another request made it meanwhile
        return current.get()


def new_practice_key(practice_id: UUID, secret: bytes) -> PracticeKey:
    """Store a practice key: 32 bytes that wrap data keys, 32 for look-ups, which stay for good."""
    row = PracticeKey(practice_id=practice_id)
    wrap_practice_key(row, secret)
    row.save(force_insert=True)
    return row


def wrap_practice_key(row: PracticeKey, secret: bytes) -> None:
    root = root_keys()[0]
    row.root_id = root_id(root)
    row.wrapped = encrypt(root, secret, _practice_place(row))


def open_practice_key(row: PracticeKey) -> bytes:
    """Unwrap a practice's key; Unreadable where its root key is not among ours."""
    for root in root_keys():
        if root_id(root) == row.root_id:
            return decrypt(root, bytes(row.wrapped), _practice_place(row))
    raise Unreadable(
        f"The keys of this practice were wrapped by root key {row.root_id}, which ENCRYPTION_KEYS "
        "does not hold. Put it back behind the current one."
    )


def blind_index(text: str, *, practice_id: UUID) -> bytes:
    """A keyed HMAC by which an address is found without being readable.

    Case and blanks make no difference. The same address gives another value in another practice.
    """
    key = open_practice_key(current_practice_key(practice_id))[KEY_BYTES:]
    return hmac.digest(key, "".join(text.split()).casefold().encode(), "sha256")


def root_keys() -> list[bytes]:
    if not settings.ENCRYPTION_KEYS:
        raise ImproperlyConfigured(
            "ENCRYPTION_KEYS is not set, and this clone never started, so it has no key of its "
            "own. Start it once with 'make run', or give the key that belongs to the database."
        )
    keys: list[bytes] = settings.ENCRYPTION_KEYS
    return keys


def root_id(root: bytes) -> str:
    """Tells root keys apart and tells nothing about them.

    >>> len(root_id(bytes(32)))
    16
    """
    return hashlib.sha256(b"rapport root key" + root).hexdigest()[:16]


def encrypt(key: bytes, secret: bytes, place: str) -> bytes:
    nonce = os.urandom(NONCE_BYTES)
    return nonce + AESGCM(key).encrypt(nonce, secret, place.encode())


def decrypt(key: bytes, sealed: bytes, place: str) -> bytes:
    try:
        return AESGCM(key).decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], place.encode())
    except InvalidTag:
        raise Unreadable(
            f"{place} cannot be read: it was changed, moved from another place, or sealed with "
            "another key."
        ) from None


def _current_client_key(practice_id: UUID, client_id: UUID) -> ClientKey:
    current = ClientKey.objects.select_related("practice_key").filter(
        practice_id=practice_id, client_id=client_id, retired_at__isnull=True
    )
    found = current.first()
    if found:
        return found
    try:
        with transaction.atomic():
            return new_client_key(practice_id=practice_id, client_id=client_id)
    except IntegrityError:  # another request made it meanwhile
        return current.get()


def _client_place(row: ClientKey) -> str:
    return f"client key.{row.id}.{row.client_id}.{row.practice_id}"


def _practice_place(row: PracticeKey) -> str:
    return f"practice key.{row.id}.{row.practice_id}"
