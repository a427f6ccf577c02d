"""The sealer: chains committed audit rows, one chain for each practice, and checks the chains.

Chaining in the request would make a practice's requests wait for each other; taking 'the latest
row' as the one before forks under load. So rows are inserted unchained, and every ten seconds
whatever is committed gets the next numbers. A seal's digest is
SHA-256(digest before ‖ number, time of sealing and content of the entry), so that no row can be
edited, taken out, put in or moved without every later digest being wrong.

What it cannot tell: whoever owns the database can forge entries, seals and head alike from some
point on. The heads that are logged at each sealing and printed by `manage.py verify_audit`, kept
elsewhere, are what convicts them.
"""

import hashlib
import json
import logging
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import NamedTuple
from uuid import UUID

from django.db import connection, transaction
from django.utils import timezone

from apps.core import tenancy
from apps.core.models import AuditEntry, AuditHead, AuditQuerySet, AuditSeal

logger = logging.getLogger(__name__)

# No transaction of ours is open for longer: a row that says it is older than an earlier seal by
# more than this was not there when that seal was made.
LONGEST_TRANSACTION = timedelta(hours=1)
# Rows committed after 100,000 later ones were sealed are left behind, and `verify` says so.
LOOK_BACK = 100_000
AT_ONCE = 10_000
MOST_FAULTS = 10


class Head(NamedTuple):
    """The end of one practice's chain, as a line to note down."""

    practice_id: UUID
    seals: int
    digest: str

    def __str__(self) -> str:
        return f"{self.practice_id} {self.seals} {self.digest or '-'}"


@dataclass(frozen=True)
class Verdict:
    """What came out for one practice: `faults` in words, and the rows not sealed yet."""

    head: Head
    faults: tuple[str, ...]
    unsealed: int
    oldest_unsealed: datetime | None


def practices_to_seal() -> list[UUID]:
    """Practices with rows that no seal covers yet."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT practices_to_seal()")
        return [row[0] for row in cursor.fetchall()]


def seal(practice_id: UUID) -> int:
    """Chain what is committed and unsealed; returns how many rows that was.

    The practice's head is locked meanwhile: a second sealer waits, and then finds nothing to do.
    """
    with transaction.atomic(durable=True), tenancy.practice(practice_id):
        AuditHead.objects.bulk_create([AuditHead(practice_id=practice_id)], ignore_conflicts=True)
        head = AuditHead.objects.select_for_update().get(practice_id=practice_id)
        newest = AuditSeal.objects.order_by("-entry_id").values_list("entry_id", flat=True).first()
        unsealed = AuditEntry.objects.filter(
            practice_id=practice_id, id__gt=(newest or 0) - LOOK_BACK, auditseal=None
        ).order_by("id")
        before, now = head.count, timezone.now()
        while entries := list(unsealed[:AT_ONCE]):
            _append(head, entries, at=now)
        if head.count == before:
            return 0
        head.sealed_at = now
        head.save()
    logger.info("Sealed up to %s", Head(practice_id, head.count, head.digest.hex()))
    return head.count - before


def _append(head: AuditHead, entries: list[AuditEntry], *, at: datetime) -> None:
    """Seal these entries, in this order."""
    seals = []
    for entry in entries:
        head.count += 1
        head.digest = link(bytes(head.digest), head.count, at, entry)
        seals.append(
            AuditSeal(
                entry=entry,
                practice_id=head.practice_id,
                number=head.count,
                sealed_at=at,
                digest=head.digest,
            )
        )
    AuditSeal.objects.bulk_create(seals)


def link(before: bytes, number: int, sealed_at: datetime, entry: AuditEntry) -> bytes:
    """Digest of the entry's seal: 32 bytes. The first one of a chain follows nothing (b'')."""
    content = [
        number,
        _utc(sealed_at),
        entry.id,
        str(entry.practice_id),
        _utc(entry.at),
        str(entry.actor_id or ""),
        entry.route,
        entry.is_read,
        entry.action,
        entry.object_type,
        str(entry.object_id),
        [str(each) for each in entry.client_ids],
    ]
    canonical = json.dumps(content, separators=(",", ":")).encode()
    return hashlib.sha256(before + canonical).digest()


def _utc(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="microseconds")


def verify(practice_id: UUID, *, noted: Iterable[Head] = ()) -> Verdict:
    """Walk one practice's chain from its start; it stops after ten faults.

    Args:
        noted: heads of this practice that were noted down earlier, each of which must still be a
            link of the chain.
    """
    wanted = {head.seals: head.digest for head in noted}
    faults: list[str] = []
    digest, number, sealed_at, sealed_earlier = b"", 0, None, None
    seals = AuditSeal.objects.filter(practice_id=practice_id).order_by("number")
    for seal in seals.select_related("entry").iterator(chunk_size=5000):
        if seal.sealed_at != sealed_at:
            sealed_earlier = sealed_at
        faults += _faults_of(seal, digest, number, sealed_earlier)
        digest, number, sealed_at = bytes(seal.digest), seal.number, seal.sealed_at
        if wanted.pop(number, digest.hex()) != digest.hex():
            faults.append(f"seal {number} is not the one that was noted down")
        if len(faults) >= MOST_FAULTS:
            break
    faults += [f"seal {count} was noted down and is gone" for count in wanted if count > number]
    head = AuditHead.objects.filter(practice_id=practice_id).first() or AuditHead(digest=b"")
    if (head.count, bytes(head.digest)) != (number, digest) and len(faults) < MOST_FAULTS:
        faults.append(f"the head says {head.count} seals, the chain has {number}")
    unsealed = AuditEntry.objects.filter(practice_id=practice_id, auditseal=None)
    if sealed_at:
        behind = unsealed.filter(at__lt=sealed_at - LONGEST_TRANSACTION)
        faults += [f"entry {id_} is old and not in the chain" for id_ in _first_ids(behind)]
    oldest = unsealed.order_by("at").values_list("at", flat=True).first()
    if oldest and oldest < timezone.now() - LONGEST_TRANSACTION:
        faults.append(f"nothing has been sealed of what was written since {_utc(oldest)}")
    return Verdict(
        head=Head(practice_id, number, digest.hex()),
        faults=tuple(faults),
        unsealed=unsealed.count(),
        oldest_unsealed=oldest,
    )


def _faults_of(
    seal: AuditSeal, digest: bytes, number: int, sealed_earlier: datetime | None
) -> Iterator[str]:
    if seal.number != number + 1:
        yield f"after seal {number} comes {seal.number}"
    if seal.entry.practice_id != seal.practice_id:
        yield f"seal {seal.number} is on an entry of another practice"
    if link(digest, seal.number, seal.sealed_at, seal.entry) != bytes(seal.digest):
        yield f"seal {seal.number} does not fit entry {seal.entry_id} and the seal before it"
    elif sealed_earlier and seal.entry.at < sealed_earlier - LONGEST_TRANSACTION:
        yield f"entry {seal.entry_id} says {_utc(seal.entry.at)}, but was not there then"


def _first_ids(entries: AuditQuerySet) -> list[int]:
    return list(entries.order_by("id").values_list("id", flat=True)[:MOST_FAULTS])
