"""`manage.py verify_audit [--noted FILE]`: check every practice's chain of audit rows."""

from pathlib import Path
from typing import Any
from uuid import UUID

from django.core.management.base import BaseCommand, CommandError, CommandParser

from apps.core import sealer
from apps.core.models import AuditEntry, AuditHead


class Command(BaseCommand):
    help = (
        "Check every practice's audit trail and print the head of each chain: practice, number of "
        "seals, digest. Keep the printout outside this machine; --noted checks the chains against "
        "an earlier one, which also finds a trail that the database's owner forged as a whole. "
        "Exits with 1 where anything was edited, deleted, moved, put in or cut off."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--noted", type=Path, help="an earlier printout of this command")

    def handle(self, *args: Any, **options: Any) -> None:
        noted = _noted(options["noted"]) if options["noted"] else []
        practices = {
            *(head.practice_id for head in noted),
            *AuditHead.objects.values_list("practice_id", flat=True),
            *AuditEntry.objects.values_list("practice_id", flat=True).distinct(),
        }
        faults = 0
        for practice_id in sorted(practices):
            verdict = sealer.verify(
                practice_id, noted=[head for head in noted if head.practice_id == practice_id]
            )
            self.stdout.write(str(verdict.head))
            if verdict.oldest_unsealed:
                since = verdict.oldest_unsealed.isoformat(timespec="seconds")
                self.stderr.write(f"  not sealed yet: {verdict.unsealed}, the oldest of {since}")
            for fault in verdict.faults:
                self.stderr.write(self.style.ERROR(f"  {practice_id}: {fault}"))
            faults += len(verdict.faults)
        if faults:
            raise CommandError(f"{faults} faults. See docs/operations.md, 'The audit trail'.")
        self.stderr.write("Every chain is whole.")


def _noted(path: Path) -> list[sealer.Head]:
    """Heads of an earlier printout.

    Raises:
        CommandError: the file cannot be read, or a line is no head.
    """
    heads = []
    try:
        for line in path.read_text(encoding="utf-8").splitlines():
            practice_id, count, digest = line.split()
            heads.append(sealer.Head(UUID(practice_id), int(count), digest.strip("-")))
    except (OSError, ValueError) as error:
        raise CommandError(f"{path} is no printout of this command: {error}") from error
    return heads
