"""How messages leave: mail in two forms, text messages, and what a carrier makes of a refusal."""

import re
import smtplib
import socket
import struct
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from datetime import datetime
from email.headerregistry import Address
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Event, Thread
from typing import Any
from uuid import UUID, uuid4

import pytest
from anymail.exceptions import AnymailRequestsAPIError
from django.core import mail
from django.test import Client as Browser
from django.utils import timezone
from pytest_django import Settings
from urllib3 import Timeout
from urllib3.exceptions import HTTPError

from apps.core import outbox, tenancy
from apps.core.carriers import AnsweredStop, MaybeSent, RenderedMessage, Unreachable
from apps.core.carriers.email import EmailCarrier, compose
from apps.core.carriers.refusals import is_no_mailbox
from apps.core.carriers.text import GatewayRefused, TextCarrier
from apps.core.models import OutboxMessage
from tests.feedback.test_client_form import shown

State = OutboxMessage.State
ROW = OutboxMessage(id=uuid4(), practice_id=uuid4())


def message(**also: Any) -> RenderedMessage:
    said = {"recipient": "k@mail.example", "subject": "Ready", "sender_name": "Fernbank"}
    return RenderedMessage(**{"body": "Hello,\n\nhttps://a.example/f/x_-1/\n", **said, **also})


def test_a_mail_says_the_same_as_text_and_as_simple_html() -> None:
    made = compose(ROW, message()).message()
    text, html = made.get_payload()
    assert (text.get_content_type(), html.get_content_type()) == ("text/plain", "text/html")
    assert "https://a.example/f/x_-1/" in text.get_payload()
    markup = html.get_payload()
    assert 'href="https://a.example/f/x_-1/"' in markup
    assert not any(word in markup for word in ("<img", "src=", "style", "<script"))
    assert made["Auto-Submitted"] == "auto-generated"
    assert "List-Unsubscribe" not in made


def test_a_mail_that_can_be_stopped_says_how() -> None:
    made = compose(ROW, message(stop_url="https://a.example/f/x/stop/")).message()
    assert made["List-Unsubscribe"] == "<https://a.example/f/x/stop/>"
    assert made["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"


@pytest.mark.parametrize(
    "name",
    ["Fernbank", "Łąka, Praxis „Grün“", "عيادة", 'A "B" <c@d.example>', "A\r\nBcc: x@y.example"],
)
def test_any_name_of_a_sender_becomes_one_header(name: str, settings: Settings) -> None:
    made = compose(ROW, message(sender_name=name, subject=f"{name} – ready")).message()
    raw = made.as_bytes()
    headers = raw.partition(b"\n\n")[0]
    assert headers.isascii()
    assert b"\nBcc" not in headers
    sender: Any = mail.message.sanitize_address(made["From"], "utf-8")
    assert sender.endswith(f"<{settings.DEFAULT_FROM_EMAIL}>")
    assert Address(addr_spec=settings.DEFAULT_FROM_EMAIL).domain in sender


def test_a_mail_in_arabic_runs_from_right_to_left() -> None:
    html = compose(ROW, message(language="ar")).message().get_payload()[1]
    assert re.search(r'lang="ar"\s+dir="rtl"', html.get_payload(decode=True).decode())


def put(kind: str = "note") -> OutboxMessage:
    practice_id, now = uuid4(), timezone.now()
    with tenancy.practice(practice_id):
        return OutboxMessage.objects.create(
            practice_id=practice_id, kind=kind, subject_id=uuid4(), not_before=now, due_at=now
        )


def reread(row: OutboxMessage) -> OutboxMessage:
    with tenancy.practice(row.practice_id):
        row.refresh_from_db()
    return row


told: list[tuple[UUID, str]] = []


def render(subject_id: UUID) -> RenderedMessage:
    return message()


def tell(subject_id: UUID, *, channel: str, sent_at: datetime, outcome: outbox.Outcome) -> None:
    told.append((subject_id, channel))


@pytest.fixture
def note(settings: Settings) -> None:
    settings.OUTBOX_RENDERERS = {"note": f"{__name__}.render"}
    settings.OUTBOX_UNREACHABLE = {"note": f"{__name__}.tell"}
    told.clear()


def refuse(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    def refuse(backend: Any, messages: Any) -> None:
        raise error

    monkeypatch.setattr("django.core.mail.backends.locmem.EmailBackend.send_messages", refuse)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("answer", "state", "is_told"),
    [
        ((550, b"5.1.1 no such user"), State.FAILED, True),
        ((550, b"5.7.1 policy"), State.PENDING, False),
        ((550, b"relay not permitted"), State.PENDING, False),
        ((550, b"5.1.8 <f@x.example>: Sender address rejected: not found"), State.PENDING, False),
        ((451, b"4.3.0 later"), State.PENDING, False),
    ],
)
def test_a_mailbox_that_does_not_exist_is_told_at_once_and_not_tried_again(
    note: None,
    monkeypatch: pytest.MonkeyPatch,
    answer: tuple[int, bytes],
    state: str,
    is_told: bool,
) -> None:
    refuse(monkeypatch, smtplib.SMTPRecipientsRefused({"k@mail.example": answer}))
    row = put()
    assert outbox.deliver_due() == 0
    assert reread(row).state == state
    assert told == ([(row.subject_id, "email")] if is_told else [])


@pytest.mark.parametrize(
    "answer",
    [
        "550 5.1.1 <k@mail.example>: Recipient address rejected: User unknown in relay table",
        "550 5.1.1 The email account that you tried to reach\n5.1.1 does not exist.",
        "550 5.1.10 RESOLVER.ADR.RecipientNotFound; Recipient not found by SMTP address lookup",
        "556 5.1.10 Recipient address has null MX",
        "smtp;550 5.1.2 no such host",
        "553 sorry, no mailbox here by that name. (#5.1.1)",
        "550 User unknown",
        "550 No Such User Here",
        "550 Unrouteable address",
        "550 Mailbox does not exist",
        "550 Invalid recipient",
        "554 delivery error: no such user",
        "550 5.1.1 <your.sender@mail.example>: user unknown",
        "550 5.1.1 user does not exist, your message was rejected",
    ],
)
def test_a_refusal_that_speaks_of_the_mailbox_says_that_there_is_none(answer: str) -> None:
    assert is_no_mailbox(answer)


@pytest.mark.parametrize(
    "answer",
    [
        "550 relay not permitted",
        "550 Sender verify failed",
        "550 Verification failed for <forms@x.example>\nNo Such User Here\nSender verify failed",
        "550 5.1.0 <forms@x.example>: Sender address rejected: User unknown in local table",
        "550 5.1.7 <forms@x.example>: Sender address rejected: undeliverable address",
        "550 5.1.8 <forms@x.example>: Sender address rejected: Domain not found",
        "550 5.1.1 <forms@x.example>: Sender address rejected: User unknown",
        "553 sorry, that domain isn't in my list of allowed rcpthosts (#5.7.1)",
        "550 5.7.1 No such user",
        "550 5.7.1 Service unavailable; client host [5.1.1.20] blocked using a list",
        "550 client host [5.1.1.20] is on a list",
        "550 5.7.26 This mail has been blocked because the sender is unauthenticated",
        "554 5.7.1 Message rejected as spam",
        "552 5.2.2 mailbox full",
        "550 5.2.1 mailbox disabled",
        "550 Requested action not taken: mailbox unavailable",
        "550 Authentication required",
        "550 Unknown user: authenticate first",
        "550 account not found: forms@x.example may not relay",
        "535 invalid user name",
        "450 4.1.1 User unknown",
        "450 User unknown",
        "smtp;450 User unknown",
        "550",
        "",
    ],
)
def test_a_refusal_that_speaks_of_us_of_the_moment_or_of_a_policy_says_nothing_of_the_mailbox(
    answer: str,
) -> None:
    assert not is_no_mailbox(answer)


@pytest.mark.django_db(transaction=True)
def test_a_message_in_doubt_is_held_and_sent_once_more_with_the_same_id(
    note: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = put()
    with monkeypatch.context() as patch:
        refuse(patch, MaybeSent())
        outbox.deliver_due()
        assert (reread(row).state, row.doubts, row.attempts) == (State.UNCERTAIN, 1, 0)
        assert outbox.due(limit=9) == []
    with tenancy.practice(row.practice_id):
        OutboxMessage.objects.update(not_before=timezone.now())
    assert outbox.deliver_due() == 1
    assert mail.outbox[0].extra_headers["Message-ID"].startswith(f"<{row.id}.0@")


@pytest.mark.django_db(transaction=True)
def test_a_second_doubt_is_the_last(note: None, monkeypatch: pytest.MonkeyPatch) -> None:
    row = put()
    refuse(monkeypatch, MaybeSent())
    for _ in range(3):
        outbox.deliver_due()
        with tenancy.practice(row.practice_id):
            OutboxMessage.objects.update(not_before=timezone.now())
    assert (reread(row).state, row.doubts) == (State.UNCERTAIN, 2)


@pytest.mark.django_db(transaction=True)
def test_a_copy_of_production_writes_to_nobody_who_is_not_listed(
    note: None, settings: Settings
) -> None:
    for allowed, state in (
        ([], State.CANCELLED),
        (["@mail.example.org", "other@mail.example"], State.CANCELLED),
        (["@mail.example"], State.SENT),
        (["k@mail.example"], State.SENT),
    ):
        settings.ALLOWED_RECIPIENTS = allowed
        row = put()
        outbox.deliver_due()
        assert reread(row).state == state
    assert len(mail.outbox) == 2


# ── HTTP: mail providers and text gateways ─────────────────────────────────────────────────────


@contextmanager
def taking(answer: bytes, *, then_rests: bool = False) -> Iterator[str]:
    """The address of a server that reads one request as a whole and says `answer`."""
    over = Event()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.wfile.write(answer)
            if then_rests:
                over.wait(9)

        def log_message(self, *args: Any) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        taker = Thread(target=server.handle_request)
        taker.start()
        try:
            yield f"127.0.0.1:{server.server_port}"
        finally:
            over.set()
            taker.join()


@contextmanager
def hanging_up() -> Iterator[str]:
    """The address of a server that resets a connection as the client says hello."""

    def hang_up() -> None:
        taken, _address = server.accept()
        taken.recv(9)
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        taken.close()

    with socket.create_server(("127.0.0.1", 0)) as server:
        hanger = Thread(target=hang_up)
        hanger.start()
        yield f"127.0.0.1:{server.getsockname()[1]}"
        hanger.join()


@pytest.fixture(params=["email", "text"])
def carry(request: pytest.FixtureRequest, settings: Settings, monkeypatch: pytest.MonkeyPatch):
    """Send a message by a mail provider, or by a text gateway, at an address."""
    waits = (0.5, 0.5)
    monkeypatch.setattr("apps.core.carriers.text.TIMEOUT", Timeout(*waits))

    def carry(url: str) -> None:
        settings.TEXT_GATEWAY_URL = url.replace("//", "//a:b@")
        settings.EMAIL_BACKEND = "anymail.backends.mailgun.EmailBackend"
        settings.ANYMAIL = {
            "MAILGUN_API_KEY": "key",  # pragma: allowlist secret
            "MAILGUN_SENDER_DOMAIN": "mail.example",
            "MAILGUN_API_URL": f"{url}/v3",
            "REQUESTS_TIMEOUT": waits,
        }
        carrier = {"email": EmailCarrier, "text": TextCarrier}[request.param]()
        with closing(carrier):
            carrier.send(ROW, message(recipient="+447700900123@mail.example", channel="text"))

    return carry


TAKEN = b'HTTP/1.1 201 Created\r\nContent-Length: 33\r\n\r\n{"id":"<x>","message":"Queued. "}'


def test_what_is_taken_is_sent(carry) -> None:
    with taking(TAKEN) as address:
        carry(f"http://{address}")


@pytest.mark.parametrize("then_rests", [False, True])
@pytest.mark.parametrize("answer", [b"", TAKEN[:8], TAKEN[:-20]])
def test_what_is_handed_over_and_not_answered_as_a_whole_may_be_out(
    carry, answer: bytes, then_rests: bool
) -> None:
    with taking(answer, then_rests=then_rests) as address, pytest.raises(MaybeSent):
        carry(f"http://{address}")


@pytest.mark.parametrize("carry", ["email"], indirect=True)
@pytest.mark.parametrize(
    ("words", "error"),
    [
        (b"<html>", MaybeSent),
        (b'{"a": 1}', MaybeSent),
        (b'{"id": "", "message": "Not today"}', AnymailRequestsAPIError),
    ],
)
def test_what_a_provider_takes_in_words_that_nobody_understands_may_be_out(
    carry, words: bytes, error: type[Exception]
) -> None:
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(words), words)
    with taking(answer) as address, pytest.raises(error):
        carry(f"http://{address}")


def test_what_was_not_handed_over_is_tried_again(carry) -> None:
    """The line is cut as the two agree on a cipher: nothing of the message is out."""
    with hanging_up() as address, pytest.raises((OSError, HTTPError)):
        carry(f"https://{address}")


HEAD = b"HTTP/1.1 201 Created\r\n"


@pytest.mark.parametrize(
    "begins", [HEAD + b"X-Drip: ", HEAD + b"Content-Length: 9999\r\n\r\n", HEAD + b"\r\n"]
)
@pytest.mark.parametrize("is_last", [False, True])
def test_who_answers_in_drips_is_broken_off(
    carry, monkeypatch: pytest.MonkeyPatch, begins: bytes, is_last: bool
) -> None:
    """They may have taken the message, so that it is not sent again at once."""
    monkeypatch.setattr("apps.core.carriers.http.WHOLE_CALL_S", 0.3)
    if is_last:  # the connection ends with it
        begins = begins.replace(HEAD, HEAD + b"Connection: close\r\n")
    dripped, over = 0, Event()
    whole = 500  # ten seconds

    def drip(server: socket.socket) -> None:
        nonlocal dripped
        taken, _address = server.accept()
        with taken, suppress(OSError):
            taken.recv(1 << 16)
            taken.sendall(begins)
            while dripped < whole and not over.wait(0.02):
                taken.sendall(b".")
                dripped += 1

    with socket.create_server(("127.0.0.1", 0)) as server:
        dripping = Thread(target=drip, args=[server])
        dripping.start()
        try:
            with pytest.raises(MaybeSent):
                carry(f"http://127.0.0.1:{server.getsockname()[1]}")
        finally:
            over.set()
            dripping.join()
    assert 0 < dripped < whole, "it was answering all the time"


# ── Text messages ──────────────────────────────────────────────────────────────────────────────


@pytest.mark.django_db(transaction=True)
def test_a_text_goes_to_developments_gateway_and_is_shown_with_the_mails(
    live_server: Any, settings: Settings, tmp_path: Path, client: Browser
) -> None:
    settings.MAIL_FOLDER = tmp_path
    settings.TEXT_GATEWAY_URL = f"{live_server.url}/dev/texts".replace("//", "//a:b@", 1)
    carrier = TextCarrier()
    for body in ("Hello\nhttps://a.example/f/x/\n", "سلام 🙂"):
        carrier.send(ROW, message(recipient="+447700900123", body=body, channel="text"))
    carrier.close()
    page = shown(client.get("/dev/outbox/"))
    for words in ("Text message", "+447700900123", "https://a.example/f/x/", "سلام 🙂"):
        assert words in page


class Gateway:
    """Answers as a text gateway does."""

    def __init__(self, status: int, body: bytes) -> None:
        self.status, self.data = status, body

    def request(self, *args: Any, **kwargs: Any) -> "Gateway":
        return self


@pytest.mark.parametrize(
    ("status", "body", "error"),
    [
        (400, b'{"code": 21211}', Unreachable),
        (400, b'{"code": 21614}', Unreachable),
        (400, b'{"code": "21635"}', Unreachable),
        (400, b'{"code": 21610}', AnsweredStop),
        (400, b'{"code": 21612}', GatewayRefused),
        (400, b'{"code": 30001}', GatewayRefused),
        (400, b"<html>", GatewayRefused),
        (400, b"[21211]", GatewayRefused),
        (429, b"", GatewayRefused),
        (503, b"", GatewayRefused),
    ],
)
def test_what_a_gateway_refuses_is_tried_again_or_given_up(
    status: int, body: bytes, error: type[Exception], settings: Settings
) -> None:
    settings.TEXT_GATEWAY_URL = "https://a:b@gateway.example"
    carrier = TextCarrier()
    carrier._pool = Gateway(status, body)  # type: ignore[assignment]
    with pytest.raises(error):
        carrier.send(ROW, message(channel="text"))


def test_without_a_gateway_a_text_waits(settings: Settings) -> None:
    settings.TEXT_GATEWAY_URL = ""
    with pytest.raises(GatewayRefused):
        TextCarrier().send(ROW, message(channel="text"))
