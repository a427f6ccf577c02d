"""Which language a client's page speaks. Staff pages have one: `settings.LANGUAGE_CODE`."""

from typing import Any

from django.conf import settings
from django.core.exceptions import SuspiciousOperation
from django.http import HttpRequest
from django.utils.translation import get_language_from_request, get_language_info

CHOSEN = "lang"


def chosen(request: HttpRequest) -> dict[str, str]:
    """What an address needs to keep the language chosen on the page, as a query.

    A query that cannot be read chooses none: the page that says so asks here too.
    """
    try:
        code = request.GET.get(CHOSEN, "")
    except SuspiciousOperation:
        return {}
    return {CHOSEN: code} if code in dict(settings.LANGUAGES) else {}


def language_for(request: HttpRequest, recorded: str) -> str:
    """The language chosen on the page, else the client's as recorded, else the browser's."""
    return chosen(request).get(CHOSEN) or recorded or get_language_from_request(request)


def menu(current: str) -> dict[str, Any]:
    """What `components/language_menu.html` asks for: each language by its own name."""
    return {
        "language_name": _own_name(current),
        "languages": [
            {
                "code": code,
                "name": _own_name(code),
                "url": f"?{CHOSEN}={code}",
                "bidi": get_language_info(code)["bidi"],
            }
            for code, _name in settings.LANGUAGES
            if code != current
        ],
    }


def _own_name(code: str) -> str:
    """'English' for en-gb, 'Deutsch' for de."""
    name: str = get_language_info(code.split("-")[0])["name_local"]
    return name[:1].upper() + name[1:]
