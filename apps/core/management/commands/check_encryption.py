"""`manage.py check_encryption`: is every listed column ciphertext, and readable with its key?"""

from collections import Counter
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db.models import BinaryField
from django.db.models.functions import Cast

from apps.core import crypto
from apps.core.fields import ERASED, EncryptedTextField, encrypted_fields


class Command(BaseCommand):
    help = (
        "Read the bytes of every encrypted column, as a dump would hold them, and print a line a "
        "column: values, sealed (ciphertext that its key opens), erased, plain (no ciphertext of "
        "ours), unreadable (changed, moved, or its key is gone). No value is printed. Exits with 1 "
        "where anything is plain or unreadable."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        faults = 0
        for field in encrypted_fields():
            counts = counted(field)
            said = ", ".join(
                f"{counts[state]} {state}" for state in ("sealed", "erased", "plain", "unreadable")
            )
            column = f"{field.model._meta.db_table}.{field.attname}"
            self.stdout.write(f"{column}: {counts.total()} values, {said}")
            faults += counts["plain"] + counts["unreadable"]
        if faults:
            raise CommandError(f"{faults} values are not sealed as they should be.")
        self.stdout.write("100 % of the values in the listed columns are ciphertext.")


def counted(field: EncryptedTextField) -> Counter[str]:
    """How many values of a column are in which state; empty texts are none."""
    rows = field.model._base_manager.exclude(**{field.attname: ""}).only("practice")
    with crypto.keyring():
        return Counter(
            state(field, row, bytes(row.stored))
            for row in rows.annotate(stored=Cast(field.attname, BinaryField())).iterator()
        )


def state(field: EncryptedTextField, row: Any, stored: bytes) -> str:
    if stored == ERASED:
        return "erased"
    try:
        key_id = crypto.key_id_of(stored)
    except crypto.Unreadable:
        return "plain"
    try:
        crypto.unseal(stored, secret=crypto.secret_of(key_id), place=field.place_of(row))
    except crypto.Unreadable:
        return "unreadable"
    return "sealed"
