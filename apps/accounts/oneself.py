"""Nobody gives themselves access: another manager does or, where there is none, seven days pass."""

from datetime import date, timedelta

from django.utils import timezone

from apps.accounts.models import Membership, Role

ALONE_WAITS = timedelta(days=7)
"""How long somebody waits for what takes two people, where nobody else could be asked."""


class NotOneself(Exception):
    """Another manager of the practice decides this."""


def must_ask_another(member: Membership) -> bool:
    """Whether somebody else manages the practice, who decides what concerns `member`."""
    managers = Membership.objects.with_role(Role.MANAGER).filter(user__is_active=True)
    return managers.filter(practice=member.practice_id).exclude(id=member.id).exists()


def access_from(*, to: Membership, by: Membership | None) -> date:
    """The first day on which access that `by` gives `to` may hold: today, or in seven days where
    the only manager gives it to themselves. Whoever it concerns is told at once.

    Raises:
        NotOneself: another manager must give it.
    """
    today = timezone.localdate()
    if by is None or by.id != to.id:
        return today
    if must_ask_another(by):
        raise NotOneself
    return today + ALONE_WAITS
