"""What a client may ask for, as verbs: erase, restrict, hold."""

from collections.abc import Collection
from datetime import datetime, timedelta
from uuid import UUID

from django.db import transaction
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _

from apps.accounts.models import Membership
from apps.accounts.notices import Said, tell
from apps.clients.models import Client, ContactChannel, ErasureRequest, Treatment
from apps.core import audit
from apps.core.models import ClientKey
from apps.exchange.records import encrypted_columns_of
from apps.feedback.lifecycle import revoke_links
from apps.feedback.services import practice_questionnaire
from apps.ruptures.services import screen_treatment
from apps.therapy_sessions.models import ProcessNote, TherapySession

ALONE_WAITS = timedelta(days=7)
ERASABLE = {
    "contact": ("clients.ContactChannel",),
    "comments": ("alliance.AllianceRating",),
    "process_notes": ("therapy_sessions.ProcessNote",),
    "staff_texts": (
        "clients.Client",
        "therapy_sessions.TherapySession",
        "ruptures.RuptureEpisode",
        "ruptures.Worksheet",
        "ruptures.StepNote",
        "supervision.SupportMessage",
        "supervision.Decision",
        "endings.Move",
        "endings.Ending",
    ),
}
"""What can be erased by itself: the tables whose texts go."""


class OnHold(Exception):
    """A legal hold stands: nothing of this client may be erased."""


class NotYet(Exception):
    """Somebody else must confirm or, in a practice of one, seven days must pass: `until`."""

    def __init__(self, until: datetime | None = None) -> None:
        super().__init__()
        self.until = until


@transaction.atomic
def restrict(*, client: Client, by: Membership) -> None:
    """Stop all but keeping: links end, nothing is sent or screened. Twice equals once."""
    if client.restricted_at:
        return
    client.restricted_at = timezone.now()
    client.save(update_fields=["restricted_at"])
    revoke_links(client=client, by=by)
    audit.record("restrict processing", client, client_id=client.id, by=by)


@transaction.atomic
def lift_restriction(*, client: Client, by: Membership) -> None:
    """Process again, and screen what came meanwhile."""
    if not client.restricted_at:
        return
    client.restricted_at = None
    client.save(update_fields=["restricted_at"])
    questionnaire = practice_questionnaire(by.practice)
    for treatment in Treatment.objects.filter(client=client):
        first = TherapySession.objects.attended().filter(treatment=treatment).first()
        if first:
            screen_treatment(treatment=treatment, questionnaire=questionnaire, since=first, at=None)
    audit.record("lift restriction", client, client_id=client.id, by=by)


@transaction.atomic
def set_hold(*, client: Client, held: bool, by: Membership) -> None:
    """Set or lift the legal hold under which nothing of the client is erased."""
    if held == bool(client.held_at):
        return
    client.held_at = timezone.now() if held else None
    client.save(update_fields=["held_at"])
    audit.record(
        "set legal hold" if held else "lift legal hold", client, client_id=client.id, by=by
    )


@transaction.atomic
def erase_fields(*, client: Client, what: list[str], by: Membership) -> int:
    """Erase some texts of a client for good; returns how many there were.

    Args:
        what: keys of `ERASABLE`. Process notes are those of `by`: others are not theirs to erase.

    Raises:
        OnHold: nothing is erased.
    """
    if client.held_at:
        raise OnHold
    erased = 0
    labels = {label for key in what for label in ERASABLE[key]}
    for field, rows in encrypted_columns_of(client.id):
        label = field.model._meta.label
        if label not in labels:
            continue
        if issubclass(field.model, ContactChannel):
            revoke_links(client=client, by=by)
            erased += rows.delete()[0]
        elif issubclass(field.model, ProcessNote):
            erased += rows.filter(author=by).delete()[0]
        else:
            erased += field.erase(rows)
    audit.record("erase texts", client, client_id=client.id, by=by)
    return erased


@transaction.atomic
def request_erasure(*, client: Client, by: Membership) -> ErasureRequest:
    """Ask that the whole client is erased; somebody else confirms it. Twice equals once.

    Raises:
        OnHold: nothing may be erased.
    """
    if client.held_at:
        raise OnHold
    request, created = ErasureRequest.objects.get_or_create(
        client=client,
        closed_at=None,
        defaults={
            "practice_id": client.practice_id,
            "requested_by": by,
            "requested_at": timezone.now(),
        },
    )
    if created:
        audit.record("request erasure", request, client_id=client.id, by=by)
        for colleague in (
            Membership.objects.colleagues_of(by).filter(is_active=True).exclude(id=by.id)
        ):
            tell(member=colleague, kind="erasure_requested", subject=request)
    return request


@transaction.atomic
def withdraw_erasure(*, request: ErasureRequest, by: Membership) -> None:
    """Take the request back; the client stays."""
    request.closed_by, request.closed_at = by, timezone.now()
    request.save(update_fields=["closed_by", "closed_at"])
    audit.record("withdraw erasure", request, client_id=request.client_id, by=by)


def may_be_confirmed_from(request: ErasureRequest, *, by: Membership) -> datetime | None:
    """From when `by` may carry the erasure out; None: never, somebody else must."""
    if request.requested_by_id != by.id:
        return request.requested_at
    others = Membership.objects.filter(practice=request.practice_id, is_active=True).exclude(
        id=by.id
    )
    return None if others.exists() else request.requested_at + ALONE_WAITS


@transaction.atomic
def confirm_erasure(*, request: ErasureRequest, by: Membership) -> None:
    """Erase the client: the second person's word, or the only person's after seven days.

    Raises:
        NotYet: somebody else must confirm, or the seven days are not over.
        OnHold: a legal hold was set meanwhile.
    """
    moment = may_be_confirmed_from(request, by=by)
    if moment is None or timezone.now() < moment:
        raise NotYet(moment)
    client = Client.objects.select_for_update().get(id=request.client_id)
    if client.held_at:
        raise OnHold
    _erase(client, by)
    request.closed_by, request.closed_at = by, timezone.now()
    request.save(update_fields=["closed_by", "closed_at"])
    audit.record("erase client", client, client_id=client.id, by=by)


def _erase(client: Client, by: Membership) -> None:
    """Destroy the key and take away what tells who it was; ratings stay, as nobody's.

    What the key sealed, here or in an older dump, is unreadable from then on. Code and initials
    are replaced, channels deleted, treatments ended; figures (ratings, dates, screenings) stay, so
    that a practice's counts do not change afterwards.
    """
    revoke_links(client=client, by=by)
    for field, rows in encrypted_columns_of(client.id):
        if issubclass(field.model, ContactChannel | ProcessNote):
            rows.delete()
        else:
            field.erase(rows)
    ClientKey.objects.filter(practice_id=client.practice_id, client_id=client.id).delete()
    today = timezone.localdate()
    TherapySession.objects.planned().filter(
        treatment__client=client, feedback_requests=None, process_notes=None
    ).delete()
    for treatment in Treatment.objects.current(on=today).filter(client=client):
        treatment.starts_on, treatment.ends_on = min(today, treatment.starts_on), today
        treatment.save(update_fields=["starts_on", "ends_on"])
    client.code, client.initials = f"erased-{_short(client.id)}", "–"
    client.consent, client.discussed_on = "", None
    client.pause_review_on = None
    client.erased_at = client.restricted_at = timezone.now()
    client.save(
        update_fields=[
            "code", "initials", "consent", "discussed_on", "pause_review_on", "erased_at",
            "restricted_at",
        ]
    )  # fmt: skip


def _short(client_id: UUID) -> str:
    return client_id.hex[:12]


def say_requested(subject_ids: Collection[UUID], member: Membership) -> dict[UUID, Said]:
    """Notices to colleagues that a request waits for a second person."""
    waiting = ErasureRequest.objects.in_practice_of(member).filter(
        id__in=subject_ids, closed_at=None
    )
    return {
        each.id: Said(
            text=_("%(code)s is to be erased for good: a second person has to confirm it.")
            % {"code": each.client.code},
            url=reverse("erasures"),
            client_id=each.client_id,
        )
        for each in waiting
    }
