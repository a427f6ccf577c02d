"""Text messages: by a gateway that speaks the HTTP API of Twilio, which several others copy.

Form fields To, From, Body and StatusCallback are posted to `…/Accounts/{account}/Messages.json`
with basic authentication; 201 means accepted, 400 carries a `code`. Reports on what became of a
message are posted to StatusCallback, signed (`is_signed`).
See https://www.twilio.com/docs/messaging/api/message-resource and …/docs/usage/security.
"""

import base64
import hmac
import json
from collections.abc import Mapping
from urllib.parse import unquote, urlsplit

import urllib3
from django.conf import settings
from django.urls import reverse
from django.utils.crypto import constant_time_compare

from apps.core.carriers import AnsweredStop, RenderedMessage, Unreachable
from apps.core.carriers.http import POOLS
from apps.core.carriers.refusals import ANSWERED_STOP, NO_SUCH_NUMBER
from apps.core.forms import UNREADABLE
from apps.core.models import OutboxMessage

TIMEOUT = urllib3.Timeout(connect=5, read=10)


class GatewayRefused(Exception):
    """The gateway did not take the message; a later try may help."""


class TextCarrier:
    """Keeps its connections to the gateway for the messages that follow."""

    def __init__(self) -> None:
        self._pool = urllib3.PoolManager(timeout=TIMEOUT, retries=False)
        self._pool.pool_classes_by_scheme = POOLS

    def send(self, row: OutboxMessage, message: RenderedMessage) -> None:
        url = urlsplit(settings.TEXT_GATEWAY_URL)
        if not url.hostname:
            raise GatewayRefused
        report = reverse("text_report", args=[row.practice_id, row.id])
        account, token = unquote(url.username or ""), unquote(url.password or "")
        answer = self._pool.request(
            "POST",
            f"{url.scheme}://{url.netloc.rpartition('@')[2]}{url.path}"
            f"/2010-04-01/Accounts/{account}/Messages.json",
            fields={
                "To": message.recipient,
                "From": settings.TEXT_SENDER,
                "Body": message.body.strip(),
                "StatusCallback": settings.BASE_URL + report,
            },
            encode_multipart=False,
            headers=urllib3.make_headers(basic_auth=f"{account}:{token}"),
        )
        if answer.status in (200, 201):
            return
        code = _code(answer.data) if answer.status == 400 else ""
        if code == ANSWERED_STOP:
            raise AnsweredStop
        if code in NO_SUCH_NUMBER:
            raise Unreachable
        raise GatewayRefused

    def close(self) -> None:
        self._pool.clear()


def _code(body: bytes) -> str:
    try:
        return str(json.loads(body)["code"])
    except UNREADABLE:
        return ""


def signature(url: str, fields: Mapping[str, str], *, token: str) -> str:
    """What the gateway puts into X-Twilio-Signature: HMAC-SHA-1 of address and sorted fields.

    The example of Twilio's documentation:

    >>> fields = {
    ...     "CallSid": "CA1234567890ABCDE",  # pragma: allowlist secret
    ...     "Caller": "+14158675309", "Digits": "1234",
    ...     "From": "+14158675309", "To": "+18005551212"}
    >>> signature("https://mycompany.com/myapp.php?foo=1&bar=2", fields, token="12345")
    'RSOYDt4T1cUTdK1PDd93/VVr8B8='
    """
    text = url + "".join(f"{name}{fields[name]}" for name in sorted(fields))
    return base64.b64encode(hmac.digest(token.encode(), text.encode(), "sha1")).decode()


def is_signed(url: str, fields: Mapping[str, str], *, given: str) -> bool:
    """Whether a report on `url` comes from our gateway."""
    token = unquote(urlsplit(settings.TEXT_GATEWAY_URL).password or "")
    return bool(token) and constant_time_compare(given, signature(url, fields, token=token))
