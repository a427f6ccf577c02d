"""Files that people take away: always saved, never run."""

import csv
import io
import re
from collections.abc import Iterable, Sequence
from typing import IO

from django.http import FileResponse, HttpResponse

# A spreadsheet of East Asia takes their full-width forms for them.
SIGNS = "=+\\-@＝＋－＠"
FORMULA = re.compile(rf"[{SIGNS}\t\r]|\s+[{SIGNS}]")
# Where a spreadsheet parts lists by semicolons, a row's quotes part nothing and can vanish.
# A client can make it long: what may stand before a cell is looked at once, not from each sign on.
BEFORE_FORMULA = re.compile(rf'(?<![\s";])[\s";]+(?=[{SIGNS}])')
PARTS = set(";\t\r\n")


def download(content: bytes, *, name: str, content_type: str) -> HttpResponse:
    """A file to save under `name`, which says nothing about anybody."""
    return HttpResponse(content, content_type=content_type, headers=_headers(name))


def download_file(file: IO[bytes], *, name: str, content_type: str) -> FileResponse:
    """The same of an open file, which is sent piece by piece and closed."""
    return FileResponse(file, content_type=content_type, headers=_headers(name))


def _headers(name: str) -> dict[str, str]:
    return {
        "Content-Disposition": f'attachment; filename="{name}"',
        "X-Content-Type-Options": "nosniff",
    }


def csv_text(rows: Iterable[Sequence[object]]) -> str:
    """A CSV file whose cells no spreadsheet takes for a formula.

    >>> csv_text([["=1+1", 5]])
    "'=1+1,5\\r\\n"
    """
    text = io.StringIO()
    csv.writer(text).writerows([[guarded(cell) for cell in row] for row in rows])
    return text.getvalue()


def guarded(cell: object) -> object:
    """The cell, with an apostrophe before what could be a formula; numbers stay."""
    if not isinstance(cell, str):
        return cell
    return ("'" if FORMULA.match(cell) else "") + BEFORE_FORMULA.sub(
        lambda run: run[0] + ("" if PARTS.isdisjoint(run[0]) else "'"), cell
    )
