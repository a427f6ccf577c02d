"""Ratings files of tests, and what was stored of them; `load` and `refusal` import them."""

import json
from io import StringIO
from pathlib import Path
from typing import Any

from django.core.management import call_command

from apps.accounts.models import Membership
from apps.alliance.models import AllianceRating, Questionnaire
from apps.clients.models import Client, Treatment
from apps.core.models import AuditEntry
from apps.exchange.models import ImportedSession
from apps.ruptures.models import RuptureEpisode, Screening
from apps.therapy_sessions.models import TherapySession

STORED = (Client, Treatment, TherapySession, AllianceRating, Screening, ImportedSession)
V_SHAPE = (75, 75, 80, 80, 55, 75, 80, 80)
QUESTIONNAIRE = {
    "key": "four-items",
    "version": 1,
    "title": "Four items",
    "validated": False,
    "licence": {"name": "not attested", "source": "", "attested_on": None},
    "detection_form": "form5",
    "scale": {"minimum": 1, "maximum": 5},
    "items": [
        {"id": "b1", "subscale": "bond", "text": ""},
        {"id": "b2", "subscale": "bond", "text": ""},
        {"id": "g1", "subscale": "goals", "text": ""},
        {"id": "t1", "subscale": "tasks", "text": ""},
    ],
}
BY_NAME = "client,session,pomp,therapist"
RICH = """\
client,therapist,session,b1,b2,g1,t1,attended,asked,tension,resolved,therapist_tension,\
therapist_resolved,no_shows,gap_days
A,T1,2,4,4,4,4,,,0,2,,,1,
A,T1,3,4,4,4,5,,,,,0,,,
A,T1,5,5,4,4,5,,,0,,,,,
A,T1,6,,,,,0,,,,,,,
A,T1,7,4,4,5,5,,,1,4,1,4,,
A,T1,8,2,2,1,3,,,3,0,2,1,2,
A,T1,9,,,,,,0,,,,,,
A,T1,10,4,4,4,,,,0,,,,,50
A,T2,11,3,3,3,3,,,,,,,1,
A,T2,12,1,1,2,,,,4,,,,3,
A,T2,13,,,,,,,2,,,,,
B,T2,1,5,5,5,5,,,,,,,,
B,,4,5,5,5,5,,,,,,,,42
B,,5,1,1,1,1,0,,,,,,,
C,,1,3,3.5,3,3,,,,,,,,
"""


def csv(header: str, *rows: str) -> str:
    return "\n".join([header, *rows, ""])


def pomps(*values: float | None, client: str = "A") -> str:
    rows = (f"{client},{n},{'' if v is None else v}" for n, v in enumerate(values, start=1))
    return csv("client,session,pomp", *rows)


def stored_rows() -> list[list[Any]]:
    return [
        *(sorted(map(str, model.objects.values_list())) for model in (*STORED, RuptureEpisode)),
        sorted(map(str, Membership.objects.values_list("id", "name"))),
        sorted(map(str, Questionnaire.objects.values_list("id", "key"))),
        [AuditEntry.objects.count()],
    ]


def sessions_of(code: str) -> list[TherapySession]:
    return list(TherapySession.objects.filter(treatment__client__code=code).order_by("starts_at"))


def screenings() -> dict[tuple[str, str], dict[str, Any]]:
    return {
        (row.therapy_session.treatment.client.code, row.therapy_session.imported.place): row.outputs
        for row in Screening.objects.current()
        .select_related("therapy_session__treatment__client", "therapy_session__imported")
        .order_by("therapy_session__starts_at")
    }


def screened(path: Path, form: str = "form5") -> dict[tuple[str, str], dict[str, Any]]:
    """What `manage.py screen` prints about the same file."""
    printed = StringIO()
    call_command("screen", str(path), f"--form={form}", "--format=jsonl", stdout=printed)
    steps = {}
    for line in map(json.loads, printed.getvalue().splitlines()):
        place = line.pop("session") if "session" in line else line.pop("held_at")
        steps[line.pop("client"), str(place)] = line
    return steps
