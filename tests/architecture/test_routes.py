"""Every route is declared here, with who may use it and how; what is not declared fails.

The statuses follow from the declaration: strangers are led to the sign-in, members without the
permission get a 403, and who may not know of the object gets the 404 of one that is not there.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import pytest
from django.conf import settings
from django.test import Client as Browser
from django.urls import URLPattern, URLResolver, get_resolver, reverse

from apps.accounts.models import Membership, Supervision
from apps.accounts.permissions import Permission, permissions_of
from apps.clients.models import Treatment
from tests.factories import TreatmentFactory

READ = {"GET", "HEAD"}
WRITE = {"POST"}
PUBLIC = "public"
SIGNED_IN = "signed in"


@dataclass(frozen=True)
class Route:
    """One declared route: methods, who (a permission, PUBLIC or SIGNED_IN), and its object."""

    methods: set[str]
    who: Permission | str
    object_kwarg: str = ""


ROUTES = {
    "home": Route(READ, SIGNED_IN),
    "health": Route(READ, PUBLIC),
    "login": Route(READ | WRITE, PUBLIC),
    "account_login": Route(READ | WRITE, PUBLIC),
    "mfa_authenticate": Route(READ | WRITE, PUBLIC),
    "account_reset_password": Route(READ | WRITE, PUBLIC),
    "account_link": Route(READ | WRITE, PUBLIC, "token"),
    "logout": Route(READ | WRITE, PUBLIC),
    "account_logout": Route(READ | WRITE, PUBLIC),
    "account_reauthenticate": Route(READ | WRITE, SIGNED_IN),
    "mfa_reauthenticate": Route(READ | WRITE, SIGNED_IN),
    "mfa_reauthenticate_webauthn": Route(READ | WRITE, SIGNED_IN),
    "kept_draft": Route(READ | WRITE, SIGNED_IN),
    "theme": Route(WRITE, SIGNED_IN),
    "switch_practice": Route(WRITE, SIGNED_IN),
    "mfa_index": Route(READ, SIGNED_IN),
    "account_change_password": Route(READ | WRITE, SIGNED_IN),
    "mfa_activate_totp": Route(READ | WRITE, SIGNED_IN),
    "mfa_deactivate_totp": Route(READ | WRITE, SIGNED_IN),
    "mfa_list_webauthn": Route(READ, SIGNED_IN),
    "mfa_add_webauthn": Route(READ | WRITE, SIGNED_IN),
    "mfa_remove_webauthn": Route(READ | WRITE, SIGNED_IN, "pk"),
    "mfa_view_recovery_codes": Route(READ, SIGNED_IN),
    "mfa_generate_recovery_codes": Route(READ | WRITE, SIGNED_IN),
    "caseload": Route(READ, Permission.VIEW_CASELOAD),
    "client": Route(READ, Permission.VIEW_CASELOAD, "client_id"),
    "add_client": Route(READ | WRITE, Permission.ADD_CLIENT),
    "plan_sessions": Route(READ | WRITE, Permission.LOG_SESSION, "client_id"),
    "log_session": Route(READ | WRITE, Permission.LOG_SESSION),
    "acknowledge_episode": Route(WRITE, Permission.REVIEW_EPISODE, "episode_id"),
    "share_episode": Route(WRITE, Permission.REVIEW_EPISODE, "episode_id"),
    "set_causes": Route(WRITE, Permission.REVIEW_EPISODE, "episode_id"),
    "record_outcome": Route(WRITE, Permission.REVIEW_EPISODE, "episode_id"),
    "supervision": Route(READ, Permission.SUPERVISE),
    "supervised_episode": Route(READ, Permission.SUPERVISE, "episode_id"),
    "practice": Route(READ | WRITE, Permission.MANAGE_PRACTICE),
    "people": Route(READ, Permission.MANAGE_PRACTICE),
    "invite_member": Route(READ | WRITE, Permission.MANAGE_PRACTICE),
    "member": Route(READ | WRITE, Permission.MANAGE_PRACTICE, "member_id"),
    "invite_again": Route(WRITE, Permission.MANAGE_PRACTICE, "member_id"),
    "deactivate_member": Route(WRITE, Permission.MANAGE_PRACTICE, "member_id"),
    "reactivate_member": Route(WRITE, Permission.MANAGE_PRACTICE, "member_id"),
    "hand_over": Route(READ | WRITE, Permission.MANAGE_PRACTICE, "member_id"),
    "add_supervision": Route(READ | WRITE, Permission.MANAGE_PRACTICE),
    "end_supervision": Route(READ | WRITE, Permission.MANAGE_PRACTICE, "supervision_id"),
    "feedback_form": Route(READ | WRITE, PUBLIC, "token"),
    "feedback_thanks": Route(READ, PUBLIC, "token"),
    "unknown_link": Route(READ | WRITE, PUBLIC),
    "dev_outbox": Route(READ, PUBLIC),
    "styleguide": Route(READ, PUBLIC),
}
OF_A_CLIENT = {"client_id", "episode_id"}
FOR_MEMBERS = {name: row for name, row in ROUTES.items() if isinstance(row.who, Permission)}


def views(resolver: URLResolver) -> Iterator[tuple[str, Callable[..., Any]]]:
    """Name and view of every route, however deep."""
    for pattern in resolver.url_patterns:
        if isinstance(pattern, URLPattern):
            yield pattern.name or str(pattern.pattern), pattern.callback
        else:
            yield from views(pattern)


def test_every_route_is_declared_and_no_declaration_is_stale() -> None:
    names = [name for name, _ in views(get_resolver())]
    assert sorted(names) == sorted(ROUTES)


def test_every_view_carries_what_is_declared() -> None:
    for name, view in views(get_resolver()):
        declared = ROUTES[name].who
        if isinstance(declared, Permission):
            assert getattr(view, "permission", None) == declared, name
            assert getattr(view, "login_required", True), name
        else:
            assert getattr(view, "login_required", True) == (declared == SIGNED_IN), name


def test_every_permission_is_used() -> None:
    assert {row.who for row in FOR_MEMBERS.values()} == set(Permission)


@pytest.fixture
def course(alice: Membership) -> Treatment:
    return TreatmentFactory.create(therapist=alice, falling=True)


def address(name: str, course: Treatment, *, missing: bool = False) -> str:
    ids = {
        "client_id": course.client_id,
        "episode_id": course.episodes.get().id,
        "member_id": course.therapist_id,
        "supervision_id": link.id if (link := Supervision.objects.first()) else uuid4(),
    }
    kwarg = ROUTES[name].object_kwarg
    if not kwarg:
        return reverse(name)
    return reverse(name, kwargs={kwarg: uuid4() if missing else ids[kwarg]})


def ask(browser: Browser, name: str, url: str) -> Any:
    return browser.get(url) if "GET" in ROUTES[name].methods else browser.post(url)


def told(response: Any) -> bytes:
    """The page without what differs between any two requests: the CSRF mask and the address."""
    page: bytes = response.content.replace(response.wsgi_request.path.encode(), b"")
    return re.sub(rb'name="csrfmiddlewaretoken" value="[^"]+"', b"", page)


@pytest.mark.parametrize("name", FOR_MEMBERS)
def test_strangers_are_led_to_the_sign_in(name: str, course: Treatment, client: Browser) -> None:
    response = ask(client, name, address(name, course))
    assert response.status_code == 302
    assert response.url.startswith(reverse(settings.LOGIN_URL))


@pytest.mark.parametrize("name", FOR_MEMBERS)
@pytest.mark.parametrize("who", ["alice", "charlie", "sam", "mona", "dora"])
def test_members_reach_what_their_role_and_relation_allow(
    name: str,
    who: str,
    course: Treatment,
    sam: Membership,
    request: pytest.FixtureRequest,
    sign_in: Callable[[Membership], Browser],
) -> None:
    member: Membership = request.getfixturevalue(who)
    browser = sign_in(member)
    response = ask(browser, name, address(name, course))
    row = FOR_MEMBERS[name]
    if row.who not in permissions_of(member):
        assert response.status_code == 403
    elif row.object_kwarg in OF_A_CLIENT and who not in {"alice", "sam"}:
        absent = ask(browser, name, address(name, course, missing=True))
        assert response.status_code == absent.status_code == 404
        assert told(response) == told(absent)
    else:
        assert response.status_code in {200, 302}


@pytest.mark.parametrize("name", FOR_MEMBERS)
def test_other_methods_are_refused(name: str, course: Treatment, as_alice: Browser) -> None:
    for method in {"GET", "POST", "PUT", "PATCH", "DELETE"} - ROUTES[name].methods:
        response = as_alice.generic(method, address(name, course))
        assert response.status_code in {403, 405}, method
