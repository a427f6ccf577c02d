"""A connection to the mail server that is kept: what ends it, and what hangs on it."""

import socketserver
import threading
from collections.abc import Iterator

import pytest
from django.core.mail import EmailMessage
from pytest_django import Settings

from apps.core.carriers.smtp import EmailBackend

MAIL = EmailMessage("Ready", "Hello", "from@mail.example", ["k@mail.example"])


class _Conversation(socketserver.StreamRequestHandler):
    server: "MailServer"

    def handle(self) -> None:
        self.server.connections += 1
        self.wfile.write(b"220 here\r\n")
        while line := self.rfile.readline():
            verb = line[:4].upper()
            if verb == b"MAIL" and self.server.taken and self.server.connections == 1:
                if self.server.hangs:
                    self.server.is_over.wait()
                return
            if verb == b"DATA":
                self.wfile.write(b"354 go on\r\n")
                while self.rfile.readline() not in (b".\r\n", b""):
                    pass
                self.server.taken += 1
            self.wfile.write(b"221 bye\r\n" if verb == b"QUIT" else b"250 OK\r\n")
            if verb == b"QUIT":
                return


class MailServer(socketserver.ThreadingTCPServer):
    """Its first connection takes one mail; then it ends, or hangs."""

    connections = taken = 0
    hangs = False

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Conversation)
        self.is_over = threading.Event()


@pytest.fixture
def server(settings: Settings) -> Iterator[MailServer]:
    with MailServer() as server:
        settings.EMAIL_HOST, settings.EMAIL_PORT = server.server_address
        settings.EMAIL_HOST_USER = settings.EMAIL_HOST_PASSWORD = ""
        threading.Thread(target=server.serve_forever, args=[0.01]).start()
        yield server
        server.is_over.set()
        server.shutdown()


@pytest.fixture
def backend(server: MailServer) -> Iterator[EmailBackend]:
    backend = EmailBackend()
    backend.send_messages([MAIL])
    yield backend
    backend.close()


def test_a_kept_connection_that_the_server_ended_is_made_anew(
    server: MailServer, backend: EmailBackend
) -> None:
    assert backend.send_messages([MAIL]) == 1
    assert (server.connections, server.taken) == (2, 2)


def test_a_server_that_hangs_on_a_kept_connection_is_waited_for_once(
    server: MailServer, backend: EmailBackend
) -> None:
    server.hangs = True
    assert backend.connection
    assert backend.connection.sock
    backend.connection.sock.settimeout(0.2)
    with pytest.raises(OSError, match="timed out"):
        backend.send_messages([MAIL])
    assert (server.connections, server.taken) == (1, 1)


def test_a_message_that_was_cut_off_is_not_begun_again(
    server: MailServer, backend: EmailBackend, settings: Settings
) -> None:
    server.hangs = True
    settings.EMAIL_DEADLINE_S = 0.2
    with pytest.raises(OSError, match="closed"):
        backend.send_messages([MAIL])
    assert (server.connections, server.taken) == (1, 1)
