"""HTTP as urllib3 speaks it, with an end to all waiting and a word for 'lost after the request'."""

import socket
from contextlib import suppress
from http.client import HTTPException
from threading import Timer
from typing import Any

import requests
import urllib3
from requests.adapters import HTTPAdapter

from apps.core.carriers import MaybeSent

WHOLE_CALL_S = 10.0
"""A server whose answer drips is broken off then; time-outs wait for each drop anew. With five
seconds to connect it is what a carrier may take."""


class _Ending:
    """A connection whose calls end after `WHOLE_CALL_S`, whatever still comes.

    Raises:
        MaybeSent: the request was handed over as a whole, and the answer was lost. What is lost
            before, as while the two agree on a cipher, is urllib3's error.
    """

    sock: Any
    _line: Any
    _end: Timer
    _is_broken_off: bool
    _is_whole: bool
    _is_read_later: bool

    def request(self, *args: Any, **kwargs: Any) -> None:
        self._is_broken_off = self._is_whole = False
        self._is_read_later = not kwargs.get("preload_content", True)
        self._line = None
        self._end = Timer(WHOLE_CALL_S, self._break_off)
        self._end.daemon = True
        self._end.start()
        try:
            super().request(*args, **kwargs)  # type: ignore[misc]
        except BaseException:
            self._end.cancel()
            raise
        self._is_whole = True

    def getresponse(self) -> Any:
        """The answer; where its body is read later, who read it calls `answer.call.has_ended`."""
        self._line = self.sock  # the connection lets go of one that ends with this answer
        try:
            answer = super().getresponse()  # type: ignore[misc]
        except (OSError, HTTPException, urllib3.exceptions.HTTPError) as error:
            self._end.cancel()
            if self._is_whole:
                raise MaybeSent from error
            raise
        if self._is_read_later:
            answer.call = self
        else:
            self.has_ended()
        return answer

    def has_ended(self) -> None:
        """Note that the answer was read to its end; MaybeSent where that was none."""
        self._end.cancel()
        if self._is_broken_off:
            raise MaybeSent

    def _break_off(self) -> None:
        self._is_broken_off = True
        with suppress(OSError, AttributeError):  # it ended meanwhile
            (self._line or self.sock).shutdown(socket.SHUT_RDWR)


class _Connection(_Ending, urllib3.connection.HTTPConnection):
    pass


class _SecureConnection(_Ending, urllib3.connection.HTTPSConnection):
    pass


class _Pool(urllib3.HTTPConnectionPool):
    ConnectionCls = _Connection


class _SecurePool(urllib3.HTTPSConnectionPool):
    ConnectionCls = _SecureConnection


POOLS = {"http": _Pool, "https": _SecurePool}


class Adapter(HTTPAdapter):
    """Gives a session of requests such connections, also by way of a proxy."""

    def get_connection_with_tls_context(self, *args: Any, **kwargs: Any) -> Any:
        pool: Any = super().get_connection_with_tls_context(*args, **kwargs)
        pool.ConnectionCls = _SecureConnection if pool.scheme == "https" else _Connection
        return pool

    def send(self, *args: Any, **kwargs: Any) -> requests.Response:
        """The answer with its body, which a session else reads later."""
        answer = super().send(*args, **kwargs)
        call: Any = answer.raw.call
        try:
            answer.content  # noqa: B018 - reads it
        except requests.RequestException as error:
            raise MaybeSent from error
        finally:
            call.has_ended()
        return answer
