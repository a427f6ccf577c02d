"""How every page behind a link is made: its practice, its limits, its frame, its failures."""

import logging
import time
from collections.abc import Callable
from functools import wraps
from typing import Any
from zoneinfo import ZoneInfo

import redis
from django.contrib.auth.decorators import login_not_required
from django.core.cache import cache
from django.db import InterfaceError, OperationalError, transaction
from django.http import HttpRequest, HttpResponse, QueryDict
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import timezone, translation
from django.views.decorators.csrf import csrf_exempt

from apps.clients.services import wait_for_turn
from apps.core import tenancy
from apps.core.forms import NO_FORM
from apps.feedback import languages, limits
from apps.feedback.client_frame import ClientFrame
from apps.feedback.selectors import Link, find_link
from apps.feedback.services import practice_of_link
from apps.feedback.tokens import ROOM

logger = logging.getLogger(__name__)

View = Callable[..., HttpResponse]

# As 200, but that Chromium keeps no page of it as it stood, as it does of those with no-store:
# who goes back to a form gets it from the server, without what was typed (ADR 24).
NOT_KEPT = 203
# What is sent without words of anybody's: how to be reached, or not at all.
CHOICES = {"how", "not_me"}
LONGEST_CHOICE = 10
# Who presses twice sees the second answer alone; nobody takes a device over so fast.
TWICE_S = 15
# Longer than a link takes answers.
KNOWN_FOR_S = 7 * 24 * 60 * 60


def client_page(view: View) -> View:
    """A page behind a link; the view gets what the link is for, in the language of its page.

    No sign-in. No CSRF cookie: nothing here acts for somebody signed in, whoever can send the form
    holds its link, and mail apps that refuse cookies must be able to answer. The link says which
    practice's rows the page may see; the page leaves only after all of it is committed, so that a
    database that is away can be told from one that refused the answers. Methods are refused outside
    it, before the link is looked at: a 405 must not tell that the request behind a forged link
    exists.
    """

    @login_not_required
    @csrf_exempt
    @transaction.non_atomic_requests
    @wraps(view)
    def behind_a_link(request: HttpRequest, token: str = "") -> HttpResponse:
        try:
            return _within_limits(view, request, token)
        except (OperationalError, InterfaceError):
            logger.exception("The database is away; a client's page says so.")
            return not_saved(request, status=503)
        except NO_FORM:
            return page(request, "unreadable", ClientFrame(), status=400)

    return behind_a_link


def _within_limits(view: View, request: HttpRequest, token: str) -> HttpResponse:
    wait = limits.seconds_to_wait(request, token)
    if wait:
        response = _kept("wait", request, status=429)
        response.headers["Retry-After"] = str(wait)
        return response
    return _inside_its_practice(view, request, token)


def _inside_its_practice(view: View, request: HttpRequest, token: str) -> HttpResponse:
    practice_id = practice_of_link(token)
    if practice_id is None:
        return unknown(request)
    to_stop = request.path == reverse("feedback_stop", args=[token])
    with tenancy.practice(practice_id):
        link = find_link(token, to_stop=to_stop)
        if link and request.method == "POST":
            # All of the form first: nobody waits for a slow one. Then whatever came before may have
            # ended the link: another address, a form in another way.
            request.POST.keys()
            wait_for_turn(id=link.client.id)
            link = find_link(token, to_stop=to_stop)
        if link is None:
            return unknown(request)
        with translation.override(languages.language_for(request, link.client.language)):
            return view(request, link)


def unknown(request: HttpRequest) -> HttpResponse:
    """One page, byte for byte, whatever is wrong with a link: it tells nobody what exists.

    Words from a form of ours, whose link has ended since, are given back. It is counted before
    what was sent is read, as that may fail.
    """
    limits.count_unknown(request)
    sent = to_give_back(request)
    comment = sent.get("comment") if sent else None
    # Without a menu of languages, which an answer to a POST has not either.
    return page(request, "unknown_link", ClientFrame(), status=404, languages=(), comment=comment)


def not_saved(request: HttpRequest, *, status: int) -> HttpResponse:
    """What was sent, as a form to send again; made without the database."""
    return _kept("not_saved" if request.method == "POST" else "not_open", request, status=status)


def to_give_back(request: HttpRequest) -> QueryDict | None:
    """What was sent, for its page to show: a form of ours, once. A browser sends it again as it
    loads that page anew, and somebody else may sit there by then, the therapist in the room. A mere
    choice has no frame; else whoever sends something without one gets none of it back: nobody has
    us show words of theirs, or hold six times what they send."""
    if request.method != "POST":
        return None
    sent, once = request.POST, ClientFrame.sent_with(request, max_age_s=KNOWN_FOR_S).once
    is_ours = not _was_given_back(once) if once else _is_choice(sent)
    return sent if is_ours else None


def _is_choice(sent: QueryDict) -> bool:
    is_short = all(len(value) <= LONGEST_CHOICE for _, values in sent.lists() for value in values)
    return is_short and set(sent) <= CHOICES


def _was_given_back(once: str) -> bool:
    """Whether the page of that name was sent before, other than by who pressed twice. While Redis
    is away it was not: a client who answers matters more."""
    now = time.time()
    try:
        first = cache.get_or_set(f"given-back:{once}", now, KNOWN_FOR_S)
    except redis.RedisError as error:
        logger.warning("Redis is away (%s); what is sent is given back.", type(error).__name__)
        return False
    return now - (first or 0) > TWICE_S


def _kept(name: str, request: HttpRequest, *, status: int) -> HttpResponse:
    """A page made from what was sent alone, which it hands back to be sent again."""
    sent, frame = to_give_back(request), ClientFrame.sent_with(request)
    return page(
        request,
        name,
        frame,
        status=status,
        was_sent=request.method == "POST",
        is_given_back=sent is not None,
        comment=sent.get("comment") if sent else None,
        signed_frame=frame.signed(request) if frame.once else "",
        others=[
            (name, value)
            for name, values in (sent.lists() if sent else ())
            if name not in {"frame", "comment"}
            for value in values
        ],
    )


def address_of(request: HttpRequest, name: str, link: Link) -> str:
    """Another page of the link, in the language chosen on this one."""
    return reverse(name, args=[link.token], query=languages.chosen(request))


def page_of(request: HttpRequest, link: Link, name: str, /, **context: Any) -> HttpResponse:
    """A page about one request, by the client's clock."""
    client, frame = link.client, ClientFrame.of(link.asked)
    if link.way != ROOM:
        context.setdefault("stop_url", address_of(request, "feedback_stop", link))
    with timezone.override(ZoneInfo(client.time_zone)):
        return page(request, name, frame, **context)


def page(
    request: HttpRequest, name: str, frame: ClientFrame, /, *, status: int = 200, **context: Any
) -> HttpResponse:
    """A page in its language, with the other languages to choose from; not indexed.

    What answers a POST offers none: following a link would lose what was typed.
    """
    language = languages.language_for(request, frame.language)
    with translation.override(language):
        menu = languages.menu(language) if request.method != "POST" else {}
        # Without the request: nothing of a person who is signed in on this device gets on the page.
        html = render_to_string(f"feedback/{name}.html", frame.context() | menu | context)
    return HttpResponse(html, status=status, headers={"X-Robots-Tag": "noindex"})
