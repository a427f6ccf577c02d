"""What a practice's record holder does: review notes of who has left, take all records away."""

import tempfile
import zipfile
from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import IO
from uuid import UUID

from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _

from apps.accounts.models import Membership
from apps.accounts.notices import Said, tell
from apps.accounts.oneself import ALONE_WAITS, here_lately
from apps.clients.models import Client
from apps.core import audit
from apps.core.downloads import csv_text
from apps.exchange.models import NoteReview
from apps.exchange.records import TABLES, StaffText, Treatments, rows
from apps.exchange.records_files import access_files
from apps.therapy_sessions.models import ProcessNote

NOTES = "therapy_sessions.ProcessNote"


def clients_with_left_notes(holder: Membership) -> "QuerySet[Client]":
    """Clients the holder answers for of whom somebody who has left wrote process notes.

    A place that was closed less than `ALONE_WAITS` ago opens none: who is closed out to be read,
    and let in again, notices.
    """
    left = _by_who_has_left(at=timezone.now())
    notes = ProcessNote.objects.filter(left, practice=holder.practice_id)
    of_whom = notes.values("therapy_session__treatment__client")
    return Client.objects.kept_by(holder).filter(id__in=of_whom).order_by("code")


def opening_later(holder: Membership) -> list[tuple[Membership, datetime]]:
    """Authors of process notes who left less than `ALONE_WAITS` ago, and from when theirs open."""
    if holder.practice.record_holder_id != holder.id:
        return []
    lately = Membership.objects.colleagues_of(holder).filter(
        is_active=False,
        left_at__gt=timezone.now() - ALONE_WAITS,
        id__in=ProcessNote.objects.filter(practice=holder.practice_id).values("author"),
    )
    return [(each, each.left_at + ALONE_WAITS) for each in lately.order_by("name") if each.left_at]


def _by_who_has_left(*, at: datetime) -> Q:
    """Process notes whose author's place has been closed since `ALONE_WAITS` before `at`."""
    long_ago = Q(author__left_at=None) | Q(author__left_at__lte=at - ALONE_WAITS)
    return Q(author__is_active=False) & long_ago


@transaction.atomic
def open_left_notes(*, client: Client, reason: str, by: Membership) -> NoteReview:
    """Say why the notes of who has left are opened, before they are.

    The first time, everybody of the practice is told, and who wrote them, should they come back.
    """
    review = NoteReview.objects.create(
        practice_id=client.practice_id,
        client=client,
        reviewed_by=by,
        reason=reason,
        reviewed_at=timezone.now(),
    )
    audit.record("open notes of who has left", review, client_id=client.id, by=by)
    left = _by_who_has_left(at=review.reviewed_at)
    notes = rows(NOTES, client, treatments=None).filter(left)
    colleagues = Membership.objects.colleagues_of(by)
    for author in colleagues.filter(id__in=notes.values("author")):
        for member in colleagues.filter(here_lately() | Q(id=author.id)):
            tell(member=member, kind="left_notes_opened", subject=author, mark=str(author.left_at))
    return review


def say_left_notes_opened(ids: Collection[UUID], member: Membership) -> dict[UUID, Said]:
    """Whose process notes the record holder opened: the renderer of that notice."""
    return {
        author.id: Said(
            _(
                "Process notes of %(who)s, whose place was closed, were opened by the record "
                "holder of the practice, who gave a reason."
            )
            % {"who": author.name}
        )
        for author in Membership.objects.colleagues_of(member).filter(id__in=ids)
    }


OPEN_FOR = timedelta(days=1)


def newest_review(client: Client, *, by: Membership) -> NoteReview | None:
    """The one that is open: whoever reads on another day says anew why."""
    since = timezone.now() - OPEN_FOR
    mine = NoteReview.objects.filter(client=client, reviewed_by=by, reviewed_at__gt=since)
    return mine.order_by("reviewed_at").last()


def left_notes(review: NoteReview, *, treatments: Treatments) -> list[StaffText]:
    """The notes on `treatments` that a review opens: of who had left by then, and nobody later."""
    left = _by_who_has_left(at=review.reviewed_at)
    notes = rows(NOTES, review.client, treatments=treatments).filter(left)
    title = str(TABLES[NOTES])
    return [StaffText(f"{note.id}.text", title, note.text, is_note=True) for note in notes]


def clients_of_all_records(holder: Membership) -> list[Client]:
    """Everybody of the practice but who was erased, by code."""
    return list(Client.objects.filter(practice=holder.practice_id, erased_at=None).order_by("code"))


def all_records(clients: Sequence[Client]) -> IO[bytes]:
    """The access export of each client, in numbered folders with an index of codes, as one zip.

    Texts of staff are withheld in it, as nobody reviewed them: they go out client by client. The
    records of one client are in memory at a time. The file has no name: no other program finds
    it, and it is gone once it is closed.
    """
    made = tempfile.TemporaryFile()  # noqa: SIM115 (whoever sends it closes it)
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        index = [(f"{number:04}", each.code) for number, each in enumerate(clients, 1)]
        archive.writestr("index.csv", csv_text([("folder", "client"), *index]))
        for client, (folder, _code) in zip(clients, index, strict=True):
            for name, text in access_files(client, kept=(), treatments=None).items():
                archive.writestr(f"{folder}/{name}", text)
    made.seek(0)
    return made
