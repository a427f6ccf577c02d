"""Pages of the house itself: health, the development outbox, and what a stale form gets."""

import email
from email.mime.text import MIMEText
from email.policy import default as modern_policy
from email.utils import format_datetime
from pathlib import Path
from uuid import uuid4

from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.contrib.sessions.exceptions import SessionInterrupted
from django.http import HttpRequest, HttpResponse, HttpResponseBadRequest, JsonResponse
from django.shortcuts import render
from django.template.loader import render_to_string
from django.utils import timezone
from django.utils.translation import gettext
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST, require_safe

from apps.core import outbox, sending
from apps.core.form_tokens import is_own_form

BETWEEN = b"\n" + b"-" * 79 + b"\n"
"""What Django's file backend writes after each mail."""


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """handler400. Where the session ended meanwhile, what it sent may have been carried out;
    it is given back."""
    was_signed_out = isinstance(exception, SessionInterrupted)
    # Without the processors: what cannot be read may be the host or the session.
    context = {"was_signed_out": was_signed_out, "request": request if was_signed_out else None}
    return HttpResponseBadRequest(render_to_string("400.html", context))


@login_not_required
@require_safe
def health(request: HttpRequest) -> JsonResponse:
    """Whether the database answers, and whether messages go out at all, and in time.

    Not since when one waits: it is due two hours after a session, and strangers read this.
    """
    return JsonResponse(
        {
            "database": "up",
            "messages": "late" if outbox.is_late() else "in time",
            "sending": "paused" if sending.paused() else "on",
        }
    )


@login_not_required
@require_safe
def dev_outbox(request: HttpRequest) -> HttpResponse:
    """Mails that development wrote to a folder, newest first. Routed in development only."""
    files = sorted(Path(settings.MAIL_FOLDER).glob("*.log"), reverse=True)[:50]
    mails = []
    # A worker adds mails to one file as long as it keeps its connection.
    for content in (mail for file in files for mail in reversed(file.read_bytes().split(BETWEEN))):
        if not content.strip():
            continue
        message = email.message_from_bytes(content, policy=modern_policy)
        body = message.get_body(preferencelist=("plain",))
        text = body.get_content() if body else ""
        mails.append(
            {
                "recipient": message["To"],
                "sender": message["From"],
                "subject": message["Subject"],
                "sent_at": message["Date"],
                "text": text,
            }
        )
    return render(request, "core/dev_outbox.html", {"mails": mails})


@csrf_exempt
@login_not_required
@require_POST
def dev_text_gateway(request: HttpRequest, account: str) -> JsonResponse:
    """A text gateway for development: takes what a real one takes, and puts it to the mails."""
    if "Authorization" not in request.headers:
        return JsonResponse({"code": 20003}, status=403)
    text = MIMEText(request.POST.get("Body", ""), "plain", "utf-8")
    text["Subject"] = gettext("Text message")
    text["From"], text["To"] = request.POST.get("From", ""), request.POST.get("To", "")
    text["Date"] = format_datetime(timezone.now())
    folder = Path(settings.MAIL_FOLDER)
    folder.mkdir(parents=True, exist_ok=True)
    name = f"{timezone.now():%Y%m%d-%H%M%S}-text-{uuid4().hex}.log"
    (folder / name).write_bytes(text.as_bytes())
    return JsonResponse({"sid": f"SM{uuid4().hex}", "status": "queued"}, status=201)


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    """A form that was open too long, or came from elsewhere: say how to go on."""
    return render(request, "403_csrf.html", {"is_own": is_own_form(request)}, status=403)
