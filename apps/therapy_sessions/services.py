"""Writes about therapy sessions: planning them, and logging what happened."""

from datetime import datetime, timedelta
from typing import Any

from django.db import IntegrityError, transaction
from django.utils import timezone
from django.utils.translation import gettext_lazy

from apps.accounts.models import Membership
from apps.clients.models import Client, Treatment
from apps.clients.services import take_turn
from apps.core import audit
from apps.therapy_sessions.models import ProcessNote, TherapySession

OF_ANOTHER = gettext_lazy(
    "On that day another therapist treated the client: that session is theirs."
)


class StartTaken(Exception):
    """The treatment has another session at that time; nothing was changed."""


class OfAnother(Exception):
    """Another therapist treated the client on that day; nothing was stored."""


class NoteChanged(Exception):
    """Another window saved the note meanwhile: nothing is stored; `latest` is what it saved."""

    def __init__(self, latest: ProcessNote | None) -> None:
        super().__init__()
        self.latest = latest


class NoteHeld(Exception):
    """The client is under a legal hold: what the note says stays; more can be added below."""


class AlreadyLogged(Exception):
    """This session was logged before: what was kept then stays as it is."""


@transaction.atomic
def plan_therapy_sessions(
    *,
    treatment: Treatment,
    first_starts_at: datetime,
    duration_min: int,
    every_weeks: int = 0,
    count: int = 1,
    by: Membership | None,
) -> list[TherapySession]:
    """Plan `count` sessions, `every_weeks` apart, at the same time of day by the local clock.

    `first_starts_at` carries the practice's time zone, so that a change to summer time moves no
    session. A session that is planned at the same time already stays as it is.

    Raises:
        OfAnother: nothing is stored.
    """
    wall_clock = first_starts_at.replace(tzinfo=None)
    starts = [
        (wall_clock + timedelta(weeks=every_weeks * n)).replace(tzinfo=first_starts_at.tzinfo)
        for n in range(count)
    ]
    for starts_at in starts:
        _refuse_of_another(treatment, starts_at)
    planned = TherapySession.objects.bulk_create(
        [
            TherapySession(
                practice_id=treatment.practice_id,
                treatment=treatment,
                starts_at=starts_at,
                duration_min=duration_min,
            )
            for starts_at in starts
        ],
        ignore_conflicts=True,
    )
    audit.record("plan therapy sessions", treatment, client_id=treatment.client_id, by=by)
    return planned


@transaction.atomic
def call_off_planned(*, treatment: Treatment, since: datetime, by: Membership | None) -> int:
    """Take the sessions planned from `since` on out of the diary; returns how many there were.

    They were plans: nothing happened, so nothing about them is kept but the audit row. One about
    which something is written stays.
    """
    planned = TherapySession.objects.unwritten().filter(treatment=treatment, starts_at__gte=since)
    count = planned.count()
    if count:
        planned.delete()
        audit.record("call off planned sessions", treatment, client_id=treatment.client_id, by=by)
    return count


@transaction.atomic
def pass_on_planned(*, treatment: Treatment, to: Treatment, since: datetime) -> None:
    """Let the sessions planned from `since` on go along to the treatment that follows.

    One about which something is written stays, with what is written, as history of the treatment
    that ends; in its place one is planned that nobody wrote about. None is passed on to a time at
    which `to` has a session, or has ended.
    """
    planned = TherapySession.objects.planned().filter(treatment=treatment, starts_at__gte=since)
    planned = planned.exclude(starts_at__in=to.therapy_sessions.values("starts_at"))
    if to.ends_at:
        planned = planned.filter(starts_at__lt=to.ends_at)
    planned.unwritten().update(treatment=to)
    TherapySession.objects.bulk_create(
        [
            TherapySession(
                practice_id=to.practice_id,
                treatment=to,
                starts_at=written.starts_at,
                duration_min=written.duration_min,
            )
            for written in planned
        ]
    )


@transaction.atomic
def log_therapy_session(
    *,
    treatment: Treatment,
    starts_at: datetime,
    duration_min: int,
    attendance: str,
    own_view: dict[str, int | None],
    tension: int | None = None,
    tension_resolved: int | None = None,
    not_asked_reason: str = "",
    not_asked_note: str = "",
    process_note: str = "",
    planned: TherapySession | None = None,
    by: Membership | None,
) -> TherapySession:
    """Record what happened: fills `planned` (which may have moved), else makes a new row.

    A planned session that was taken out of the diary meanwhile took place after all. One that has
    begun is none that is to come: it stays planned.

    Args:
        own_view: the therapist's own view, keyed by `TherapySession.OWN_VIEW`, 0–10 or None.
        tension: 0–4, None where untouched; `tension_resolved` only with tension of 1 or more.
        process_note: for the eyes of `by` alone; empty: none.

    Raises:
        AlreadyLogged: `planned` is logged by now, or the treatment has another session at that
            time; nothing is stored.
        OfAnother: nothing is stored.
        DoesNotExist: `planned` went to another treatment meanwhile; nothing is stored.
    """
    _refuse_of_another(treatment, starts_at)
    session = None
    if planned:
        # A form sent twice at once: the second waits here, and finds the session logged.
        locked = TherapySession.objects.select_for_update(of=("self",))
        session = locked.filter(pk=planned.pk).first()
        if session and session.treatment_id != treatment.id:
            raise TherapySession.DoesNotExist
    if session and session.attendance:
        raise AlreadyLogged
    if session is None or session.starts_at <= timezone.now() < starts_at:
        session = TherapySession(practice_id=treatment.practice_id, treatment=treatment)
    session.starts_at = starts_at
    session.duration_min = duration_min
    session.attendance = attendance
    session.logged_at = timezone.now()
    session.tension = tension
    session.tension_resolved = tension_resolved
    session.not_asked_reason = not_asked_reason
    session.not_asked_note = not_asked_note
    for field in TherapySession.OWN_VIEW:
        setattr(session, field, own_view.get(field))
    try:
        with transaction.atomic():
            session.save()
    except IntegrityError as error:
        if "therapy_session_one_per_start" not in str(error):
            raise
        raise AlreadyLogged from error
    audit.record("log therapy session", session, client_id=treatment.client_id, by=by)
    if process_note and by:
        save_process_note(therapy_session=session, text=process_note, by=by)
    return session


@transaction.atomic
def save_process_note(
    *, therapy_session: TherapySession, text: str, version: str | None = None, by: Membership
) -> None:
    """Keep the author's own note about a session in place of an earlier one; empty deletes it.

    Args:
        version: `ProcessNote.version` of what the writer had before them; '' where there was
            nothing. None: they had no page of the note before them, and the text is added below.

    Raises:
        NoteChanged: what was saved after that version says something else.
        NoteHeld: the client is under a legal hold, and the text does not begin as the note does.
    """
    # Of two saves at once the second finds the first's note.
    take_turn(by=by, treatments__therapy_sessions=therapy_session)
    client = Client.objects.get(treatments__therapy_sessions=therapy_session)
    note = ProcessNote.objects.filter(therapy_session=therapy_session, author=by).first()
    before = note.text if note else ""
    if text == before:
        return
    if version is None and before:
        text = f"{before}\n\n{text}".strip()
    elif version is not None and version != (note.version if note else ""):
        raise NoteChanged(note)
    if client.held_at and not _begins(text, as_in=before):
        raise NoteHeld
    if text:
        note = note or ProcessNote(
            practice_id=therapy_session.practice_id, therapy_session=therapy_session, author=by
        )
        note.text, note.saved_at = text, timezone.now()
        note.save()
    elif note:
        note.delete()
    client_id = therapy_session.treatment.client_id
    audit.record("save process note", therapy_session, client_id=client_id, by=by)


def _begins(text: str, *, as_in: str) -> bool:
    """Whether a text begins with the words of another, whatever its line ends."""
    words = as_in.split()
    return text.split()[: len(words)] == words


@transaction.atomic
def change_therapy_session(
    *, session: TherapySession, by: Membership, **values: Any
) -> TherapySession:
    """Move a planned session, or correct a logged one.

    Args:
        values: starts_at, duration_min, and of a logged session attendance, tension,
            tension_resolved and the fields of `TherapySession.OWN_VIEW`.

    Raises:
        StartTaken, OfAnother: nothing is stored.
        DoesNotExist: it was cancelled, logged or undone meanwhile; nothing is stored.
    """
    as_before = TherapySession.objects.filter(attendance=session.attendance)
    session = as_before.select_for_update(of=("self",)).get(pk=session.pk)
    if values.get("starts_at", session.starts_at) != session.starts_at:
        _refuse_of_another(session.treatment, values["starts_at"])
    for name, value in values.items():
        setattr(session, name, value)
    try:
        with transaction.atomic():
            session.save()
    except IntegrityError as error:
        if "therapy_session_one_per_start" not in str(error):
            raise
        raise StartTaken from error
    audit.record("change therapy session", session, client_id=session.treatment.client_id, by=by)
    return session


def _refuse_of_another(treatment: Treatment, starts_at: datetime) -> None:
    """Or the client would be asked about a colleague's session, and the answer read by this one."""
    if treatment.was_anothers(timezone.localdate(starts_at)):
        raise OfAnother(OF_ANOTHER)


@transaction.atomic
def cancel_planned_session(*, session: TherapySession, by: Membership) -> None:
    """Take a planned session out of the diary; what is written about it keeps it (ProtectedError).

    One that was cancelled late, or by the therapist, is logged as such instead.
    """
    audit.record("cancel planned session", session, client_id=session.treatment.client_id, by=by)
    TherapySession.objects.planned().get(pk=session.pk).delete()
