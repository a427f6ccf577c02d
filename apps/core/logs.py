"""Logs without people: one JSON object a line, and nothing in it that a person typed.

An error is told by its class and by where it happened, never by its message: Django, PostgreSQL and
libraries quote in it what they refused.
"""

import re
import traceback
from collections.abc import Iterator
from typing import Any

import structlog
from structlog.types import EventDict

# For Django, the worker and the web server alike.
CONFIGURATION: dict[str, Any] = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"()": "apps.core.logs.JsonLines"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["stderr"], "level": "INFO"},
    # The web server writes addresses of requests that broke off.
    "loggers": {"gunicorn.error": {"handlers": ["stderr"], "level": "INFO", "propagate": False}},
}

# Whoever holds the token of a link can use it; an address of a person is a person.
# A stranger can fill a line: an address is looked for once a word, not anew from each of its signs.
SCRUBBED = [
    (re.compile(r"/(f|link|calendar|weekly-mail)/[^\s\"']+"), r"/\1/…"),
    (re.compile(r"\?\S+"), "?…"),
    (re.compile(r"(?<![^\s<>\"'=:(])[^\s<>\"'=:(]+@[^\s<>\"']+"), "…@…"),
    (re.compile(r"\+\d[\d ]{7,}\d"), "+…"),
]


def scrub(text: str) -> str:
    """Take out tokens, what was searched for, email addresses and telephone numbers.

    >>> scrub("Not Found: /f/SECRET/ for kim@mail.example or +44 7700 900123")
    'Not Found: /f/… for …@… or +…'
    >>> scrub("GET /caseload/?q=O'Brien broke off")
    'GET /caseload/?… broke off'
    """
    for pattern, instead in SCRUBBED:
        text = pattern.sub(instead, text)
    return text


def chain(error: BaseException | None) -> Iterator[BaseException]:
    """The error and what led to it, the last one first."""
    while error:
        yield error
        error = error.__cause__ or error.__context__


def without_messages(_logger: Any, _method: str, event: EventDict) -> EventDict:
    """Replace the error of a record by classes and places; take its words out of the line too.

    So are the words of an address: the route says where it was, and what led nowhere is typed.
    """
    request = getattr(event["_record"], "request", None)
    if path := getattr(request, "path", "").strip("/"):
        for written in (path, path.encode("unicode_escape").decode()):  # as Django does
            event["event"] = str(event["event"]).replace(written, "…")
    info = event.pop("exc_info", None)
    error = info[1] if isinstance(info, tuple) else info
    if isinstance(error, BaseException):
        told = []
        for each in chain(error):
            for words in filter(None, (repr(each), str(each))):
                event["event"] = str(event["event"]).replace(words, type(each).__name__)
            frames = traceback.extract_tb(each.__traceback__)
            places = [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames]
            told.append({"error": type(each).__name__, "at": places})
        event["errors"] = told
    event["event"] = scrub(str(event["event"]))
    return event


class JsonLines(structlog.stdlib.ProcessorFormatter):
    """One line of JSON: when, how bad, who says it, what, and under which request and route."""

    def __init__(self) -> None:
        super().__init__(
            foreign_pre_chain=[
                structlog.stdlib.add_log_level,
                structlog.stdlib.add_logger_name,
                structlog.contextvars.merge_contextvars,
                structlog.processors.TimeStamper(fmt="iso", utc=True),
            ],
            processors=[
                without_messages,
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.JSONRenderer(ensure_ascii=False, sort_keys=True),
            ],
        )
