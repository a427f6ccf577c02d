"""What somebody typed into a form that could not be taken: given back in the answer, to be copied.

Nothing is stored for it. `apps.accounts.drafts` keeps, for an hour, what was sent after a session
had ended.
"""

import re
from collections.abc import Callable
from typing import Any

from django.core.files.uploadhandler import FileUploadHandler, SkipFile
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.functional import Promise

from apps.core.forms import NO_FORM

# Their answers are short, or secret.
WITHOUT_WORDS = {"theme", "switch_practice", "login", "logout", "health", "kept_draft"}
PREFIXES_WITHOUT_WORDS = ("mfa_", "account_")
# Fields for people's own words, of which one may look like a choice.
IN_WORDS = re.compile(
    r"comment|needs|next_action|note_\w+|\w*note|notes|reason|review|text|tried|wish|words"
)

Fields = list[tuple[str, list[str]]]


class NoFiles(FileUploadHandler):
    """No page takes a file: what comes as one is read past, 64 KB at a time, and kept nowhere."""

    def new_file(self, *args: Any, **kwargs: Any) -> None:
        raise SkipFile


def may_hold_words(request: HttpRequest) -> bool:
    """Whether it sends a form other than those of signing in, of the theme and the like."""
    name = (request.resolver_match and request.resolver_match.url_name) or ""
    is_short = name in WITHOUT_WORDS or name.startswith(PREFIXES_WITHOUT_WORDS)
    return request.method == "POST" and not is_short


def typed_fields(request: HttpRequest) -> Fields:
    """Every field that the request sends, with its values; without passwords and files."""
    try:
        sent = request.POST.lists()
    except NO_FORM:
        return []
    return [
        (name, values)
        for name, values in sent
        if name != "csrfmiddlewaretoken" and "password" not in name
    ]


def is_written(name: str, value: str) -> bool:
    """Whether a person wrote it: choices, days and ids are one word of plain letters, in fields of
    other names.

    >>> is_written("to", "She was quiet."), is_written("note_open", "quiet"), is_written("to", "me")
    (True, True, False)
    """
    said = value.strip()
    in_words = IN_WORDS.fullmatch(name) is not None
    return bool(said) and (in_words or any(sign.isspace() or not sign.isascii() for sign in said))


def typed_texts(request: HttpRequest) -> list[str]:
    """What was written by hand in the form that this request sends."""
    if not may_hold_words(request):
        return []
    fields = typed_fields(request)
    return [value for name, values in fields for value in values if is_written(name, value)]


def not_taken(request: HttpRequest, why: str | Promise, *, back: str) -> HttpResponse:
    """The answer to a form that came too late: why, what was typed, and the way `back`."""
    return render(request, "not_taken.html", {"why": why, "back": back}, status=409)


class NoStoreMiddleware:
    """No browser keeps an answer, whoever it is for and whatever failed: it may give back what was
    typed, or say who is a client. The first of all, past which none leaves; static files say
    themselves how long they are kept."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        response.headers.setdefault("Cache-Control", "no-store")
        return response
