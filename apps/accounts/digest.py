"""The weekly mail for members who want it: that something waits, and not what."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from datetime import datetime, time
from uuid import UUID
from zoneinfo import ZoneInfo

from django.core.signing import BadSignature, Signer
from django.db import connection, transaction

from apps.accounts import notices
from apps.accounts.models import Digest, Membership, Practice
from apps.core import audit, outbox, tenancy

KIND = "digest"
SIGNER = Signer(salt="weekly mail")
MONDAY = 0
NOT_BEFORE = time(7)
"""By the practice's clock."""


@transaction.atomic
def set_digest(*, member: Membership, wanted: bool, by: Membership) -> None:
    """Note whether the member wants the weekly mail; nobody has it without having asked."""
    member.wants_digest = wanted
    member.save(update_fields=["wants_digest"])
    audit.record("set weekly mail", member, by=by)


def make_stop_token(member: Membership) -> str:
    """What the mail's way out carries: practice and member, signed. It opens nothing, and turns off
    one mail; it lives as long as the key."""
    ids = member.practice_id.bytes + member.id.bytes
    return SIGNER.sign(urlsafe_b64encode(ids).rstrip(b"=").decode())


def read_stop_token(token: str) -> tuple[UUID, UUID] | None:
    """The ids of practice and member that a token of ours speaks of; None for any other."""
    try:
        ids = urlsafe_b64decode(SIGNER.unsign(token) + "==")
    except BadSignature:
        return None
    return UUID(bytes=ids[:16]), UUID(bytes=ids[16:])


def stop_digest(*, member_id: UUID) -> None:
    """Turn the mail off for whoever holds its link. Twice equals once."""
    for member in Membership.objects.filter(id=member_id, wants_digest=True):
        set_digest(member=member, wanted=False, by=member)


def send_digests(*, at: datetime) -> None:
    """Decide about this week's mail in every practice where it is Monday morning or later that day.

    It is decided once per member and week, at the first chance: where nothing waits then, nothing
    is sent that week. Safe to run as often as one likes.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT practices_with_digests()")
        practice_ids = [row[0] for row in cursor.fetchall()]
    for practice_id in practice_ids:
        with tenancy.one_of_many(practice_id):
            send_digests_of(Practice.objects.get(id=practice_id), at=at)


@transaction.atomic
def send_digests_of(practice: Practice, *, at: datetime) -> None:
    """The same for one practice."""
    here = at.astimezone(ZoneInfo(practice.time_zone))
    if here.weekday() != MONDAY or here.time() < NOT_BEFORE:
        return
    for member in Membership.objects.filter(practice=practice, is_active=True, wants_digest=True):
        digest, is_new = Digest.objects.get_or_create(
            practice=practice, member=member, week_of=here.date()
        )
        if is_new and notices.unread(member):
            outbox.enqueue(kind=KIND, subject_id=digest.id, practice_id=practice.id, not_before=at)
