"""What a client may ask for, as verbs: erase, restrict, hold."""

from collections.abc import Collection
from uuid import UUID

from django.db import transaction
from django.db.models import QuerySet
from django.shortcuts import get_object_or_404
from django.utils import timezone

from apps.accounts.models import Membership
from apps.accounts.oneself import NotOneself, must_ask_another, refuse_newcomer
from apps.clients.models import Client, ContactChannel, Treatment
from apps.clients.services import (
    ERASED_PREFIX,
    code_marks,
    take_address_away,
    wait_for_turn,
)
from apps.core import audit, crypto
from apps.endings.models import Move
from apps.exchange.records import encrypted_columns_of
from apps.exchange.texts import wanted_of
from apps.feedback.lifecycle import revoke_links
from apps.feedback.services import practice_questionnaire
from apps.ruptures.models import RuptureEpisode
from apps.ruptures.services import record_outcome
from apps.ruptures.transitions import screen_what_waited, show_what_waited
from apps.therapy_sessions.models import ProcessNote, TherapySession


class OnHold(Exception):
    """A legal hold stands: nothing of this client may be erased."""


@transaction.atomic
def restrict(*, client: Client, by: Membership) -> None:
    """Stop all but keeping: links end, nothing is sent or screened, and time shows nobody more.
    Twice equals once."""
    if client.restricted_at:
        return
    # What supervisors see by now, though the beat has not come by yet, they go on seeing.
    theirs = RuptureEpisode.objects.filter(treatment__client=client)
    show_what_waited(theirs, at=timezone.now())
    client.restricted_at = timezone.now()
    client.save(update_fields=["restricted_at"])
    revoke_links(client=client, by=by)
    audit.record("restrict processing", client, client_id=client.id, by=by)


@transaction.atomic
def lift_restriction(*, client: Client, by: Membership) -> None:
    """Process again, and screen what came meanwhile: it concerns people from now on, but for what
    came of a treatment that has ended, or that files alone tell of, which is history."""
    if not client.restricted_at:
        return
    client.restricted_at = None
    client.save(update_fields=["restricted_at"])
    questionnaire = practice_questionnaire(by.practice)
    for treatment in Treatment.objects.filter(client=client):
        # Also one that is no step any more: a correction waited, too.
        logged = treatment.therapy_sessions.exclude(attendance="")
        if first := logged.order_by("starts_at", "id").first():
            screen_what_waited(treatment=treatment, questionnaire=questionnaire, since=first)
    audit.record("lift restriction", client, client_id=client.id, by=by)


@transaction.atomic
def set_hold(*, client: Client, held: bool, by: Membership) -> None:
    """Set or lift the legal hold under which nothing of the client is erased.

    Reasons of pauses that have ended, which stand on no page and were kept for the hold alone, go
    with it. Process notes stay: their authors have them before them.

    Raises:
        NotOneself: `by` treats the client, or did, and another manager could decide.
        TooNew: it would be lifted.
        Http404: the client was erased meanwhile.
    """
    wait_for_turn(by=by, id=client.id)
    client = get_object_or_404(Client, id=client.id, erased_at=None)
    treats = Treatment.objects.filter(client=client, therapist=by).exists()
    if treats and must_ask_another(by):
        raise NotOneself
    if held == bool(client.held_at):
        return
    if not held:
        refuse_newcomer(by)
    client.held_at = timezone.now() if held else None
    client.save(update_fields=["held_at"])
    if not held:
        client.treatments.update(ended_pause_reasons="")
    audit.record(
        "set legal hold" if held else "lift legal hold", client, client_id=client.id, by=by
    )


def clients_on_hold(member: Membership) -> "QuerySet[Client]":
    """Of the member's practice, to be shown by code only."""
    held = Client.objects.filter(practice=member.practice_id, held_at__isnull=False)
    return held.order_by("code")


def refuse_on_hold(client: Client) -> None:
    """Raises OnHold while a legal hold stands; the client's row stays locked."""
    wait_for_turn(id=client.id)
    if Client.objects.get(id=client.id).held_at:
        raise OnHold


@transaction.atomic
def erase_texts(*, client: Client, keys: Collection[str], by: Membership) -> int:
    """Erase single texts of a client for good; returns how many there were.

    Args:
        keys: as `texts.text_key` makes them. Those of other clients, or gone, are passed over.

    Raises:
        OnHold: nothing is erased.
    """
    refuse_on_hold(client)
    erased = 0
    for field, rows in encrypted_columns_of(client.id):
        wanted = wanted_of(field, keys)
        if not wanted:
            continue
        if issubclass(field.model, ContactChannel):
            revoke_links(client=client, by=by)
            for channel in rows.filter(id__in=wanted):
                take_address_away(channel)
                erased += 1
        elif issubclass(field.model, ProcessNote):
            erased += rows.filter(id__in=wanted).delete()[0]
        else:
            erased += field.erase(rows.filter(id__in=wanted))
    audit.record("erase texts", client, client_id=client.id, by=by)
    return erased


@transaction.atomic
def erase_client(*, client: Client, by: Membership) -> None:
    """Destroy the key and take away what tells who it was; ratings stay, as nobody's.

    What the key sealed, here or in an older dump, is unreadable from then on. Code and initials
    are replaced (a keyed hash tells the code again), approach, place, language and wishes emptied,
    channels and what went where deleted, treatments and open episodes ended, and whatever else is
    asked for closed; figures (ratings, dates, screenings) stay, so that a practice's counts do not
    change afterwards.

    Raises:
        OnHold: nothing is erased.
    """
    refuse_on_hold(client)
    client.refresh_from_db()
    revoke_links(client=client, by=by)
    for episode in RuptureEpisode.objects.open().filter(treatment__client=client):
        record_outcome(episode=episode, outcome=RuptureEpisode.Outcome.ENDED_UNREPAIRED, by=by)
    for field, rows in encrypted_columns_of(client.id):
        if issubclass(field.model, ContactChannel | ProcessNote):
            rows.delete()
        else:
            field.erase(rows)
    client.reached_mailboxes.all().delete()
    crypto.destroy_client_keys(practice_id=client.practice_id, client_id=client.id)
    today = timezone.localdate()
    TherapySession.objects.unwritten().filter(treatment__client=client).delete()
    for treatment in Treatment.objects.not_ended(on=today).filter(client=client):
        treatment.starts_on, treatment.ends_on = min(today, treatment.starts_on), today
        treatment.save(update_fields=["starts_on", "ends_on"])
    Treatment.objects.filter(client=client).update(approach="")
    Move.objects.filter(treatment__client=client).update(wishes=[], language="")
    asked = client.two_person_requests.filter(closed_at=None)
    asked.update(closed_at=timezone.now(), closed_by=by, texts=[])
    practice = client.practice
    client.country, client.time_zone = practice.country, practice.time_zone
    client.language = Client._meta.get_field("language").get_default()
    client.erased_code = code_marks(client.code, practice_id=client.practice_id)
    client.code, client.initials = f"{ERASED_PREFIX}{_short(client.id)}", "–"
    client.consent, client.discussed_on = "", None
    client.pause_review_on = client.paused_in = None
    client.erased_at = client.restricted_at = timezone.now()
    client.save(
        update_fields=[
            "code", "initials", "country", "time_zone", "language", "consent", "discussed_on",
            "pause_review_on", "paused_in", "erased_at", "restricted_at", "erased_code",
        ]
    )  # fmt: skip
    audit.record("erase client", client, client_id=client.id, by=by)


def _short(client_id: UUID) -> str:
    return client_id.hex[:12]
