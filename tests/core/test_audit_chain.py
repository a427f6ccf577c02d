"""The chain of audit rows: one for each practice, without a fork, and no tampering goes unseen.

The full thousand: `AUDIT_TAMPERINGS=1000 .venv/bin/python -m apps.core.embedded with-engines --
.venv/bin/pytest tests/core/test_audit_chain.py -k tampering`.
"""

import io
import os
import random
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from threading import Event
from uuid import UUID, uuid4

import pytest
import time_machine
from django.core.management import CommandError, call_command
from django.db import IntegrityError, connection, transaction
from django.db.models import F
from django.utils import timezone

from apps.accounts.models import Membership
from apps.core import audit, sealer, tenancy
from apps.core.models import AuditEntry, AuditHead, AuditSeal
from apps.core.tasks import seal_audit_trail
from tests.architecture.matrix.building import taken_back

WRITERS, ROWS_EACH = 64, 5
TAMPERINGS = int(os.environ.get("AUDIT_TAMPERINGS", "60"))


def write(practice_id: UUID, rows: int = 1) -> None:
    AuditEntry.objects.bulk_create(
        [
            AuditEntry(
                practice_id=practice_id,
                actor_id=uuid4(),
                route="client",
                is_read=True,
                action="view client",
                object_type="clients.Client",
                object_id=uuid4(),
                client_ids=[uuid4(), uuid4()],
            )
            for _ in range(rows)
        ]
    )


@pytest.fixture
def chain(practice: object, alice: Membership) -> UUID:
    """A practice whose 40 rows are sealed, in four runs of the sealer."""
    for _ in range(4):
        write(alice.practice_id, 10)
        sealer.seal(alice.practice_id)
    return alice.practice_id


def test_what_is_committed_is_chained_once_in_order(alice: Membership) -> None:
    write(alice.practice_id, 3)
    audit.record("do something", alice, by=alice)
    seal_audit_trail()
    seal_audit_trail()
    seals = AuditSeal.objects.order_by("number").values_list("number", "entry_id")
    entries = list(AuditEntry.objects.order_by("id").values_list("id", flat=True))
    assert list(seals) == list(enumerate(entries, 1))
    verdict = sealer.verify(alice.practice_id)
    assert (verdict.faults, verdict.unsealed) == ((), 0)
    assert verdict.head.seals == len(entries)


def test_the_tail_that_is_not_sealed_yet_is_told_and_is_no_fault(chain: UUID) -> None:
    write(chain, 2)
    verdict = sealer.verify(chain)
    assert (verdict.faults, verdict.unsealed) == ((), 2)
    assert verdict.oldest_unsealed


def test_each_practice_has_a_chain_of_its_own(alice: Membership, dora: Membership) -> None:
    for member in (alice, dora):
        with tenancy.practice(member.practice_id):
            write(member.practice_id, 2)
    seal_audit_trail()
    for member in (alice, dora):
        with tenancy.practice(member.practice_id):
            assert AuditHead.objects.get().count == AuditSeal.objects.count() >= 2
            assert not sealer.verify(member.practice_id).faults


def forge_seal(member: Membership, entry: AuditEntry, number: int) -> None:
    """What role `app` can do beside the sealer."""
    with tenancy.practice(member.practice_id), transaction.atomic():
        AuditSeal.objects.create(
            entry_id=entry.id,
            practice_id=member.practice_id,
            number=number,
            sealed_at=timezone.now(),
            digest=b"0",
        )


def newest_entry(member: Membership) -> AuditEntry:
    with tenancy.practice(member.practice_id):
        write(member.practice_id)
        return AuditEntry.objects.latest("id")


def test_a_seal_on_another_practices_entry_is_refused(alice: Membership, dora: Membership) -> None:
    theirs = newest_entry(dora)
    with pytest.raises(IntegrityError, match="audit_seal_of_own_entry"):
        forge_seal(alice, theirs, number=1)
    seal_audit_trail()
    with tenancy.practice(dora.practice_id):
        assert sealer.verify(dora.practice_id).unsealed == 0


def test_a_broken_chain_stops_no_other_and_an_old_tail_is_a_fault(
    alice: Membership, dora: Membership
) -> None:
    forge_seal(alice, newest_entry(alice), number=2)
    for member in (alice, alice, dora):
        newest_entry(member)
    seal_audit_trail()
    with tenancy.practice(alice.practice_id):
        assert sealer.verify(alice.practice_id).faults
    with tenancy.practice(dora.practice_id):
        assert sealer.verify(dora.practice_id).unsealed == 0
        write(dora.practice_id)
        assert not sealer.verify(dora.practice_id).faults
        with time_machine.travel(timezone.now() + timedelta(hours=2)):
            [fault] = sealer.verify(dora.practice_id).faults
    assert fault.startswith("nothing has been sealed of what was written since")


@pytest.mark.django_db(transaction=True)
def test_64_writers_and_two_sealers_make_one_chain_without_a_fork() -> None:
    practice_id, done = uuid4(), Event()

    def writer(_: int) -> None:
        for _row in range(ROWS_EACH):
            with tenancy.practice(practice_id):
                write(practice_id)
        connection.close()

    def keep_sealing(_: int) -> None:
        while not done.is_set():
            sealer.seal(practice_id)
        connection.close()

    with ThreadPoolExecutor(2) as sealers, ThreadPoolExecutor(WRITERS) as writers:
        at_work = [sealers.submit(keep_sealing, n) for n in range(2)]
        try:
            list(writers.map(writer, range(WRITERS)))
        finally:
            done.set()
        for each in at_work:
            each.result()
    sealer.seal(practice_id)
    with tenancy.practice(practice_id):
        numbers = AuditSeal.objects.order_by("number").values_list("number", flat=True)
        assert list(numbers) == list(range(1, WRITERS * ROWS_EACH + 1))
        verdict = sealer.verify(practice_id)
        assert (verdict.faults, verdict.unsealed) == ((), 0)


# ── Tampering, by somebody who owns the database ─────────────────────────────────────────────


def edit(chance: random.Random, ids: list[int]) -> None:
    """One field of one entry."""
    field, value = chance.choice(
        [
            ("actor_id", uuid4()),
            ("actor_id", None),
            ("route", "caseload"),
            ("is_read", False),
            ("action", "do nothing"),
            ("object_type", "clients.Treatment"),
            ("object_id", uuid4()),
            ("client_ids", [uuid4()]),
            ("at", F("at") - timedelta(seconds=chance.randint(1, 10**6))),
        ]
    )
    AuditEntry.objects.filter(id=chance.choice(ids)).update(**{field: value})


def delete(chance: random.Random, ids: list[int]) -> None:
    """One entry with its seal."""
    gone = chance.choice(ids)
    AuditSeal.objects.filter(entry_id=gone).delete()
    AuditEntry.objects.filter(id=gone).delete()


def delete_and_close_up(chance: random.Random, ids: list[int]) -> None:
    """One entry with its seal, and the later ones numbered anew."""
    gone = AuditSeal.objects.get(entry_id=chance.choice(ids))
    delete(chance, [gone.entry_id])
    for seal in AuditSeal.objects.filter(number__gt=gone.number).order_by("number"):
        AuditSeal.objects.filter(pk=seal.pk).update(number=seal.number - 1)
    AuditHead.objects.update(count=F("count") - 1)


def reorder(chance: random.Random, ids: list[int]) -> None:
    """Two entries change places."""
    one, other = AuditSeal.objects.filter(entry_id__in=chance.sample(ids, 2))
    AuditSeal.objects.filter(pk=one.pk).update(number=-1)
    AuditSeal.objects.filter(pk=other.pk).update(number=one.number)
    AuditSeal.objects.filter(pk=one.pk).update(number=other.number)


def insert(chance: random.Random, ids: list[int]) -> None:
    """An entry from days ago, which nobody sealed."""
    template = AuditEntry.objects.get(id=chance.choice(ids))
    template.pk = chance.choice([None, -chance.randint(1, 10**6)])
    template.save(force_insert=True)
    at = timezone.now() - timedelta(hours=chance.randint(2, 1000))
    AuditEntry.objects.filter(id=template.pk).update(at=at)


def insert_into_the_chain(chance: random.Random, ids: list[int]) -> None:
    """An entry from days ago, which the sealer then chains as if it were new."""
    insert(chance, ids)
    write(AuditEntry.objects.get(id=ids[0]).practice_id)
    seal_audit_trail()


def cut_off(chance: random.Random, ids: list[int]) -> None:
    """The newest entries with their seals."""
    gone = ids[-chance.randint(1, len(ids) - 1) :]
    AuditSeal.objects.filter(entry_id__in=gone).delete()
    AuditEntry.objects.filter(id__in=gone).delete()


def cut_off_seals(chance: random.Random, ids: list[int]) -> None:
    """The newest seals, so that their entries look new."""
    AuditSeal.objects.filter(entry_id__in=ids[-chance.randint(1, len(ids)) :]).delete()


def forge_a_seal(chance: random.Random, ids: list[int]) -> None:
    digest = chance.randbytes(32)
    AuditSeal.objects.filter(entry_id=chance.choice(ids)).update(digest=digest)


KINDS: list[Callable[[random.Random, list[int]], None]] = [
    edit, delete, delete_and_close_up, reorder, insert, insert_into_the_chain, cut_off,
    cut_off_seals, forge_a_seal,
]  # fmt: skip


@pytest.fixture(scope="module")
def sealed(as_owner: None) -> Iterator[tuple[UUID, list[int]]]:
    """40 sealed rows, in a transaction in which no trigger and no constraint stops the owner."""
    practice_id = uuid4()
    with taken_back():
        for table in ("core_auditentry", "core_auditseal"):
            connection.cursor().execute(f"ALTER TABLE {table} DISABLE TRIGGER append_only")
        connection.cursor().execute(
            "ALTER TABLE core_auditseal DROP CONSTRAINT audit_seal_counts_from_one"
        )
        write(practice_id, 40)
        AuditEntry.objects.update(at=timezone.now() - timedelta(hours=3))
        sealer.seal(practice_id)
        yield practice_id, list(AuditEntry.objects.order_by("id").values_list("id", flat=True))


def test_every_random_tampering_is_found(sealed: tuple[UUID, list[int]]) -> None:
    practice_id, ids = sealed
    assert not sealer.verify(practice_id).faults
    unseen = []
    for seed in range(TAMPERINGS):
        kind = KINDS[seed % len(KINDS)]
        with taken_back():
            kind(random.Random(seed), ids)
            if not sealer.verify(practice_id).faults:
                unseen.append((kind.__name__, seed))
    assert not unseen


def test_a_trail_forged_as_a_whole_is_convicted_by_the_heads_that_were_noted_down(
    sealed: tuple[UUID, list[int]], tmp_path: Path
) -> None:
    practice_id, ids = sealed
    noted, out = tmp_path / "heads.txt", io.StringIO()
    call_command("verify_audit", stdout=out, stderr=io.StringIO())
    noted.write_text(out.getvalue())
    call_command("verify_audit", noted=noted, stdout=io.StringIO(), stderr=io.StringIO())
    with taken_back():
        AuditEntry.objects.filter(id=ids[3]).update(action="do nothing")
        AuditSeal.objects.all().delete()
        AuditHead.objects.all().delete()
        sealer.seal(practice_id)
        assert not sealer.verify(practice_id).faults
        said = io.StringIO()
        with pytest.raises(CommandError, match="1 faults"):
            call_command("verify_audit", noted=noted, stdout=io.StringIO(), stderr=said)
        assert "seal 40 is not the one that was noted down" in said.getvalue()


def test_the_command_tells_the_unsealed_tail_and_ends_with_1_on_tampering(
    sealed: tuple[UUID, list[int]],
) -> None:
    practice_id, ids = sealed
    with taken_back():
        write(practice_id, 2)
        said = io.StringIO()
        call_command("verify_audit", stdout=io.StringIO(), stderr=said)
        assert "not sealed yet: 2" in said.getvalue()
        AuditEntry.objects.filter(id=ids[0]).update(action="do nothing")
        with pytest.raises(CommandError) as refused:
            call_command("verify_audit", stdout=io.StringIO(), stderr=said)
        assert refused.value.returncode == 1
        assert f"seal 1 does not fit entry {ids[0]}" in said.getvalue()
