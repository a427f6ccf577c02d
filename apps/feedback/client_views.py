"""Pages a client sees, without signing in: the link is the key, and opening it changes nothing."""

import logging
from collections.abc import Callable
from functools import wraps
from typing import Any
from zoneinfo import ZoneInfo

from django.contrib.auth.decorators import login_not_required
from django.core.exceptions import BadRequest, SuspiciousOperation
from django.db import InterfaceError, OperationalError, transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import timezone, translation
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods, require_safe
from django.views.defaults import server_error as plain_server_error

from apps.core import tenancy
from apps.feedback.client_frame import ClientFrame
from apps.feedback.forms import FeedbackForm
from apps.feedback.models import FeedbackRequest
from apps.feedback.selectors import find_request
from apps.feedback.services import (
    AlreadyAnswered,
    RequestClosed,
    practice_of_link,
    submit_response,
)

logger = logging.getLogger(__name__)

View = Callable[..., HttpResponse]


def client_page(view: View) -> View:
    """A page behind a link.

    No sign-in. No CSRF cookie: nothing here acts for somebody signed in, whoever can send the form
    holds its link, and mail apps that refuse cookies must be able to answer. The link says which
    practice's rows the page may see; the page leaves only after all of it is committed, so that a
    database that is away can be told from one that refused the answers. Not stored, not indexed.
    """

    @login_not_required
    @csrf_exempt
    @transaction.non_atomic_requests
    @wraps(view)
    def page(request: HttpRequest, token: str = "") -> HttpResponse:
        try:
            response = _inside_its_practice(view, request, token)
        except (OperationalError, InterfaceError):
            logger.exception("The database is away; a client's page says so.")
            response = _not_saved(request, status=503)
        except (SuspiciousOperation, BadRequest):
            response = _page("unreadable", ClientFrame(), status=400)
        response.headers["Cache-Control"] = "no-store"
        response.headers["X-Robots-Tag"] = "noindex"
        return response

    return page


def _inside_its_practice(view: View, request: HttpRequest, token: str) -> HttpResponse:
    practice_id = practice_of_link(token)
    if practice_id is None:
        return _unknown()
    with tenancy.practice(practice_id):
        return view(request, token)


@client_page
@require_http_methods(["GET", "HEAD", "POST"])
def feedback_form(request: HttpRequest, token: str) -> HttpResponse:
    """The form of one request. Only POST changes anything; the first one counts."""
    asked = find_request(token)
    if asked is None:
        return _unknown()
    sent = request.POST if request.method == "POST" else None
    if _is_over(asked):
        return _over(asked, sent)
    frame = ClientFrame.of(asked)
    form = FeedbackForm(sent, questionnaire=asked.questionnaire, contact=frame.contact)
    if not form.is_valid():
        return _of(asked, "form", form=form, asked=asked, signed_frame=frame.signed())
    try:
        submit_response(request_id=asked.id, **form.submission())
    except (AlreadyAnswered, RequestClosed):
        asked.refresh_from_db(fields=["state"])
        return _over(asked, sent)
    return redirect("feedback_thanks", token)


@client_page
@require_safe
def feedback_thanks(request: HttpRequest, token: str) -> HttpResponse:
    """Thanks, where there is something to thank for; else the form."""
    asked = find_request(token)
    if asked is None:
        return _unknown()
    if asked.state != FeedbackRequest.State.ANSWERED:
        return redirect("feedback_form", token)
    return _of(asked, "thanks")


@client_page
def unknown_link(request: HttpRequest, token: str) -> HttpResponse:
    """Whatever else is asked for below the address of the links."""
    return _unknown()


def server_error(request: HttpRequest) -> HttpResponse:
    """handler500: where a client was answering, their words are kept and the crisis lines stand."""
    # By its address: what failed may be older than the choice of a view.
    if request.path.startswith(reverse("unknown_link")):
        return _not_saved(request, status=500)
    return plain_server_error(request)


def _is_over(asked: FeedbackRequest) -> bool:
    return asked.state != FeedbackRequest.State.OPEN or timezone.now() >= asked.expires_at


def _over(asked: FeedbackRequest, sent: Any) -> HttpResponse:
    answered = asked.state == FeedbackRequest.State.ANSWERED
    withdrawn = asked.state == FeedbackRequest.State.CANCELLED
    return _of(
        asked,
        "already_received" if answered else "link_ended",
        withdrawn=withdrawn,
        sent_again=sent is not None,
        comment=sent.get("comment", "") if sent else "",
    )


def _unknown() -> HttpResponse:
    """One page, byte for byte, whatever is wrong with a link: it tells nobody what exists."""
    return _page("unknown_link", ClientFrame(), status=404)


def _not_saved(request: HttpRequest, *, status: int) -> HttpResponse:
    """What was sent, as a form to send again; made without the database."""
    sent = request.POST if request.method == "POST" else None
    frame = sent.get("frame", "") if sent else ""
    return _page(
        "not_saved" if sent is not None else "not_open",
        ClientFrame.from_signed(frame),
        status=status,
        comment=sent.get("comment", "") if sent else "",
        others=[
            (name, value)
            for name, values in (sent.lists() if sent else ())
            if name != "comment"
            for value in values
        ],
    )


def _of(asked: FeedbackRequest, name: str, /, **context: Any) -> HttpResponse:
    """A page about one request, in the client's language and by the client's clock."""
    client = asked.therapy_session.treatment.client
    with translation.override(client.language), timezone.override(ZoneInfo(client.time_zone)):
        return _page(name, ClientFrame.of(asked), **context)


def _page(name: str, frame: ClientFrame, *, status: int = 200, **context: Any) -> HttpResponse:
    # Without the request: nothing of a person who is signed in on this device gets on the page.
    html = render_to_string(f"feedback/{name}.html", frame.context() | context)
    return HttpResponse(html, status=status)
