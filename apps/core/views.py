"""Pages of the house itself: health, the development outbox, and what a stale form gets."""

import email
from email.policy import default as modern_policy
from pathlib import Path

from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_safe

from apps.core import outbox


@login_not_required
@require_safe
def health(request: HttpRequest) -> JsonResponse:
    """Whether the database answers, and for how many seconds the oldest due message has waited."""
    oldest = next(iter(outbox.due(limit=1)), None)
    waiting = (timezone.now() - oldest.not_before).total_seconds() if oldest else 0
    return JsonResponse({"database": "up", "oldest_due_message_s": round(waiting)})


@login_not_required
@require_safe
def dev_outbox(request: HttpRequest) -> HttpResponse:
    """Mails that development wrote to a folder, newest first. Routed in development only."""
    files = sorted(Path(settings.MAIL_FOLDER).glob("*.log"), reverse=True)[:50]
    mails = []
    for file in files:
        message = email.message_from_bytes(file.read_bytes(), policy=modern_policy)
        body = message.get_body()
        text = body.get_content() if body else ""
        mails.append(
            {
                "recipient": message["To"],
                "sender": message["From"],
                "subject": message["Subject"],
                "sent_at": message["Date"],
                "text": text.rpartition("-" * 79)[0] or text,
            }
        )
    return render(request, "core/dev_outbox.html", {"mails": mails})


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    """A form that was open too long, or came from elsewhere: say how to go on, keep the text."""
    typed = [
        value
        for key, value in request.POST.items()
        if key != "csrfmiddlewaretoken" and "password" not in key and len(value) > 20
    ]
    return render(request, "403_csrf.html", {"typed": typed}, status=403)
