"""Whoever decides for a practice waits for their turn, and is asked again once it has come."""

from django.core.exceptions import PermissionDenied

from apps.accounts.models import Membership, Practice


def ask_again(member: Membership) -> None:
    """Raises PermissionDenied where the member's roles or place are others than as they were read,
    their sessions have ended, or the records are theirs no more: something was waited for since."""
    same = Membership.objects.filter(id=member.id, roles=member.roles, is_active=True)
    if member.user:
        same = same.filter(user__sessions_ended=member.user.sessions_ended)
    if member.practice.record_holder_id == member.id:
        same = same.filter(practice__record_holder=member.id)
    if not same.exists():
        raise PermissionDenied


def hold(practice: Practice) -> None:
    """Read the practice as it is now; whoever else decides for it, or joins it, waits for the end
    of the transaction."""
    practice.refresh_from_db(from_queryset=Practice.objects.select_for_update(no_key=True))


def hold_practice(member: Membership) -> None:
    """`hold` for what a manager sends. Every form of theirs begins with it (`permissions.require`):
    what it is about, a place, an invitation or a supervision, is read after it.

    Raises:
        PermissionDenied: the member lost place, roles or session while they waited.
    """
    hold(member.practice)
    ask_again(member)
