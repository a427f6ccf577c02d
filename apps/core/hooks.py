"""Addresses that mail providers and text gateways report to. Only signed reports count."""

from uuid import UUID

from anymail.exceptions import AnymailConfigurationError, AnymailWebhookValidationFailure
from anymail.signals import EventType, RejectReason
from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.utils.module_loading import import_string
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods, require_POST

from apps.core import reports
from apps.core.carriers.refusals import ANSWERED_STOP, NO_SUCH_NUMBER, is_no_mailbox
from apps.core.carriers.text import is_signed
from apps.core.forms import NO_FORM, UNREADABLE
from apps.core.models import OutboxMessage
from apps.core.outbox import Outcome

FORBIDDEN = 403
NO_CONTENT = 204
# The provider tries no more.
GIVEN_UP = {EventType.BOUNCED, EventType.REJECTED, EventType.FAILED}
# Refused for good: Mailgun says so, and calls what it tried for long, in vain, by other names;
# Mandrill says nothing, and what the server answered.
HARD = {RejectReason.BOUNCED, None}
# "This is spam", or the provider's own way out: both are a person's word.
NO_MORE = {EventType.COMPLAINED, EventType.UNSUBSCRIBED}
TEXT_OUTCOMES = {
    "delivered": Outcome.DELIVERED,
    "undelivered": Outcome.LOST,
    "failed": Outcome.LOST,
}


# Each report is a transaction of its own: one that held all its clients' turns could meet another
# that holds them in another order.
@transaction.non_atomic_requests
@csrf_exempt
@login_not_required
@require_http_methods(["GET", "HEAD", "POST"])
def email_report(request: HttpRequest) -> HttpResponse:
    """Reports of the mail provider, read and checked by django-anymail. Mandrill asks by HEAD
    before it gives out the key by which they are checked; without it none counts."""
    if request.method != "POST":
        return HttpResponse()
    if not settings.EMAIL_WEBHOOK:
        return HttpResponse(status=FORBIDDEN)
    try:
        provider = import_string(settings.EMAIL_WEBHOOK)()
        provider.run_validators(request)
        events = provider.parse_events(request)
    except (AnymailConfigurationError, AnymailWebhookValidationFailure, *UNREADABLE):
        return HttpResponse(status=FORBIDDEN)
    for event in events:
        _note_event(event)
    return HttpResponse(status=NO_CONTENT)


def _note_event(event: object) -> None:
    kind = getattr(event, "event_type", "")
    outcome = None
    if kind == EventType.DELIVERED:
        outcome = Outcome.DELIVERED
    elif kind in NO_MORE:
        outcome = Outcome.COMPLAINED
    elif kind in GIVEN_UP:
        is_hard = getattr(event, "reject_reason", None) in HARD
        answer = str(getattr(event, "mta_response", None) or "")
        outcome = Outcome.BOUNCED if is_hard and is_no_mailbox(answer) else Outcome.LOST
    about = getattr(event, "metadata", None) or {}
    try:
        ids = {"practice_id": UUID(about["practice"]), "message_id": UUID(about["message"])}
    except (KeyError, ValueError, TypeError, AttributeError):
        return  # about something that Rapport did not send
    if outcome:
        reports.note(outcome=outcome, channel=OutboxMessage.Channel.EMAIL, **ids)


@csrf_exempt
@login_not_required
@require_POST
def text_report(request: HttpRequest, practice_id: UUID, message_id: UUID) -> HttpResponse:
    """Reports of the text gateway."""
    url = settings.BASE_URL + request.get_full_path()
    given = request.headers.get("X-Twilio-Signature", "")
    try:
        said = request.POST.dict()
    except NO_FORM:
        return HttpResponse(status=FORBIDDEN)
    if not is_signed(url, said, given=given):
        return HttpResponse(status=FORBIDDEN)
    outcome, code = TEXT_OUTCOMES.get(said.get("MessageStatus", "")), said.get("ErrorCode")
    if outcome == Outcome.LOST and code == ANSWERED_STOP:
        outcome = Outcome.REFUSED
    elif outcome == Outcome.LOST and code in NO_SUCH_NUMBER:
        outcome = Outcome.BOUNCED
    if outcome:
        reports.note(
            practice_id=practice_id,
            message_id=message_id,
            outcome=outcome,
            channel=OutboxMessage.Channel.TEXT,
        )
    return HttpResponse(status=NO_CONTENT)
