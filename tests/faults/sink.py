"""A mail server on loopback that misbehaves: `python -m tests.faults.sink LOG` prints its port.

What it does to a mail stands in front of the recipient's address: `hang-`, `busy-` (450), `no-`
(550 5.1.1), `reset-` (the connection breaks as the mail begins), `drop-` (it takes the mail and
hangs up without a word), `once-` (the same, the first time). Each mail it took is a line of LOG:
recipient, Message-ID and the link in it, with tabs between.
"""

import asyncio
import re
import sys
from email.parser import BytesParser
from email.policy import default as modern_policy
from pathlib import Path

from aiosmtpd.smtp import SMTP, Envelope, Session

LINK = re.compile(r"https?://\S+/f/\S+")


class Sink:
    def __init__(self, log: Path) -> None:
        self.log = log.open("a", buffering=1)
        self.seen: set[str] = set()

    async def handle_RCPT(  # noqa: N802
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if address.startswith("hang-"):
            await asyncio.sleep(3600)
        if address.startswith("busy-"):
            return "450 4.2.1 busy"
        if address.startswith("no-"):
            return "550 5.1.1 no such user"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(  # noqa: N802
        self, server: "MailServer", session: Session, envelope: Envelope
    ) -> str:
        mail = BytesParser(policy=modern_policy).parsebytes(envelope.content or b"")
        body = mail.get_body(("plain",))  # type: ignore[attr-defined]
        link = LINK.search(body.get_content()) if body else None
        recipient = envelope.rcpt_tos[0]
        self.log.write(f"{recipient}\t{mail['Message-ID']}\t{link[0] if link else ''}\n")
        is_first = recipient not in self.seen
        self.seen.add(recipient)
        if recipient.startswith("drop-") or (recipient.startswith("once-") and is_first):
            server.hang_up()
        return "250 taken"


class MailServer(SMTP):
    def hang_up(self) -> None:
        if self.transport:
            self.transport.abort()

    async def smtp_DATA(self, arg: str) -> None:  # noqa: N802
        if self.envelope and self.envelope.rcpt_tos[0].startswith("reset-"):
            self.hang_up()
            return
        await super().smtp_DATA(arg)


async def serve(log: Path) -> None:
    loop, sink = asyncio.get_running_loop(), Sink(log)
    server = await loop.create_server(
        lambda: MailServer(sink, enable_SMTPUTF8=True, loop=loop), "127.0.0.1", 0
    )
    sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    await loop.run_in_executor(None, sys.stdin.read)  # until whoever started it is gone


if __name__ == "__main__":
    asyncio.run(serve(Path(sys.argv[1])))
