"""SMTP as Django speaks it, with an end to all waiting and a word for 'lost after DATA'."""

import contextlib
import smtplib
import socket
import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING

from django.conf import settings
from django.core.mail.backends import smtp
from django.core.mail.message import EmailMessage

from apps.core.carriers import MaybeSent

if TYPE_CHECKING:
    _Base = smtplib.SMTP
else:
    _Base = object


class _KnowsWhatIsOut(_Base):
    """Tells a message that was cut off from one that was handed over and not acknowledged."""

    _is_whole = False

    def send(self, s: bytes | str) -> None:  # type: ignore[override]
        self._is_whole = False
        super().send(s)
        self._is_whole = isinstance(s, bytes) and s.endswith(b"\r\n.\r\n")

    def data(self, msg: bytes | str) -> tuple[int, bytes]:  # type: ignore[override]
        try:
            return super().data(msg)
        except OSError as error:  # SMTPException is one, and so is a time-out
            if self._is_whole:
                raise MaybeSent from error
            raise


class _Smtp(_KnowsWhatIsOut, smtplib.SMTP):
    pass


class _SmtpSsl(_KnowsWhatIsOut, smtplib.SMTP_SSL):
    pass


class EmailBackend(smtp.EmailBackend):
    """Django's backend; it keeps its connection until `close`.

    `EMAIL_TIMEOUT` bounds each wait; a server that drips a byte now and then is cut off after
    `EMAIL_DEADLINE_S` all the same. Where the server ended a connection that was kept, a new one
    is tried within the same time; where it hung, none is.
    """

    _is_cut = False

    @property
    def connection_class(self) -> type[smtplib.SMTP]:
        return _SmtpSsl if self.use_ssl else _Smtp

    def send_messages(self, email_messages: Sequence[EmailMessage]) -> int:
        deadline = threading.Timer(settings.EMAIL_DEADLINE_S, self._cut)
        deadline.daemon = True
        self._is_cut = False
        deadline.start()
        try:
            is_new = self.open()
            try:
                return super().send_messages(email_messages)
            except (smtplib.SMTPServerDisconnected, ConnectionError) as lost:
                # smtplib makes 'disconnected' of a time-out too.
                hung = self._is_cut or isinstance(lost.__context__, TimeoutError)
                if is_new or hung:
                    raise
            # Nothing of this message is out yet.
            self.close()
            self.open()
            return super().send_messages(email_messages)
        finally:
            deadline.cancel()

    def _cut(self) -> None:
        self._is_cut = True
        connection = self.connection
        if connection and connection.sock:
            with contextlib.suppress(OSError):
                connection.sock.shutdown(socket.SHUT_RDWR)
