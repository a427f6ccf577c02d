"""Whatever members send about a client waits for its turn before a view looks at it."""

from collections.abc import Callable
from typing import Any

from django.db.models import Exists, OuterRef, Q
from django.http import HttpRequest, HttpResponse
from django.utils import timezone

from apps.accounts.models import Membership
from apps.clients.models import Client, Treatment
from apps.clients.services import wait_for_turn

WAYS = {
    "client_id": "id",
    "session_id": "treatments__therapy_sessions",
    "logged_id": "treatments__therapy_sessions",
    "episode_id": "treatments__episodes",
    "decision_id": "treatments__episodes__decisions",
    "ending_id": "treatments__ending",
    "erasure_id": "two_person_requests",
}
"""From a client to what the id in an address names."""


class TurnMiddleware:
    """Hold the client whom a form is about, by the id in its address, until it is answered.

    So a view asks who sent it, and whose the client is, after everybody who came before is done,
    and what it finds holds while it writes: nothing is written about a client who was erased,
    closed or handed over since, nor by who lost place or role. Opening a page waits for nobody, and
    so does who may not know of the client: the time it took would tell that somebody writes.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_view(
        self, request: HttpRequest, view: Callable[..., Any], args: object, kwargs: dict[str, Any]
    ) -> None:
        member = getattr(request, "membership", None)
        if request.method == "POST" and member:
            for name in WAYS.keys() & kwargs.keys():
                known = KNOWN.get(name, _known_to)(member)
                wait_for_turn(known, by=member, **{WAYS[name]: kwargs[name]})


def _known_to(member: Membership) -> Q:
    clients = Client.objects
    return Q(id__in=clients.visible_to(member).values("id")) | Q(
        id__in=clients.kept_by(member).values("id")
    )


def _ended_by(member: Membership) -> Q:
    """Whom the member treated, and nobody else treats now."""
    others = Treatment.objects.current(on=timezone.localdate()).exclude(therapist=member)
    return ~Exists(others.filter(client=OuterRef("pk"))) & Q(treatments__therapist=member)


def _asked_about(_member: Membership) -> Q:
    """Of whom each member reads that something is asked for, until that is decided."""
    return Q(two_person_requests__closed_at=None)


KNOWN: dict[str, Callable[[Membership], Q]] = {
    "ending_id": _ended_by,
    "erasure_id": _asked_about,
}
"""Who may know of what an id names, where it is not as of the client."""
