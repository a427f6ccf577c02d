"""Email: by any SMTP server, or by a provider that django-anymail knows."""

import smtplib
import time
from email.utils import formataddr

from anymail.backends.base_requests import AnymailRequestsBackend
from anymail.exceptions import AnymailRequestsAPIError
from django.conf import settings
from django.core.mail import EmailMultiAlternatives, get_connection
from django.core.mail.backends.smtp import EmailBackend as SmtpBackend
from django.template.loader import render_to_string
from django.utils.translation import get_language_info

from apps.core.carriers import MaybeSent, RenderedMessage, Unreachable
from apps.core.carriers.http import Adapter
from apps.core.carriers.refusals import is_no_mailbox
from apps.core.models import OutboxMessage

# Servers end connections that rest or carry too much; a new one is cheaper than a refusal.
KEPT_FOR_S = 10.0
KEPT_FOR_MESSAGES = 100


def compose(row: OutboxMessage, message: RenderedMessage) -> EmailMultiAlternatives:
    """The mail: the text, and the same in simple HTML. A crash's second copy has the same id."""
    host = settings.DEFAULT_FROM_EMAIL.rpartition("@")[2]
    headers = {
        "Message-ID": f"<{row.id}.{row.attempts}@{host}>",
        "Auto-Submitted": "auto-generated",
    }
    if message.stop_url:
        headers |= {
            "List-Unsubscribe": f"<{message.stop_url}>",
            "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
        }
    mail = EmailMultiAlternatives(
        subject=one_line(message.subject),
        body=message.body,
        from_email=formataddr((one_line(message.sender_name), settings.DEFAULT_FROM_EMAIL)),
        to=[message.recipient],
        headers=headers,
    )
    is_rtl = get_language_info(message.language.split("-")[0])["bidi"]
    context = {"body": message.body, "language": message.language, "is_rtl": is_rtl}
    mail.attach_alternative(render_to_string("messages/layout.html", context), "text/html")
    # Providers hand it back with a bounce; SMTP servers never see it.
    mail.metadata = {"practice": str(row.practice_id), "message": str(row.id)}  # type: ignore[attr-defined]
    return mail


def one_line(text: str) -> str:
    """A header's text: a line break in it would begin a header of its own."""
    return " ".join(text.split())


class EmailCarrier:
    """Keeps a connection to the SMTP server for the messages that follow."""

    def __init__(self) -> None:
        self._connection = get_connection()
        self._carried = 0
        self._used_at = 0.0

    def send(self, row: OutboxMessage, message: RenderedMessage) -> None:
        mail = compose(row, message)
        rested = time.monotonic() - self._used_at > KEPT_FOR_S
        if rested or self._carried >= KEPT_FOR_MESSAGES:
            self.close()
        try:
            self._carry(mail)
        except smtplib.SMTPRecipientsRefused as refused:
            self.close()
            answers = refused.recipients.values()
            if all(
                is_no_mailbox(f"{code} {said.decode(errors='replace')}") for code, said in answers
            ):
                raise Unreachable from refused
            raise
        except AnymailRequestsAPIError as error:
            self.close()
            # Taken, in words that anymail fails to read. It reads a refusal, whatever its status.
            if error.__context__ and 200 <= (error.status_code or 0) < 300:
                raise MaybeSent from error
            raise
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        self._connection.close()
        self._carried = 0

    def _carry(self, mail: EmailMultiAlternatives) -> None:
        if isinstance(self._connection, AnymailRequestsBackend):
            self._connection.open()
            for scheme in ("http://", "https://"):
                self._connection.session.mount(scheme, Adapter())
        self._connection.send_messages([mail])
        self._used_at = time.monotonic()
        if isinstance(self._connection, SmtpBackend):
            self._carried += 1
        else:
            self._connection.close()
