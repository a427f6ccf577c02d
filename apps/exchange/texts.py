"""The single texts about a client, and whose each is: what one person may erase, and what two."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date, datetime
from operator import attrgetter
from typing import Any
from uuid import UUID

from django.utils import timezone

from apps.accounts.models import Membership
from apps.clients.models import Client, Treatment
from apps.core.fields import EncryptedTextField
from apps.exchange.records import (
    AUTHORS_ALONE,
    TABLES,
    Treatments,
    encrypted_columns_of,
    rows,
    way_to_client,
)

AUTHORS = AUTHORS_ALONE | {
    "clients.Treatment": "therapist_id",
    "therapy_sessions.TherapySession": "treatment.therapist_id",
    "ruptures.RuptureEpisode": "treatment.therapist_id",
    "ruptures.Worksheet": "saved_by_id",
    # A supervisor's decision saves a version too, with the therapist's notes as they were.
    "ruptures.StepNote": "worksheet.episode.treatment.therapist_id",
    "supervision.SupportMessage": "author_id",
    "endings.Move": "treatment.therapist_id",
    "endings.Ending": "closed_by_id",
}
"""Who wrote a row's texts. In other tables nobody did alone (the client's words, decisions)."""
OWED = "exchange.NoteReview"
"""Why a record holder opened notes: who wrote it owes it to others."""
RATINGS = "alliance.AllianceRating"
NOBODYS = "clients.ContactChannel"
"""Addresses are nobody's words: whoever treats the client may take them away."""


@dataclass(frozen=True)
class Text:
    """One text to erase. `said` is empty where the reader may not read it."""

    key: str
    title: str
    on: date | None
    said: str
    takes_two: bool


def text_key(field: EncryptedTextField, row_id: UUID) -> str:
    return f"{field.model._meta.label}.{field.attname}:{row_id}"


def wanted_of(field: EncryptedTextField, keys: Collection[str]) -> list[UUID]:
    """The ids of those rows of a column that `keys` name."""
    column = f"{field.model._meta.label}.{field.attname}"
    pairs = (key.partition(":") for key in keys)
    return [UUID(row_id) for name, _, row_id in pairs if name == column]


def texts_of(
    client: Client, *, treatments: Treatments, reader: Membership, as_such: bool = True
) -> list[Text]:
    """Every text of a client that can be erased; those of others without their words.

    Args:
        treatments: of what hangs on a treatment, these: nobody reads from a list of words that
            are not shown what there is in a treatment of somebody else's.
        as_such: also what is about the client as such.
    """
    found = []
    for field, mine in encrypted_columns_of(client.id):
        label = field.model._meta.label
        is_as_such = "treatment" not in str(way_to_client(field.model))
        if is_as_such and field.model is not Treatment and not as_such:
            continue
        # One query each, whatever there is: its time tells of no treatment of somebody else's.
        filled = mine.exclude(**{field.attname: ""}).values("id")
        of_these = rows(label, client, treatments=treatments).filter(id__in=filled)
        for row in of_these.select_related(*_joined(label)):
            if not row.__dict__[field.attname]:
                continue
            is_own = label == NOBODYS or _author(label, row) == reader.id
            is_read = is_own or _is_answer_to(reader, row)
            said = getattr(row, field.attname) if is_read else ""
            key = text_key(field, row.id)
            found.append(
                Text(
                    key,
                    title=f"{TABLES[label]}: {field.verbose_name}",
                    on=_day(row),
                    said=said,
                    takes_two=not is_own or label == OWED,
                )
            )
    return found


def _author(label: str, row: Any) -> UUID | None:
    author: UUID | None = attrgetter(AUTHORS[label])(row) if label in AUTHORS else None
    return author


def _joined(label: str) -> list[str]:
    """What leads to whoever wrote, or answered to, the rows of a table; read with them."""
    way = "therapy_session.treatment." if label == RATINGS else AUTHORS.get(label, "")
    return [way.rpartition(".")[0].replace(".", "__")] if "." in way else []


def _is_answer_to(reader: Membership, row: Any) -> bool:
    """Whether this is a client's comment about a session with the reader."""
    if row._meta.label != RATINGS:
        return False
    therapist_id: UUID = row.therapy_session.treatment.therapist_id
    return therapist_id == reader.id


def _day(row: Any) -> date | None:
    for name in ("answered_at", "saved_at", "written_at", "outcome_at", "decided_at", "starts_at"):
        moment: datetime | None = getattr(row, name, None)
        if moment:
            return timezone.localdate(moment)
    return None
