"""How fast one worker sends, against a bare smtplib loop to the same mail server.

Both send the same number of mails to a mail server in a process of its own: the loop a finished
mail over one connection, the worker real feedback requests: claimed, rendered, sent, noted.
"""

import smtplib
import sys
import time
from dataclasses import dataclass

from django.conf import settings

from apps.core import carriers, outbox
from apps.core.carriers.email import compose
from apps.core.models import OutboxMessage
from tests.faults.faults import addresses
from tests.faults.lab import Lab

PROMISED = 0.2


@dataclass(frozen=True)
class Throughput:
    """Mails a second, bare and by one worker."""

    messages: int
    bare: float
    worker: float

    @property
    def ratio(self) -> float:
        return self.worker / self.bare

    def __str__(self) -> str:
        held = "held" if self.ratio >= PROMISED else "NOT HELD"
        return (
            f"Throughput, {self.messages} mails: bare loop {self.bare:.0f}/s, one worker "
            f"{self.worker:.0f}/s, ratio {self.ratio:.2f} (promised {PROMISED})  {held}"
        )


def throughput(lab: Lab, *, messages: int) -> Throughput:
    settings.EMAIL_BACKEND = "apps.core.carriers.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", lab.port
    settings.ALLOWED_RECIPIENTS = None
    settings.OUTBOX_SLOTS = lab.slots
    (first,) = lab.requests(["first@mail.example"])
    rendered = carriers.RenderedMessage(
        "k@mail.example", "Your short form is ready", "Hello,\n\nhttps://a.example/f/x/", "Fernbank"
    )
    mail = compose(first, rendered).message().as_bytes(linesep="\r\n")
    began = time.monotonic()
    with smtplib.SMTP("127.0.0.1", lab.port) as bare:
        for _ in range(messages):
            bare.sendmail(settings.DEFAULT_FROM_EMAIL, ["k@mail.example"], mail)
    bare_s = time.monotonic() - began
    lab.requests(addresses(messages - 1))
    began = time.monotonic()
    out = outbox.deliver_due(for_s=600)
    worker_s = time.monotonic() - began
    assert out == messages == lab.counts()[OutboxMessage.State.SENT], (out, lab.counts())
    return Throughput(messages, messages / bare_s, messages / worker_s)


def main(messages: int) -> int:
    with Lab() as lab:
        measured = throughput(lab, messages=messages)
    sys.stdout.write(f"{measured}\n")
    return 0 if measured.ratio >= PROMISED else 1
