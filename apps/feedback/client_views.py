"""Pages a client sees, without signing in: the link is the key, and opening it changes nothing."""

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST, require_safe
from django.views.defaults import server_error as plain_server_error

from apps.alliance.models import AllianceRating
from apps.feedback import choices
from apps.feedback.client_frame import ClientFrame
from apps.feedback.client_pages import client_page, not_saved, page_of, unknown
from apps.feedback.forms import FeedbackForm, StopForm
from apps.feedback.lifecycle import RequestClosed, fresh_link_channel, send_fresh_link
from apps.feedback.models import FeedbackRequest
from apps.feedback.selectors import Link, find_link
from apps.feedback.services import AlreadyAnswered, submit_response
from apps.feedback.tokens import ROOM


@require_http_methods(["GET", "HEAD", "POST"])
@client_page
def feedback_form(request: HttpRequest, token: str) -> HttpResponse:
    """The form of one request. Only POST changes anything; the first one counts."""
    link = find_link(token)
    if link is None:
        return unknown()
    sent = request.POST if request.method == "POST" else None
    if not link.is_open:
        return _over(link, sent)
    asked, frame = link.asked, ClientFrame.of(link.asked)
    form = FeedbackForm(sent, questionnaire=asked.questionnaire, contact=frame.contact)
    if not form.is_valid():
        return page_of(link, "form", form=form, asked=asked, signed_frame=frame.signed())
    mode = AllianceRating.Mode.ROOM if link.way == ROOM else AllianceRating.Mode.LINK
    try:
        submit_response(request_id=asked.id, mode=mode, **form.submission())
    except (AlreadyAnswered, RequestClosed):
        asked.refresh_from_db(fields=["state"])
        return _over(link, sent)
    return redirect("feedback_thanks", token)


@require_safe
@client_page
def feedback_thanks(request: HttpRequest, token: str) -> HttpResponse:
    """Thanks, where there is something to thank for; else the form."""
    link = find_link(token)
    if link is None:
        return unknown()
    if link.asked.state != FeedbackRequest.State.ANSWERED:
        return redirect("feedback_form", token)
    return page_of(link, "thanks")


@require_POST
@client_page
def feedback_fresh(request: HttpRequest, token: str) -> HttpResponse:
    """Send a fresh link for a form that ran out, to the channel on record and nowhere else."""
    link = find_link(token)
    if link is None:
        return unknown()
    try:
        channel = send_fresh_link(request_id=link.asked.id)
    except RequestClosed:
        return _over(link, None)
    # Shown at once: the link that was used to ask for it has ended with this.
    return page_of(link, "fresh_sent", kind=channel.kind)


@require_http_methods(["GET", "HEAD", "POST"])
@client_page
def feedback_stop(request: HttpRequest, token: str) -> HttpResponse:
    """Stop messages, or choose between the recorded ways of reaching oneself."""
    link = find_link(token)
    if link is None:
        return unknown()
    sent = request.POST if request.method == "POST" else None
    if sent and "not_me" in sent:
        choices.not_for_me(client=link.client, way=link.way)
        return page_of(link, "not_for_me", stop_url="", kind=link.way)
    if sent and sent.get("List-Unsubscribe") == "One-Click":
        choices.stop_messages(client=link.client)
        return redirect("feedback_stop", token)
    form = StopForm(sent, client=link.client, way=link.way)
    if not form.is_valid():
        context = {"form": form, "kind": link.way, "practice": link.client.practice}
        return page_of(link, "stop", stop_url="", **context)
    choices.choose(client=link.client, how=form.cleaned_data["how"])
    return redirect("feedback_stop", token)


@client_page
def unknown_link(request: HttpRequest, token: str) -> HttpResponse:
    """Whatever else is asked for below the address of the links."""
    return unknown()


def server_error(request: HttpRequest) -> HttpResponse:
    """handler500: where a client was answering, their words are kept and the crisis lines stand."""
    # By its address: what failed may be older than the choice of a view.
    if request.path.startswith(reverse("unknown_link")):
        return not_saved(request, status=500)
    return plain_server_error(request)


def _over(link: Link, sent: Any) -> HttpResponse:
    """The page of a link whose time is over: it says which, and what can still be done."""
    state = link.asked.state
    channel = fresh_link_channel(link.asked) if link.way != ROOM else None
    return page_of(
        link,
        "already_received" if state == FeedbackRequest.State.ANSWERED else "link_ended",
        withdrawn=state == FeedbackRequest.State.CANCELLED,
        in_room=link.way == ROOM,
        fresh_kind=channel.kind if channel else "",
        fresh_url=reverse("feedback_fresh", args=[link.token]),
        sent_again=sent is not None,
        comment=sent.get("comment", "") if sent else "",
    )
