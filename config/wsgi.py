import os
import re
from collections.abc import Iterable
from typing import TYPE_CHECKING

from django.core.wsgi import get_wsgi_application

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

# RFC 2046; no sign that could begin another parameter.
BOUNDARY = re.compile(r"""\bboundary="?([\w'()+,\-./:=?]+)""", re.ASCII | re.IGNORECASE)

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


application = in_utf8(get_wsgi_application())

from apps.core.tenancy import refuse_powerful_role  # noqa: E402 - needs the application set up

refuse_powerful_role()
