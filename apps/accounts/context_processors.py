"""What the frame of every page needs: the theme, the practice and the way around."""

from dataclasses import dataclass
from typing import Any

from django.http import HttpRequest
from django.urls import reverse
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from apps.accounts.models import User
from apps.accounts.permissions import Permission, permissions_of

NAVIGATION: tuple[tuple[Permission, str, str | Promise, str], ...] = (
    (Permission.VIEW_CASELOAD, "caseload", _("Caseload"), "people"),
    (Permission.SUPERVISE, "supervision", _("Supervision"), "diagram-3"),
    (Permission.MANAGE_PRACTICE, "practice", _("Practice"), "buildings"),
)


@dataclass(frozen=True)
class NavItem:
    url: str
    label: str | Promise
    icon: str
    current: bool


def layout(request: HttpRequest) -> dict[str, Any]:
    """`theme` (auto, light, dark), who is signed in where, and which buttons the frame has."""
    user = getattr(request, "user", None)
    membership = getattr(request, "membership", None)
    allowed = permissions_of(membership)
    match = request.resolver_match
    return {
        "theme": user.theme if isinstance(user, User) else User.Theme.AUTO,
        "member_name": membership.name if membership else "",
        "practice_name": membership.practice.name if membership else "",
        "other_practices": [
            each for each in getattr(request, "memberships", ()) if each != membership
        ],
        "nav": tuple(
            NavItem(reverse(name), label, icon, bool(match and match.url_name == name))
            for permission, name, label, icon in NAVIGATION
            if permission in allowed
        ),
        "may_log_session": Permission.LOG_SESSION in allowed,
    }
