"""New keys while people work: for the root, for practices, for clients and every value they sealed.

Old keys go on reading until nothing needs them, and each client moves in a transaction of its own,
so a rotation can be stopped anywhere and called again: what is left to do is read from the rows.
"""

import os
from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from apps.clients.services import wait_for_turn
from apps.core import audit, crypto, tenancy
from apps.core.fields import encrypted_fields
from apps.core.models import ClientKey, PracticeKey

RETIRED_KEPT_FOR = timedelta(days=35)
"""A dump that is read back needs the keys it was made with: longer than dumps are kept."""


def rewrap_for_new_root() -> int:
    """Wrap every practice's keys with the first of `ENCRYPTION_KEYS`; returns how many moved."""
    old = PracticeKey.objects.exclude(root_id=crypto.root_id(crypto.root_keys()[0]))
    moved = 0
    for key_id in old.values_list("id", flat=True):
        with transaction.atomic():
            row = PracticeKey.objects.select_for_update().get(id=key_id)
            crypto.wrap_practice_key(row, crypto.open_practice_key(row))
            row.save(update_fields=["root_id", "wrapped"])
        moved += 1
    return moved


def begin(practice_id: UUID) -> None:
    """Give a practice a new key, unless a rotation of it was begun and not finished."""
    if clients_due(practice_id):
        return
    with transaction.atomic():
        old = crypto.current_practice_key(practice_id)
        secret = crypto.open_practice_key(old)
        old.retired_at = timezone.now()
        old.save(update_fields=["retired_at"])
        # The second half finds addresses by their index, and stays.
        fresh = crypto.new_practice_key(
            practice_id, os.urandom(crypto.KEY_BYTES) + secret[crypto.KEY_BYTES :]
        )
        audit.record("rotate keys", fresh, by=None)


def clients_due(practice_id: UUID) -> list[UUID]:
    """Clients of a practice whose data key is older than the practice's."""
    since = crypto.current_practice_key(practice_id).created_at
    due = ClientKey.objects.filter(
        practice_id=practice_id, retired_at__isnull=True, created_at__lt=since
    ).exclude(wrapped=crypto.DESTROYED)
    return list(due.order_by("created_at").values_list("client_id", flat=True))


def renew_client(*, practice_id: UUID, client_id: UUID) -> int:
    """Seal all values of a client with a new data key; returns how many there were.

    A value that somebody writes meanwhile with the old key stays readable, and moves with the next
    rotation, before the old key is deleted.
    """
    with tenancy.practice(practice_id):
        wait_for_turn(id=client_id)  # of a client's; notes of meetings are no one's
        keys = ClientKey.objects.filter(practice_id=practice_id, client_id=client_id)
        practice_key = crypto.current_practice_key(practice_id)
        rows = list(
            keys.select_for_update(of=("self",), no_key=True).select_related("practice_key")
        )
        if any(bytes(row.wrapped) == crypto.DESTROYED for row in rows):  # erased meanwhile
            return 0
        for row in rows:
            crypto.wrap_client_key(row, crypto.open_client_key(row), practice_key)
            row.retired_at = row.retired_at or timezone.now()
            row.save(update_fields=["practice_key", "wrapped", "retired_at"])
        fresh = crypto.new_client_key(practice_id=practice_id, client_id=client_id)
        key = crypto.DataKey(fresh.id, crypto.open_client_key(fresh))
        moved = _seal_anew(client_id, key)
        keys.filter(retired_at__lt=timezone.now() - RETIRED_KEPT_FOR).delete()
    return moved


def finish(practice_id: UUID) -> None:
    """Delete the practice's old keys, which wrap nothing any more; emptied keys need none."""
    emptied = ClientKey.objects.filter(practice_id=practice_id, wrapped=crypto.DESTROYED)
    emptied.update(practice_key=crypto.current_practice_key(practice_id))
    used = ClientKey.objects.filter(practice_id=practice_id).values("practice_key")
    PracticeKey.objects.filter(practice_id=practice_id, retired_at__isnull=False).exclude(
        id__in=used
    ).delete()


def rotate(practice_id: UUID) -> Iterator[int]:
    """Rotate the keys of one practice; yields, client by client, how many values moved."""
    begin(practice_id)
    for client_id in clients_due(practice_id):
        yield renew_client(practice_id=practice_id, client_id=client_id)
    finish(practice_id)


def _seal_anew(client_id: UUID, key: crypto.DataKey) -> int:
    moved = 0
    for field in encrypted_fields():
        mine = field.model._base_manager.filter(**{field.client: client_id})
        rows = mine.exclude(**{field.attname: ""}).select_for_update(of=("self",), no_key=True)
        fresh: dict[Any, bytes] = {}
        for row in rows.only("practice", field.attname):
            text = getattr(row, field.attname)
            if text:
                fresh[row.pk] = field.seal(row, text, key)
        field.put(fresh)
        moved += len(fresh)
    return moved
