"""What is going on right now: one id and one route, for every log line and every audit row.

`request_id` follows a request into the tasks that it sends; `route` is the name of the view, the
task or the command that is at work. Neither holds anything a person typed: addresses, with the ids
and tokens in them, are not kept.
"""

import logging
import time
from collections.abc import Callable
from typing import Any
from uuid import uuid4

from django.http import HttpRequest, HttpResponse
from structlog.contextvars import bind_contextvars, clear_contextvars, get_contextvars

logger = logging.getLogger(__name__)

HEADER = "rapport_request_id"


def begin(*, request_id: str = "", route: str = "") -> None:
    """Start something new: a request, a task or a command; an id is made where there is none."""
    clear_contextvars()
    bind_contextvars(request_id=request_id or uuid4().hex, route=route)


def request_id() -> str:
    """Id of what is at work; '' in a shell."""
    found: str = get_contextvars().get("request_id", "")
    return found


def route() -> str:
    """Name of the view, task or command at work; '' in a shell."""
    found: str = get_contextvars().get("route", "")
    return found


class TracingMiddleware:
    """Give each request an id, and write one line when it is answered."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        begin()
        started = time.monotonic()
        try:
            response = self.get_response(request)
            ms = round((time.monotonic() - started) * 1000)
            logger.info("%s answered %s in %s ms", request.method, response.status_code, ms)
        finally:
            # What this thread does next is not this request's.
            clear_contextvars()
        return response

    def process_view(
        self, request: HttpRequest, view: Callable[..., Any], args: object, kwargs: object
    ) -> None:
        match = request.resolver_match
        bind_contextvars(route=match.view_name if match else "")
