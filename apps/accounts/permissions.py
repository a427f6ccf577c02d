"""What each role may do, in words. Which clients it concerns is decided by `visible_to`."""

from collections.abc import Callable
from datetime import date
from enum import StrEnum
from functools import wraps
from typing import Concatenate, ParamSpec, cast

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest
from django.http.response import HttpResponseBase

from apps.accounts.models import Membership, Role
from apps.accounts.turns import hold_practice

P = ParamSpec("P")


class Permission(StrEnum):
    VIEW_CASELOAD = "view own caseload"
    ADD_CLIENT = "add a client"
    LOG_SESSION = "log a therapy session"
    REVIEW_EPISODE = "review an episode"
    SUPERVISE = "see flags across supervisees"
    MEET = "talk about episodes in supervision"
    MANAGE_PRACTICE = "manage the practice"
    KEEP_RECORDS = "give, restrict or erase the records of one's own clients, or of held ones"
    HOLD = "set and lift legal holds"
    CONFIRM_ERASURE = "be the second person who erases a client"


EVERYBODY = (Permission.KEEP_RECORDS, Permission.CONFIRM_ERASURE)
ROLE_PERMISSIONS: dict[str, frozenset[Permission]] = {
    Role.THERAPIST: frozenset(
        {
            Permission.VIEW_CASELOAD,
            Permission.ADD_CLIENT,
            Permission.LOG_SESSION,
            Permission.REVIEW_EPISODE,
            Permission.MEET,
            *EVERYBODY,
        }
    ),
    Role.SUPERVISOR: frozenset({Permission.SUPERVISE, Permission.MEET, *EVERYBODY}),
    Role.MANAGER: frozenset({Permission.MANAGE_PRACTICE, Permission.HOLD, *EVERYBODY}),
}


def permissions_of(membership: Membership | None) -> frozenset[Permission]:
    """Everything the member's roles allow, and what falls to the record holder; nothing without an
    active membership."""
    if membership is None or not membership.is_active:
        return frozenset()
    is_holder = membership.practice.record_holder_id == membership.id
    holds = {Permission.HOLD} if is_holder else set()
    return frozenset(holds).union(*(ROLE_PERMISSIONS[role] for role in membership.roles))


class MemberRequest(HttpRequest):
    """A request that passed `require`: it has a membership and today's date in its practice."""

    membership: Membership
    today: date


View = Callable[Concatenate[HttpRequest, P], HttpResponseBase]
MemberView = Callable[Concatenate[MemberRequest, P], HttpResponseBase]


def require(permission: Permission) -> Callable[[MemberView[P]], View[P]]:
    """Let a view be used only by members who hold `permission`; others get a 403. What a manager
    sends waits for its turn with the practice, and they are asked again then.

    The permission is stamped on the view (`view.permission`), so that a test can see it.
    """

    def decorate(view: MemberView[P]) -> View[P]:
        @wraps(view)
        def guarded(request: HttpRequest, *args: P.args, **kwargs: P.kwargs) -> HttpResponseBase:
            if permission not in permissions_of(getattr(request, "membership", None)):
                raise PermissionDenied
            member_request = cast(MemberRequest, request)
            if permission == Permission.MANAGE_PRACTICE and request.method == "POST":
                hold_practice(member_request.membership)
            return view(member_request, *args, **kwargs)

        guarded.permission = permission  # type: ignore[attr-defined]
        return guarded

    return decorate
