"""Nobody gives themselves access: another manager does or, where there is none, seven days pass.

Nor by somebody invited just now: who joined less than seven days ago neither gives nor gets any.
"""

from datetime import date, timedelta

from django.db.models import Q
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext as _

from apps.accounts.models import Membership, Role

ALONE_WAITS = timedelta(days=7)
"""How long somebody waits for what takes two people, where nobody else could be asked."""


class NotOneself(Exception):
    """Another manager of the practice decides this."""


class NobodyYet(Exception):
    """Nobody has taken the place: given to it, access would be whoever's is invited to it."""


class TooNew(Exception):
    """Who decides joined less than seven days ago; the message says from when on they can."""


def settled() -> Q:
    """Members for whom the day of `seven_days_here` has come: somebody invited just now decides
    nothing."""
    return Q(joined_at=None) | Q(joined_at__date__lte=timezone.localdate() - ALONE_WAITS)


def here_lately() -> Q:
    """Members whose place is open, or was less than `ALONE_WAITS` ago.

    Nobody is alone because they closed the places of the others for a minute.
    """
    return Q(is_active=True) | Q(left_at__gt=timezone.now() - ALONE_WAITS)


def manages_lately() -> Q:
    """Members who manage the practice, or did less than `ALONE_WAITS` ago: they are asked and told
    as if their role or place had not been taken for a minute."""
    lately = Q(managed_until__gt=timezone.now() - ALONE_WAITS)
    return (Q(roles__contains=[Role.MANAGER]) | lately) & here_lately()


def works_alone(member: Membership) -> bool:
    """Whether nobody else who can sign in is here or was lately, so that nobody could be asked."""
    others = Membership.objects.colleagues_of(member).filter(here_lately(), user__is_active=True)
    return not others.exclude(id=member.id).exists()


def must_ask_another(member: Membership) -> bool:
    """Whether somebody else manages the practice, who decides what concerns `member`.

    Somebody who managed it less than `ALONE_WAITS` ago counts: then it waits for those days to end.
    """
    managers = Membership.objects.colleagues_of(member).filter(
        manages_lately(), settled(), user__is_active=True
    )
    return managers.exclude(id=member.id).exists()


def seven_days_here(member: Membership) -> date | None:
    """The day on which they have been here for seven days; None where they always were.

    A day, not the minute, which would tell colleagues when they joined.
    """
    return member.joined_at and timezone.localdate(member.joined_at) + ALONE_WAITS


def settled_from(member: Membership) -> date:
    """The first day on which access that `member` gives to others, or is given, may hold.

    Today, or once they have been here for seven days. In the first seven days of a practice
    everybody is new: today.
    """
    today = timezone.localdate()
    is_new_practice = member.practice.created_at > timezone.now() - ALONE_WAITS
    day = seven_days_here(member)
    return today if day is None or is_new_practice else max(today, day)


def is_new(member: Membership) -> bool:
    """Whether what `member` decides, or is given, waits for the day of `settled_from`."""
    return settled_from(member) > timezone.localdate()


def refuse_newcomer(manager: Membership | None, *, takes_from: Membership | None = None) -> None:
    """For whatever a manager decides about others that holds at once.

    Args:
        takes_from: who loses their place or roles by it. That is at once, whoever decides: but a
            newcomer takes nothing from another manager.

    Raises:
        TooNew: it waits for the day of `settled_from`.
    """
    is_others = takes_from is None or (takes_from != manager and takes_from.has_role(Role.MANAGER))
    if manager and is_others and is_new(manager):
        raise TooNew(
            _(
                "You joined less than seven days ago and can do this from %s on. Nothing was "
                "changed; ask another manager if it cannot wait."
            )
            % date_format(settled_from(manager), "j M Y")
        )


def access_from(*, to: Membership, by: Membership | None) -> date:
    """The first day on which access that `by` gives `to` may hold: once both are settled, or in
    seven days where the only manager gives it to themselves. Who it concerns is told at once.

    Args:
        by: None where whoever runs `manage.py` gives it.

    Raises:
        NobodyYet
        NotOneself: another manager must give it.
    """
    if to.user_id is None:
        raise NobodyYet
    if by is None:
        return settled_from(to)
    if by.id != to.id:
        return max(settled_from(by), settled_from(to))
    if must_ask_another(by):
        raise NotOneself
    return timezone.localdate() + ALONE_WAITS
