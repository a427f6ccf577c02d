"""Columns that hold sealed text, and the index by which an address is found.

    comment = EncryptedTextField(client="therapy_session__treatment__client_id", blank=True)

is read and assigned like any text. `client` is the way from the row to the id of the client whose
key seals it. In the database: nothing for an empty text, else a sealed value (`apps.core.crypto`).
"""

from collections.abc import Sequence
from operator import attrgetter
from typing import Any
from uuid import UUID

from django.apps import apps
from django.db import migrations, models
from django.db.migrations.operations.base import Operation
from django.db.models import Case, Value, When
from django.db.models.query_utils import DeferredAttribute

from apps.core import crypto

ERASED = b"\x00"
"""Stands where a text was erased: reads as empty, and says in the database that there was one.

A row that is saved as a whole keeps it; only another text of its own takes its place.
"""


class Sealed:
    """A sealed value as it was read; only its row can open it, and it never shows itself."""

    def __init__(self, raw: bytes) -> None:
        self.raw = raw

    def __bool__(self) -> bool:
        return self.raw != ERASED

    def __repr__(self) -> str:
        return "‹sealed›"

    def __str__(self) -> str:
        raise TypeError("A sealed value is read from its row, not through values().")


class SealedAttribute(DeferredAttribute):
    """Opens the value when the row is first asked for it."""

    field: "EncryptedTextField"

    def __get__(self, instance: Any, cls: Any = None) -> Any:
        value = super().__get__(instance, cls)
        if not isinstance(value, Sealed):
            return value
        text = self.field.open(instance, value.raw)
        if value.raw != ERASED:
            instance.__dict__[self.field.attname] = text
        return text

    def __set__(self, instance: Any, value: Any) -> None:
        # What makes Python ask `__get__` although the row holds a value.
        instance.__dict__[self.field.attname] = value


class EncryptedTextField(models.TextField):
    """Text that only its own row, with its client's key, can read.

    A wrong key, a changed value and one moved from another row or column raise
    `crypto.Unreadable`; ciphertext is never handed out. It cannot be searched or set by
    `update()`, except for emptiness: `filter(comment="")`, `update(comment="")`.
    """

    descriptor_class = SealedAttribute

    def __init__(self, *args: Any, client: str, **kwargs: Any) -> None:
        self.client = client
        super().__init__(*args, **kwargs)

    def deconstruct(self) -> tuple[str, str, Sequence[Any], dict[str, Any]]:
        name, path, args, kwargs = super().deconstruct()
        return name, path, args, kwargs | {"client": self.client}

    def get_internal_type(self) -> str:
        return "BinaryField"

    def open(self, row: models.Model, sealed: bytes) -> str:
        """The text of a row's value. A value that got a new key while it was on its way is read
        again."""
        if sealed == ERASED:
            return ""
        try:
            secret = crypto.secret_of(crypto.key_id_of(sealed))
        except crypto.KeyDestroyed:
            moved = type(row)._base_manager.filter(pk=row.pk).values_list(self.attname).first()
            if not moved or not isinstance(moved[0], Sealed) or moved[0].raw == sealed:
                raise
            return self.open(row, moved[0].raw)
        return crypto.unseal(sealed, secret=secret, place=self.place_of(row))

    def seal(self, row: models.Model, text: str, key: crypto.DataKey | None = None) -> bytes:
        """A text of this row, sealed with `key` or the current one of its client."""
        if not text:
            return b""
        key = key or crypto.key_for(
            practice_id=row.practice_id,  # type: ignore[attr-defined]
            client_id=self.client_of(row),
        )
        return crypto.seal(text, key=key, place=self.place_of(row))

    def erase(self, rows: models.QuerySet[Any]) -> int:
        """Take the texts of these rows away for good; returns how many there were."""
        return rows.exclude(**{self.attname: ""}).update(**{self.attname: Sealed(ERASED)})

    def put(self, fresh: dict[Any, bytes]) -> None:
        """Write sealed values in place of others, by the ids of their rows, a hundred at once."""
        ids = list(fresh)
        for start in range(0, len(ids), 100):
            some = ids[start : start + 100]
            values = [When(pk=pk, then=Value(Sealed(fresh[pk]), self)) for pk in some]
            rows = self.model._base_manager.filter(pk__in=some)
            rows.update(**{self.attname: Case(*values, output_field=self)})

    def place_of(self, row: models.Model) -> str:
        practice_id: UUID = row.practice_id  # type: ignore[attr-defined]
        return f"{row._meta.db_table}.{self.attname}.{row.pk}.{practice_id}"

    def client_of(self, row: models.Model) -> UUID:
        client_id: UUID = attrgetter(self.client.replace("__", "."))(row)
        return client_id

    def pre_save(self, model_instance: models.Model, add: bool) -> Any:
        kept = model_instance.__dict__.get(self.attname)
        if isinstance(kept, Sealed) and not add:
            return kept.raw
        return self.seal(model_instance, getattr(model_instance, self.attname))

    def from_db_value(self, value: bytes | None, expression: Any, connection: Any) -> Any:
        if not value:
            return ""
        crypto.expect(bytes(value))
        return Sealed(bytes(value))

    def get_prep_value(self, value: Any) -> Any:
        if isinstance(value, Sealed):
            return value.raw
        if isinstance(value, str) and value:
            raise TypeError(f"{self.name} is encrypted: save the row; it cannot be searched.")
        return value or b""

    def get_db_prep_value(self, value: Any, connection: Any, prepared: bool = False) -> Any:
        return connection.Database.Binary(value if prepared else self.get_prep_value(value))


class BlindIndexField(models.BinaryField):
    """Finds what an encrypted field of the same row holds: `crypto.blind_index` of it."""

    def __init__(self, *args: Any, of: str, **kwargs: Any) -> None:
        self.of = of
        super().__init__(*args, **{"editable": False} | kwargs)

    def deconstruct(self) -> tuple[str, str, Sequence[Any], dict[str, Any]]:
        name, path, args, kwargs = super().deconstruct()
        return name, path, args, kwargs | {"of": self.of}

    def pre_save(self, model_instance: models.Model, add: bool) -> bytes:
        practice_id: UUID = model_instance.practice_id  # type: ignore[attr-defined]
        return crypto.blind_index(getattr(model_instance, self.of), practice_id=practice_id)


def encrypted_fields() -> list[EncryptedTextField]:
    """Every encrypted column of every app."""
    return [
        field
        for model in apps.get_models()
        for field in model._meta.local_fields
        if isinstance(field, EncryptedTextField)
    ]


def encrypt_column(
    app: str, model: str, name: str, *, client: str, **kwargs: Any
) -> list[Operation]:
    """Migration operations that encrypt a plain column with what it holds; they can be reversed."""
    plain = f"plain_{name}"

    def move(source: str, target: str) -> Any:
        def run(apps: Any, schema_editor: Any) -> None:
            rows = apps.get_model(app, model).objects.exclude(**{source: ""})
            way = client.rpartition("__")[0]
            with crypto.keyring():
                for row in (rows.select_related(way) if way else rows).iterator():
                    setattr(row, target, getattr(row, source))
                    row.save(update_fields=[target])
            # PostgreSQL alters no table whose foreign keys wait to be checked at the end.
            schema_editor.execute("SET CONSTRAINTS ALL IMMEDIATE")

        return run

    return [
        migrations.RenameField(model, name, plain),
        migrations.AlterField(model, plain, models.TextField(default="")),
        migrations.AddField(
            model,
            name,
            EncryptedTextField(client=client, default="", **kwargs),
            preserve_default=False,
        ),
        migrations.RunPython(move(plain, name), move(name, plain)),
        migrations.RemoveField(model, plain),
    ]
