"""The files a client is given: everything that is kept, and what they supplied themselves."""

import io
import json
import zipfile
from collections.abc import Iterable
from datetime import date, datetime
from typing import Any
from uuid import UUID

from django.apps import apps
from django.core.serializers.json import DjangoJSONEncoder
from django.template.loader import render_to_string
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext as _

from apps.clients.models import Client
from apps.core.downloads import csv_text
from apps.exchange.records import TABLES, everything, supplied


def access_export(client: Client, *, kept: Iterable[str]) -> bytes:
    """A zip with everything: `records.json` for machines, `records.html` for people."""
    found = everything(client, kept=kept)
    html = render_to_string("exchange/document.html", document(found))
    return _zip({"records.json": _json(found), "records.html": html})


def portable_copy(client: Client) -> bytes:
    """A zip with what the client supplied, as JSON and, the ratings, as a table."""
    found = supplied(client)
    heads = ("questionnaire", "answered_at", "tension", "tension_resolved", "comment")
    items = sorted({item for rating in found["ratings"] for item in rating["answers"]})
    table = [[*heads, *items]] + [
        [
            *(_cell(rating[head]) for head in heads),
            *(rating["answers"].get(item, "") for item in items),
        ]
        for rating in found["ratings"]
    ]
    return _zip({"supplied.json": _json(found), "ratings.csv": csv_text(table)})


def document(found: dict[str, Any]) -> dict[str, Any]:
    """The same for people: tables with titles, columns in words, values as one would say them.

    Ids that only tie rows together stay in the JSON.
    """
    sections = [
        {"title": title, "rows": [_in_words(label, row) for row in found["tables"][label]]}
        for label, title in TABLES.items()
    ]
    for title, rows in (
        (_("Messages"), found["messages"]),
        (_("Who looked, and what was changed"), found["who_looked"]),
    ):
        said = [
            [(key.replace("_", " "), _say(value)) for key, value in row.items()] for row in rows
        ]
        sections.append({"title": title, "rows": said})
    return found | {"sections": sections, "made_at": timezone.localtime()}


def _in_words(label: str, row: dict[str, Any]) -> list[tuple[str, str]]:
    model = apps.get_model(label)
    said = []
    for name, value in row.items():
        field = model._meta.get_field(name)
        choices = dict(getattr(field, "flatchoices", []))
        is_id = isinstance(value, UUID)
        if not is_id and value not in (None, "", [], {}):
            words = str(choices[value]) if choices and value in choices else _say(value)
            said.append((str(getattr(field, "verbose_name", name)), words))
    return said


def _say(value: Any) -> str:
    if isinstance(value, bool):
        return _("yes") if value else _("no")
    if isinstance(value, datetime):
        return date_format(timezone.localtime(value), "j M Y, H:i")
    if isinstance(value, date):
        return date_format(value, "j M Y")
    if isinstance(value, float):
        return f"{value:.1f}"
    if isinstance(value, dict):
        return ", ".join(f"{key}: {_say(each)}" for key, each in value.items())
    if isinstance(value, list):
        return ", ".join(map(_say, value))
    return "–" if value is None else str(value)


def _cell(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else value


def _json(found: dict[str, Any]) -> str:
    return json.dumps(found, cls=DjangoJSONEncoder, ensure_ascii=False, indent=1)


def _zip(files: dict[str, str]) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return made.getvalue()
