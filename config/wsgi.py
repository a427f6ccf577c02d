import os
import re
from collections.abc import Iterable
from io import BytesIO
from typing import TYPE_CHECKING

from django.core.wsgi import get_wsgi_application

if TYPE_CHECKING:
    from wsgiref.types import InputStream, StartResponse, WSGIApplication, WSGIEnvironment

# RFC 2046; no sign that could begin another parameter.
BOUNDARY = re.compile(r"""\bboundary="?([\w'()+,\-./:=?]+)""", re.ASCII | re.IGNORECASE)

# A form has at most 4 MiB (config/settings.py): of more, no more is read before it is refused.
MOST = 5 * 1024 * 1024

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")


def in_utf8(answer: "WSGIApplication") -> "WSGIApplication":
    """Serve every request as UTF-8, whatever charset it claims.

    Rapport's pages send nothing else, and of some claims (`hex`, `utf-7`) Django breaks before any
    middleware. There are many ways to write one, so only the boundary between parts is let through.
    """

    def answer_in_utf8(
        environ: "WSGIEnvironment", start_response: "StartResponse"
    ) -> Iterable[bytes]:
        kind, _, rest = environ.get("CONTENT_TYPE", "").partition(";")
        found = BOUNDARY.search(rest)
        environ["CONTENT_TYPE"] = f'{kind}; boundary="{found[1]}"' if found else kind
        return answer(environ, start_response)

    return answer_in_utf8


class WholeBody:
    """A body of which all that was announced comes, or an error: Django would take what there is of
    a form that broke off for all of it."""

    def __init__(self, body: "InputStream") -> None:
        self.body = body
        self.readline = body.readline

    def read(self, size: int) -> bytes:
        read = self.body.read(size)
        if len(read) < size:
            raise ConnectionError(f"the connection broke off {size - len(read)} bytes early")
        return read


def in_whole(answer: "WSGIApplication") -> "WSGIApplication":
    """Have a form read to its end, or not at all.

    What comes in chunks has no length, and Django would take it for empty: a mail program's
    one-click may come so, or a report.
    """

    def answer_in_whole(
        environ: "WSGIEnvironment", start_response: "StartResponse"
    ) -> Iterable[bytes]:
        body = environ["wsgi.input"]
        if environ.get("HTTP_TRANSFER_ENCODING") and not environ.get("CONTENT_LENGTH"):
            sent = body.read(MOST)
            environ |= {"wsgi.input": BytesIO(sent), "CONTENT_LENGTH": str(len(sent))}
        else:
            environ["wsgi.input"] = WholeBody(body)
        return answer(environ, start_response)

    return answer_in_whole


application = in_whole(in_utf8(get_wsgi_application()))

from apps.core.tenancy import refuse_powerful_role  # noqa: E402 - needs the application set up

refuse_powerful_role()
