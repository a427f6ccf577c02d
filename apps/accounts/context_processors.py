"""What the frame of every page needs: the theme, the practice and the way around."""

from dataclasses import dataclass
from typing import Any, NamedTuple

from django.conf import settings
from django.http import HttpRequest
from django.urls import reverse
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from apps.accounts.models import User
from apps.accounts.permissions import Permission, permissions_of

# As many as a phone's bar has room for; the page of an entry leads to those that are left out.
MOST_ENTRIES = 6


class Entry(NamedTuple):
    """A place of the navigation: what it takes to see it, and which routes stand below it.

    Where a route stands below two entries that a person has, it belongs to the later one.
    """

    permission: Permission
    route: str
    label: str | Promise
    icon: str
    below: frozenset[str] = frozenset()
    query: str = ""
    part: str = ""
    shortcut: str = ""


PEOPLE = frozenset(
    {"people", "invite_member", "member", "hand_over", "add_supervision", "end_supervision"}
)
RULES = frozenset({"rules", "decide_rule"})

NAVIGATION = (
    Entry(
        Permission.VIEW_CASELOAD,
        "caseload",
        _("Caseload"),
        "people",
        frozenset(
            {
                "client",
                "own_delivery",
                "add_client",
                "change_client",
                "plan_sessions",
                "move_session",
                "log_session",
                "correct_session",
                "in_room",
                "paper",
                "process_note",
                "brief",
                "day_sheet",
                "who_looked",
                "records",
                "export_records",
                "erase_texts",
                "move_client",
                "close_treatment",
                "passed_on",
                "ended_treatments",
            }
        ),
        shortcut="c",
    ),
    Entry(
        Permission.VIEW_CASELOAD,
        "diary",
        _("Diary"),
        "calendar3",
        frozenset({"calendar"}),
        shortcut="d",
    ),
    Entry(
        Permission.VIEW_CASELOAD,
        "caseload",
        _("Repairs"),
        "seam",
        frozenset({"repair", "record_outcome"}),
        query="?status=flags",
        part="#all-clients",
        shortcut="r",
    ),
    Entry(
        Permission.SUPERVISE,
        "supervision",
        _("Supervision"),
        "diagram-3",
        frozenset({"supervised_episode"}),
        shortcut="s",
    ),
    Entry(
        Permission.MEET,
        "meetings",
        _("Meetings"),
        "card-checklist",
        frozenset({"meeting", "plan_meeting"}),
        shortcut="m",
    ),
    Entry(
        Permission.MANAGE_PRACTICE,
        "practice",
        _("Practice"),
        "buildings",
        frozenset({"practice_overview", "delivery", "keeping", *PEOPLE, *RULES}),
        shortcut="p",
    ),
    Entry(Permission.MANAGE_PRACTICE, "people", _("People"), "people", PEOPLE, shortcut="e"),
    Entry(Permission.MANAGE_PRACTICE, "delivery", _("Delivery"), "send", shortcut="v"),
    Entry(
        Permission.MANAGE_PRACTICE,
        "rules",
        _("Rule changes"),
        "arrow-clockwise",
        RULES,
        shortcut="u",
    ),
)


@dataclass(frozen=True)
class NavItem:
    url: str
    label: str | Promise
    icon: str
    current: bool
    shortcut: str


def navigation(
    allowed: frozenset[Permission], *, here: str | None, query: str = ""
) -> tuple[NavItem, ...]:
    """The entries of who has these permissions, on the page of the route `here` with this query."""
    entries = [entry for entry in NAVIGATION if entry.permission in allowed][:MOST_ENTRIES]
    current = [
        entry
        for entry in entries
        if here in entry.below or (here == entry.route and entry.query in {"", f"?{query}"})
    ][-1:]
    return tuple(
        NavItem(
            reverse(entry.route) + entry.query + entry.part,
            entry.label,
            entry.icon,
            entry in current,
            entry.shortcut,
        )
        for entry in entries
    )


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
        "nav": navigation(allowed, here=here, query=request.META["QUERY_STRING"]),
        # A page that answers a POST has no address to come back to.
        "come_back_to": request.get_full_path() if request.method == "GET" else reverse("home"),
        "may_log_session": Permission.LOG_SESSION in allowed,
        "idle_s": int(settings.SESSION_IDLE_TIME.total_seconds()),
    }
