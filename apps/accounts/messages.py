"""What a message to a member of staff says: neutral words and a link that works once."""

from uuid import UUID

from django.conf import settings
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import timezone

from apps.accounts.digest import make_stop_token
from apps.accounts.links import make_token
from apps.accounts.models import AccountLink, Digest, Membership
from apps.accounts.notices import unread
from apps.core.models import AuditEntry
from apps.core.outbox import NothingToSend, RenderedMessage


def link_to(link: AccountLink) -> str:
    """The address of an account link; whoever holds it can use it, once."""
    return settings.BASE_URL + reverse("account_link", args=[make_token(link)])


def render_invitation(subject_id: UUID) -> RenderedMessage:
    """The message that invites somebody to a practice."""
    return _render(subject_id, "invitation")


def render_password_reset(subject_id: UUID) -> RenderedMessage:
    """The message that lets somebody choose a new password."""
    return _render(subject_id, "password_reset")


def render_second_step_reset(subject_id: UUID) -> RenderedMessage:
    """The message that tells somebody that their second step was taken away.

    Raises:
        NothingToSend: the person has no address any more.
    """
    entry = AuditEntry.objects.get(id=subject_id.int)
    member = Membership.objects.select_related("practice", "user").get(id=entry.object_id)
    if member.user is None:
        raise NothingToSend
    context = {"practice": member.practice}
    return RenderedMessage(
        recipient=member.user.email,
        subject=render_to_string("messages/second_step_reset_subject.txt", context).strip(),
        body=render_to_string("messages/second_step_reset.txt", context),
        sender_name=member.practice.sender,
    )


def render_digest(digest_id: UUID) -> RenderedMessage:
    """The weekly mail: that something waits, and where it is stopped. Nobody's data.

    Raises:
        NothingToSend: nothing waits any more, or the member has left or does not want it now.
    """
    digest = Digest.objects.select_related("practice", "member__user").get(id=digest_id)
    member = digest.member
    if not (member.user and member.is_active and member.wants_digest and unread(member)):
        raise NothingToSend
    stop_url = settings.BASE_URL + reverse("stop_weekly_mail", args=[make_stop_token(member)])
    context = {
        "practice": digest.practice,
        "link": settings.BASE_URL + reverse("home"),
        "stop": stop_url,
    }
    return RenderedMessage(
        recipient=member.user.email,
        subject=render_to_string("messages/digest_subject.txt", context).strip(),
        body=render_to_string("messages/digest.txt", context),
        sender_name=digest.practice.sender,
        stop_url=stop_url,
    )


def _render(subject_id: UUID, kind: str) -> RenderedMessage:
    """
    Raises:
        NothingToSend: the link was used, withdrawn or has run out, or the person has no address.
    """
    link = (
        AccountLink.objects.open(at=timezone.now())
        .select_related("practice", "membership__user")
        .filter(id=subject_id)
        .first()
    )
    if link is None or link.membership.user is None:
        raise NothingToSend
    context = {"practice": link.practice, "link": link_to(link)}
    return RenderedMessage(
        recipient=link.membership.user.email,
        subject=render_to_string(f"messages/{kind}_subject.txt", context).strip(),
        body=render_to_string(f"messages/{kind}.txt", context),
        sender_name=link.practice.sender,
    )
