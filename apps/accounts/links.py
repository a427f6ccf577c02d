"""Mailed account links: asked for, used once, withdrawn; and the token that stands in one.

A token is practice and link, signed: made when sent, never stored.
It names the practice, so that the link can be looked up behind row-level security before anybody
has signed in. Expiry and use once are decided by the row.
"""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from datetime import timedelta
from typing import NamedTuple
from uuid import UUID

from django.core.signing import BadSignature, Signer
from django.utils import timezone

from apps.accounts.models import AccountLink, Membership, User
from apps.core import outbox

_signer = Signer(salt="apps.accounts.links", sep=".")


class LinkClosed(Exception):
    """The link was used, withdrawn or has run out, or the sign-in has changed since."""


class Address(NamedTuple):
    practice_id: UUID
    link_id: UUID


def make_token(link: AccountLink) -> str:
    """The token for a link, 87 characters that are safe in an address."""
    return _signer.sign(urlsafe_b64encode(link.practice_id.bytes + link.id.bytes).decode())


def read_token(token: str) -> Address | None:
    """Practice and link that a token speaks of; None where we did not make it."""
    try:
        raw = urlsafe_b64decode(_signer.unsign(token))
    except BadSignature:
        return None
    return Address(UUID(bytes=raw[:16]), UUID(bytes=raw[16:]))


def mail(member: Membership, purpose: AccountLink.Purpose, valid_for: timedelta) -> None:
    """Mail the member a new link; one of the same purpose sent before stops working."""
    withdraw(member, purpose)
    now = timezone.now()
    link = AccountLink.objects.create(
        practice_id=member.practice_id,
        membership=member,
        purpose=purpose,
        expires_at=now + valid_for,
        sessions_ended=member.user.sessions_ended if member.user else 0,
    )
    outbox.enqueue(
        kind=purpose.value, subject_id=link.id, practice_id=link.practice_id, not_before=now
    )


def withdraw(member: Membership, *purposes: AccountLink.Purpose) -> None:
    """Close the member's open links of these purposes."""
    now = timezone.now()
    AccountLink.objects.open(at=now).filter(membership=member, purpose__in=purposes).update(
        used_at=now
    )


def hold(member: Membership) -> None:
    """Let nobody take one of the member's links until this transaction ends."""
    list(AccountLink.objects.select_for_update().filter(membership=member).order_by("id"))


def use(link_id: UUID, purpose: AccountLink.Purpose) -> tuple[Membership, User]:
    """Take a link, once: of two uses at the same time one finds it closed.

    The person is returned, and asked for, as they are once nobody else changes them: PostgreSQL
    asks the whole condition again of a row that it has waited for. The link is locked first, then
    its person, as by whoever closes a place.

    Raises:
        LinkClosed: nothing was changed.
    """
    now = timezone.now()
    link = (
        AccountLink.objects.open(at=now)
        .select_for_update(of=("self", "membership__user"), no_key=True)
        .select_related("membership__user")
        .filter(id=link_id, purpose=purpose, membership__user__isnull=False)
        .first()
    )
    if link is None or link.membership.user is None:
        raise LinkClosed
    link.used_at = now
    link.save(update_fields=["used_at"])
    return link.membership, link.membership.user
