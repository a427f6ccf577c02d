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
from django.utils.translation import gettext_lazy

from apps.clients.models import Client
from apps.core.downloads import csv_text
from apps.exchange.records import TABLES, Treatments, everything, supplied

IN_JSON_ONLY = {
    "ruptures.Screening.inputs",
    "ruptures.Screening.outputs",
    "ruptures.Screening.rule_version",
    "ruptures.Screening.ratings_before",
    "ruptures.Screening.at_maximum_run",
    "ruptures.Screening.known_at",
}
"""Figures of the computation, which say nothing to a reader and could be taken for odds."""

NAMES = {
    "own_bond": gettext_lazy("the therapist’s own view: bond, 0–10"),
    "own_goals": gettext_lazy("the therapist’s own view: goals, 0–10"),
    "own_tasks": gettext_lazy("the therapist’s own view: tasks, 0–10"),
    "pomp": gettext_lazy("score, 0–100"),
    "bond": gettext_lazy("bond, 0–100"),
    "goals": gettext_lazy("goals, 0–100"),
    "tasks": gettext_lazy("tasks, 0–100"),
    "low": gettext_lazy("usual range from"),
    "high": gettext_lazy("usual range to"),
    "duration_min": gettext_lazy("length in minutes"),
    "asked": gettext_lazy("asked for feedback"),
    "is_late": gettext_lazy("came too late to be used"),
    "in_episode": gettext_lazy("within a possible rupture"),
    "channel_kind": gettext_lazy("sent by"),
    "therapy_session": gettext_lazy("session of"),
    "treatment": gettext_lazy("treatment that began on"),
    "episode": gettext_lazy("possible rupture of"),
    "opened_by": gettext_lazy("opened by the session of"),
    "worksheet": gettext_lazy("worksheet of"),
    "feedback_request": gettext_lazy("request of"),
}
VALUES = {
    ("attendance", "therapist_cancelled"): gettext_lazy("Cancelled by the therapist"),
    ("how", "therapist"): gettext_lazy("The therapist ended it"),
    ("level", 0): gettext_lazy("none"),
    ("level", 1): gettext_lazy("watch"),
    ("level", 2): gettext_lazy("possible rupture"),
    ("level", 3): gettext_lazy("possible rupture, marked"),
}
"""Words for the client; those of the pages speak to the therapist."""
SAID_BY = {
    "clients.Treatment": "starts_on",
    "therapy_sessions.TherapySession": "starts_at",
    "feedback.FeedbackRequest": "due_at",
    "ruptures.RuptureEpisode": "opened_at",
    "ruptures.Worksheet": "saved_at",
}
"""The day by which a reader knows a row that other rows point at."""


def access_export(client: Client, *, kept: Iterable[str], treatments: Treatments) -> bytes:
    """A zip with everything: `records.json` for machines, `records.html` for people.

    Args:
        kept, treatments: as for `records.everything`.
    """
    return zipped(access_files(client, kept=kept, treatments=treatments))


def access_files(
    client: Client, *, kept: Iterable[str], treatments: Treatments | None
) -> dict[str, str]:
    found = everything(client, kept=kept, treatments=treatments)
    html = render_to_string("exchange/document.html", document(found))
    return {"records.json": _json(found), "records.html": html}


def portable_copy(client: Client, *, treatments: Treatments) -> bytes:
    """A zip with what the client supplied, as JSON and, the ratings, as a table."""
    found = supplied(client, treatments=treatments)
    heads = ("questionnaire", "answered_at", "tension", "tension_resolved", "comment")
    items = sorted({item for rating in found["ratings"] for item in rating["answers"]})
    table = [[*heads, *items]] + [
        [
            *(_cell(rating[head]) for head in heads),
            *(rating["answers"].get(item, "") for item in items),
        ]
        for rating in found["ratings"]
    ]
    return zipped({"supplied.json": _json(found), "ratings.csv": csv_text(table)})


def document(found: dict[str, Any]) -> dict[str, Any]:
    """The same for people: tables with titles, columns in words, values as one would say them.

    A row that others point at is named by its day, where there are several; ids stay in the JSON.
    """
    days = {
        row["id"]: _say(row[name])
        for label, name in SAID_BY.items()
        for row in found["tables"][label]
        if len(found["tables"][label]) > 1
    }
    sections = [
        {
            "title": title,
            "rows": [
                _in_words(label, row, found["questions"], days) for row in found["tables"][label]
            ],
        }
        for label, title in TABLES.items()
    ]
    for title, rows in (
        (_("Messages"), found["messages"]),
        (_("Who looked, and what was changed"), found["who_looked"]),
    ):
        said = [
            [(key.replace("_", " "), _say(value).replace("_", " ")) for key, value in row.items()]
            for row in rows
        ]
        sections.append({"title": title, "rows": said})
    return found | {"sections": sections, "made_at": timezone.localtime()}


def _in_words(
    label: str, row: dict[str, Any], questions: dict[str, str], days: dict[UUID, str]
) -> list[tuple[str, str]]:
    model = apps.get_model(label)
    said = []
    for name, value in row.items():
        field: Any = model._meta.get_field(name)
        if isinstance(value, UUID):
            value = days.get(value) if name != "id" else None
        if f"{label}.{name}" in IN_JSON_ONLY or value in (None, "", [], {}):
            continue
        if name == "answers":
            # In the order of the form, which the database does not keep.
            said += [(text, _say(value[item])) for item, text in questions.items() if item in value]
            continue
        said.append((str(NAMES.get(name, field.verbose_name)), _word(name, field, value)))
    return said


def _word(name: str, field: Any, value: Any) -> str:
    """A value as the client would say it; a usual range ends where the scale does."""
    if isinstance(value, list):
        return ", ".join(_word(name, field.base_field, each) for each in value)
    if name in {"low", "high"}:
        return _say(min(max(value, 0.0), 100.0))
    choices = dict(getattr(field, "flatchoices", []))
    return str(VALUES.get((name, value)) or choices.get(value) or _say(value))


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


def zipped(files: dict[str, str]) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return made.getvalue()
