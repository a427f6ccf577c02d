import os
import re
from collections.abc import Iterable
from typing import TYPE_CHECKING

from django.core.wsgi import get_wsgi_application

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")


def in_utf8(answer: "WSGIApplication") -> "WSGIApplication":
    """Serve every request as UTF-8, whatever charset it claims.

    Rapport's pages send nothing else, and of some claims (`hex`, `utf-7`) Django breaks before any
    middleware.
    """

    def answer_in_utf8(
        environ: "WSGIEnvironment", start_response: "StartResponse"
    ) -> Iterable[bytes]:
        kind = environ.get("CONTENT_TYPE", "")
        environ["CONTENT_TYPE"] = re.sub(r";\s*charset=[^;]*", "", kind, flags=re.IGNORECASE)
        return answer(environ, start_response)

    return answer_in_utf8


application = in_utf8(get_wsgi_application())

from apps.core.tenancy import refuse_powerful_role  # noqa: E402 - needs the application set up

refuse_powerful_role()
