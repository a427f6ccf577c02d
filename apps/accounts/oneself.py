"""Nobody gives themselves access: another manager does or, where there is none, seven days pass."""

from datetime import date, timedelta

from django.db.models import Q
from django.utils import timezone

from apps.accounts.models import Membership, Role

ALONE_WAITS = timedelta(days=7)
"""How long somebody waits for what takes two people, where nobody else could be asked."""


class NotOneself(Exception):
    """Another manager of the practice decides this."""


def settled() -> Q:
    """Members who joined at least `ALONE_WAITS` ago: somebody invited just now decides nothing."""
    return Q(joined_at=None) | Q(joined_at__lte=timezone.now() - ALONE_WAITS)


def must_ask_another(member: Membership) -> bool:
    """Whether somebody else manages the practice, who decides what concerns `member`."""
    managers = Membership.objects.with_role(Role.MANAGER).filter(settled(), user__is_active=True)
    return managers.filter(practice=member.practice_id).exclude(id=member.id).exists()


def gives_access_from(manager: Membership) -> date:
    """The first day on which access that `manager` gives to others may hold.

    Today, or once they have been here for seven days: nobody is given access by whom they
    invited just now. In the first seven days of a practice everybody is new: today.
    """
    today = timezone.localdate()
    is_new_practice = manager.practice.created_at > timezone.now() - ALONE_WAITS
    if manager.joined_at is None or is_new_practice:
        return today
    return max(today, timezone.localdate(manager.joined_at + ALONE_WAITS))


def access_from(*, to: Membership, by: Membership | None) -> date:
    """The first day on which access that `by` gives `to` may hold: that of `gives_access_from`, or
    in seven days where the only manager gives it to themselves. Who it concerns is told at once.

    Raises:
        NotOneself: another manager must give it.
    """
    if by is None:
        return timezone.localdate()
    if by.id != to.id:
        return gives_access_from(by)
    if must_ask_another(by):
        raise NotOneself
    return timezone.localdate() + ALONE_WAITS
