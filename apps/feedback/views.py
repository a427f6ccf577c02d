"""The page that logs a session and asks for feedback."""

from typing import Any

from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from apps.accounts.permissions import MemberRequest, Permission, require
from apps.clients.models import Treatment
from apps.core import audit
from apps.feedback.log_form import LogSessionForm, logged_already
from apps.feedback.selectors import (
    Chosen,
    choose_session,
    client_card,
    next_today,
    when_sent,
)
from apps.feedback.services import CannotAsk, log_session_and_ask
from apps.feedback.tokens import ROOM
from apps.therapy_sessions.models import TherapySession
from apps.therapy_sessions.services import AlreadyLogged, OfAnother


@require(Permission.LOG_SESSION)
@require_http_methods(["GET", "HEAD", "POST"])
def log_session(request: MemberRequest) -> HttpResponse:
    """Log a session of one's own caseload (?session= or ?client= to start from), and ask."""
    chosen = choose_session(
        request.membership,
        session_id=request.GET.get("session", ""),
        client_id=request.GET.get("client", ""),
        at=timezone.now(),
    )
    if request.method != "POST" and chosen.session and chosen.session.attendance:
        messages.info(request, logged_already(chosen.session))
        return redirect("client", chosen.session.treatment.client_id)
    if "show" in request.POST:
        return redirect(_start_with(request))
    sent = request.POST if request.method == "POST" else None
    form = LogSessionForm(sent, member=request.membership, chosen=chosen, today=request.today)
    logged = _log(request, form) if form.is_valid() else None
    if logged is None:
        return render(request, "feedback/log_session.html", _context(request, form))
    if stays := _what_stays_planned(form.shown, logged):
        messages.info(request, stays)
    if form.cleaned_data["ask_by"] == ROOM:
        return redirect("in_room", logged.id)
    messages.success(request, _what_was_saved(logged))
    return redirect("client", logged.treatment.client_id)


def _start_with(request: MemberRequest) -> str:
    """The page again, filled in for the client that was chosen in it."""
    treatments = Treatment.objects.conducted_by(request.membership)
    own = {str(each.id): each.client_id for each in treatments}
    client_id = own.get(request.POST.get("treatment", ""))
    return reverse("log_session") + (f"?client={client_id}" if client_id else "")


def _log(request: MemberRequest, form: LogSessionForm) -> TherapySession | None:
    """Log and ask; None where that is not possible, and the form says why."""
    try:
        return log_session_and_ask(by=request.membership, **form.log())
    except CannotAsk as error:
        form.add_error("ask_by", str(error))
    except TherapySession.DoesNotExist:  # handed over meanwhile
        raise Http404 from None
    except OfAnother as error:
        form.add_error("held_on", str(error))
    except AlreadyLogged:
        form.add_error(
            "start", _("This session was logged a moment ago, and stays as it was logged then.")
        )
    return None


def _context(request: MemberRequest, form: LogSessionForm) -> dict[str, Any]:
    now = timezone.now()
    starts_at, treatment = form.starts_at, form.shown.treatment
    # Whoever is on the page's list is on the page.
    on_the_list = [each.client_id for each in form.treatments]
    audit.read(
        "view page to log a session",
        client_ids=on_the_list,
        target=treatment.client if treatment else None,
        by=request.membership,
    )
    context: dict[str, Any] = {
        "form": form,
        "has_clients": bool(on_the_list),
        "next_session": next_today(request.membership, after=starts_at or now),
    }
    if treatment is None:
        return context
    client = treatment.client
    card = client_card(treatment, starts_at=starts_at or now, at=now)
    ends_at = starts_at + form.duration if starts_at else None
    when = when_sent(client, ends_at=ends_at, at=now)
    form.fit_to(client, missing=card.missing, when=when)
    return context | {"card": card}


def _what_stays_planned(chosen: Chosen, logged: TherapySession) -> str:
    """That the session which was asked for, or waits to be logged, is not the one that was logged;
    '' where it is."""
    session = chosen.session
    if session is None or session == logged or session.attendance:
        return ""
    if not (chosen.by_id or session.starts_at <= timezone.now()):
        return ""
    start = date_format(timezone.localtime(session.starts_at), "D j M, H:i")
    return _(
        "The session planned for %(start)s stays in the diary until it is logged, also as cancelled"
        " or missed."
    ) % {"start": start}


def _what_was_saved(session: TherapySession) -> str:
    asked = session.feedback_requests.first()
    if asked is None or not asked.channel_kind:
        return _("The session is logged. Nothing is sent.")
    if asked.due_at <= timezone.now():
        return _("The session is logged. The form goes out now.")
    due = date_format(timezone.localtime(asked.due_at), "D j M, H:i")
    return _("The session is logged. The form goes out on %(due)s.") % {"due": due}
