"""What the frame of every page needs: the theme, the practice and the way around."""

from dataclasses import dataclass
from typing import Any

from django.http import HttpRequest
from django.urls import reverse
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from apps.accounts.models import User
from apps.accounts.permissions import Permission, permissions_of

# What it takes to see an entry, its route, label and icon, and the routes that stand below it.
NAVIGATION: tuple[tuple[Permission, str, str | Promise, str, frozenset[str]], ...] = (
    (
        Permission.VIEW_CASELOAD,
        "caseload",
        _("Caseload"),
        "people",
        frozenset(
            {
                "client",
                "own_delivery",
                "add_client",
                "plan_sessions",
                "log_session",
                "brief",
                "day_sheet",
                "repair",
                "record_outcome",
                "move_client",
                "close_treatment",
                "passed_on",
                "ended_treatments",
            }
        ),
    ),
    (Permission.VIEW_CASELOAD, "diary", _("Diary"), "calendar3", frozenset({"calendar"})),
    (
        Permission.SUPERVISE,
        "supervision",
        _("Supervision"),
        "diagram-3",
        frozenset({"supervised_episode"}),
    ),
    (
        Permission.MEET,
        "meetings",
        _("Meetings"),
        "card-checklist",
        frozenset({"meeting", "plan_meeting"}),
    ),
    (
        Permission.MANAGE_PRACTICE,
        "practice",
        _("Practice"),
        "buildings",
        frozenset(
            {
                "people",
                "delivery",
                "invite_member",
                "member",
                "hand_over",
                "add_supervision",
                "end_supervision",
                "rules",
                "decide_rule",
            }
        ),
    ),
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
    here = request.resolver_match.url_name if request.resolver_match else None
    return {
        "theme": user.theme if isinstance(user, User) else User.Theme.AUTO,
        "member_name": membership.name if membership else "",
        "practice_name": membership.practice.name if membership else "",
        "other_practices": [
            each for each in getattr(request, "memberships", ()) if each != membership
        ],
        "nav": tuple(
            NavItem(reverse(name), label, icon, here == name or here in below)
            for permission, name, label, icon, below in NAVIGATION
            if permission in allowed
        ),
        # A page that answers a POST has no address to come back to.
        "come_back_to": request.get_full_path() if request.method == "GET" else reverse("home"),
        "may_log_session": Permission.LOG_SESSION in allowed,
    }
