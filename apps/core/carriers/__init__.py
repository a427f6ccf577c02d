"""How a message leaves: one carrier per channel, with connections that each thread keeps."""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from django.conf import settings
from django.utils.module_loading import import_string

from apps.core.models import OutboxMessage


class Unreachable(Exception):
    """The address does not exist, or takes nothing from us: another try is of no use."""


class AnsweredStop(Unreachable):
    """The phone answered STOP to our number: to whose message, in which practice, nobody knows."""


class MaybeSent(Exception):
    """The connection was lost after the whole message was handed over: nobody knows."""


@dataclass(frozen=True)
class RenderedMessage:
    """A message as it leaves: made at the last moment, stored nowhere.

    `subject`, `stop_url` and the language's direction are for email alone. `stop_url` is a page
    where a person, or their mail program by a POST (RFC 8058), stops such messages. `note_out` is
    called once the message is out, or may be.
    """

    recipient: str
    subject: str
    body: str
    sender_name: str
    channel: str = OutboxMessage.Channel.EMAIL
    language: str = "en-gb"
    stop_url: str = ""
    note_out: Callable[[], None] | None = None


class Carrier(Protocol):
    """Takes messages of one channel to where people read them.

    `send` returns when the message was accepted, and takes 15 s at most. It raises `Unreachable`
    or `MaybeSent` where that is known, anything else where another try may help.
    """

    def send(self, row: OutboxMessage, message: RenderedMessage) -> None: ...

    def close(self) -> None: ...


_own = threading.local()


def send(row: OutboxMessage, message: RenderedMessage) -> None:
    """Send by the carrier of the message's channel that this thread keeps."""
    kept: dict[str, Carrier] = _own.__dict__.setdefault("carriers", {})
    if message.channel not in kept:
        kept[message.channel] = import_string(settings.CARRIERS[message.channel])()
    kept[message.channel].send(row, message)


def close() -> None:
    """Close the connections of this thread."""
    for carrier in _own.__dict__.pop("carriers", {}).values():
        carrier.close()
