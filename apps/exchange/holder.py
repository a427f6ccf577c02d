"""What a practice's record holder does: review notes of who has left, take all records away."""

from collections.abc import Iterator

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from apps.accounts.models import Membership, Practice
from apps.clients.models import Client
from apps.core import audit
from apps.core.downloads import csv_text
from apps.exchange.models import NoteReview
from apps.exchange.records import TABLES, WRITTEN_BY_STAFF, StaffText, rows
from apps.exchange.records_files import access_files, zipped
from apps.therapy_sessions.models import ProcessNote

NOTES = "therapy_sessions.ProcessNote"


def clients_with_left_notes(holder: Membership) -> "QuerySet[Client]":
    """Clients of whom somebody who has left wrote process notes; nobody, to who is no holder."""
    if holder.practice.record_holder_id != holder.id:
        return Client.objects.none()
    notes = ProcessNote.objects.filter(practice=holder.practice_id, author__is_active=False)
    return Client.objects.filter(
        id__in=notes.values("therapy_session__treatment__client")
    ).order_by("code")


@transaction.atomic
def open_left_notes(*, client: Client, reason: str, by: Membership) -> NoteReview:
    """Say why the notes of who has left are opened, before they are."""
    review = NoteReview.objects.create(
        practice_id=client.practice_id,
        client=client,
        reviewed_by=by,
        reason=reason,
        reviewed_at=timezone.now(),
    )
    audit.record("open notes of who has left", review, client_id=client.id, by=by)
    return review


def newest_review(client: Client, *, by: Membership) -> NoteReview | None:
    mine = NoteReview.objects.filter(client=client, reviewed_by=by)
    return mine.order_by("reviewed_at").last()


def left_notes(review: NoteReview) -> list[StaffText]:
    """The notes that a review opens: none of an author who is still here."""
    notes = rows(NOTES, review.client).filter(author__is_active=False)
    title = str(TABLES[NOTES])
    return [StaffText(f"{note.id}.text", title, note.text, is_note=True) for note in notes]


def all_records(practice: Practice) -> tuple[bytes, list[Client]]:
    """Each client's access export, in numbered folders with an index of codes, as one zip.

    Texts of staff are in it, process notes are not: they need their author, or a review. It is put
    together in memory and written nowhere. Also returns whose records are in it.
    """
    clients = list(Client.objects.filter(practice=practice, erased_at=None).order_by("code"))
    files = {"index.csv": csv_text(_index(clients))}
    for number, client in enumerate(clients, 1):
        for name, text in access_files(client, kept=_staff_keys(client)).items():
            files[f"{number:04}/{name}"] = text
    return zipped(files), clients


def _index(clients: list[Client]) -> Iterator[tuple[str, str]]:
    yield "folder", "client"
    for number, client in enumerate(clients, 1):
        yield f"{number:04}", client.code


def _staff_keys(client: Client) -> list[str]:
    """Keys of all texts of staff but process notes, which stay closed."""
    columns = [name.rsplit(".", 1) for name in WRITTEN_BY_STAFF if not name.startswith(NOTES)]
    return [
        f"{row_id}.{name}"
        for label, name in columns
        for row_id in rows(label, client).order_by().values_list("id", flat=True)
    ]
