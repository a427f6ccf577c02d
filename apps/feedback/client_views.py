"""Pages a client sees, without signing in: the link is the key, and opening it changes nothing."""

from functools import partial, wraps

from django.http import HttpRequest, HttpResponse, HttpResponseServerError
from django.shortcuts import redirect
from django.template.loader import render_to_string
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from apps.alliance.models import AllianceRating
from apps.clients.services import note_reached
from apps.feedback import choices
from apps.feedback.client_frame import ClientFrame
from apps.feedback.client_pages import (
    NOT_KEPT,
    View,
    address_of,
    client_page,
    not_saved,
    page_of,
    to_give_back,
    unknown,
)
from apps.feedback.forms import FeedbackForm, StopForm
from apps.feedback.lifecycle import (
    RequestClosed,
    fresh_link_channel,
    send_fresh_link,
    stop_messages,
)
from apps.feedback.models import FeedbackRequest
from apps.feedback.selectors import Link
from apps.feedback.services import AlreadyAnswered, submit_response
from apps.feedback.tokens import ROOM


def for_the_client_alone(view: View) -> View:
    """No page for a code of the room: the therapist sees it too, and could speak in the client's
    name."""

    @wraps(view)
    def behind_a_sent_link(request: HttpRequest, link: Link) -> HttpResponse:
        return unknown(request) if link.way == ROOM else view(request, link)

    return behind_a_sent_link


@require_http_methods(["GET", "HEAD", "POST"])
@client_page
def feedback_form(request: HttpRequest, link: Link) -> HttpResponse:
    """The form of one request. Only POST changes anything; the first one counts.

    Where it is to say whose session it is about, and the page that was sent did not, as it was
    opened earlier, it is shown again. The managers are told of answers to one that does.
    """
    sent = request.POST if request.method == "POST" else None
    if not link.is_open:
        return _over(request, link, sent_again=sent is not None)
    asked, frame = link.asked, ClientFrame.of(link.asked, therapist=link.named_therapist())
    unsaid = frame.unsaid_on(ClientFrame.sent_with(request))
    form_of = partial(
        FeedbackForm, questionnaire=asked.questionnaire, contact=frame.contact, unsaid=unsaid
    )
    form = form_of(sent)
    if not form.is_valid():
        given_back = to_give_back(request)
        return page_of(
            request,
            link,
            "form",
            status=NOT_KEPT,
            form=form_of(given_back),
            asked=asked,
            therapist=frame.therapist,
            signed_frame=frame.signed(request),
            is_withheld=bool(sent) and given_back is None,
        )
    mode = AllianceRating.Mode.ROOM if link.way == ROOM else AllianceRating.Mode.LINK
    try:
        submit_response(request_id=asked.id, mode=mode, **form.submission())
    except (AlreadyAnswered, RequestClosed):
        asked.refresh_from_db(fields=["state"])
        return _over(request, link, sent_again=True)
    if frame.therapist and link.channel:
        # Its message went out before there was anything to tell: of a couple who were parted since.
        note_reached(link.channel)
    return redirect(address_of(request, "feedback_thanks", link))


@require_safe
@client_page
def feedback_thanks(request: HttpRequest, link: Link) -> HttpResponse:
    """Thanks, where there is something to thank for; else the form."""
    if link.asked.state != FeedbackRequest.State.ANSWERED:
        return redirect(address_of(request, "feedback_form", link))
    return page_of(request, link, "thanks")


@require_POST
@client_page
@for_the_client_alone
def feedback_fresh(request: HttpRequest, link: Link) -> HttpResponse:
    """Send a fresh link for a form that ran out, to the channel on record and nowhere else."""
    try:
        channel = send_fresh_link(request_id=link.asked.id)
    except RequestClosed:
        return _over(request, link, sent_again=False)
    # Shown at once: the link that was used to ask for it has ended with this.
    return page_of(request, link, "fresh_sent", kind=channel.kind)


@require_http_methods(["GET", "HEAD", "POST"])
@client_page
@for_the_client_alone
def feedback_stop(request: HttpRequest, link: Link) -> HttpResponse:
    """Stop messages, or choose between the recorded ways of reaching oneself."""
    sent = request.POST if request.method == "POST" else None
    if sent and "not_me" in sent:
        choices.not_for_me(asked=link.asked, way=link.way)
        return page_of(request, link, "not_for_me", stop_url="", kind=link.way)
    if sent and sent.get("List-Unsubscribe") == "One-Click":
        # RFC 8058: whoever asks is a mail program, which follows no redirect.
        stop_messages(client=link.client)
        sent = None
    form = StopForm(sent, channels=choices.on_offer(link.client), way=link.way)
    if not form.is_valid():
        context = {"form": form, "kind": link.way, "practice": link.client.practice}
        return page_of(request, link, "stop", stop_url="", **context)
    choices.choose(client=link.client, how=form.cleaned_data["how"])
    return redirect(address_of(request, "feedback_stop", link))


@client_page
def unknown_link(request: HttpRequest, link: Link) -> HttpResponse:
    """Whatever else is asked for below the address of the links."""
    return unknown(request)


def server_error(request: HttpRequest) -> HttpResponse:
    """handler500: what was typed is given back; for a client, with the crisis lines."""
    # By its address: what failed may be older than the choice of a view.
    if request.path.startswith(reverse("unknown_link")):
        return not_saved(request, status=500)
    # Without the processors, which ask the database for the reader.
    return HttpResponseServerError(render_to_string("500.html", {"request": request}))


def _over(request: HttpRequest, link: Link, *, sent_again: bool) -> HttpResponse:
    """The page of a link whose time is over: it says which, and what can still be done."""
    state = link.asked.state
    in_room = link.way == ROOM
    channel = None if in_room else fresh_link_channel(link.asked)
    is_answered = state == FeedbackRequest.State.ANSWERED
    sent = to_give_back(request)
    return page_of(
        request,
        link,
        "already_received" if is_answered else "link_ended",
        withdrawn=state == FeedbackRequest.State.CANCELLED,
        in_room=in_room,
        fresh_kind=channel.kind if channel else "",
        fresh_url=address_of(request, "feedback_fresh", link),
        sent_again=sent_again,
        comment=sent.get("comment", "") if sent else "",
    )
