"""Clients whose texts sing, whose treatment has ended, and who holds; ratings that are imported."""

import io
import json
import zipfile
from datetime import date, datetime
from io import StringIO
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import time_machine
from django.core.management import CommandError, call_command
from django.test import Client as Browser

from apps.accounts.models import Membership, Practice, Role
from apps.alliance.models import Cause
from apps.clients.models import Treatment, TwoPersonRequest
from apps.exchange.tasks import propose_erasures
from apps.ruptures.repair import Sheet, StepEntry, save_worksheet
from apps.ruptures.services import record_outcome
from apps.therapy_sessions.services import save_process_note
from tests.exchange.importing import QUESTIONNAIRE, stored_rows
from tests.exchange.singing import CANARY
from tests.factories import PASSWORD, TreatmentFactory, comment_on, rate

NOON = datetime(2026, 6, 10, 12, tzinfo=ZoneInfo("Europe/London"))
NOTE = "canary of a process note"


@pytest.fixture
def treatment(alice: Membership) -> Treatment:
    """A treatment in which every text sings."""
    treatment = TreatmentFactory.create(
        therapist=alice,
        falling=True,
        approach=f"{CANARY} talk",
        client__code=f"C-{CANARY}",
        client__initials="canary-k",
        client__email=f"{CANARY}@mail.example",
    )
    session = treatment.therapy_sessions.latest("starts_at")
    rating = comment_on(session, f"{CANARY} comment")
    rating.causes = [Cause.MISUNDERSTANDING]
    rating.save()
    session.not_asked_note = f"{CANARY} not asked"
    session.save()
    save_process_note(therapy_session=session, text=f"{CANARY} note", by=alice)
    episode = treatment.episodes.get()
    sheet = Sheet(next_action=f"{CANARY} next", steps={"open": StepEntry(f"{CANARY} step")})
    save_worksheet(episode=episode, sheet=sheet, opened_version=0, by=alice)
    record_outcome(episode=episode, outcome="not_a_rupture", reason=f"{CANARY} reason", by=alice)
    return treatment


@pytest.fixture
def alices(treatment: Treatment, as_alice: Browser) -> Browser:
    """alice, who has just proved again who she is."""
    as_alice.post("/sign-in/again/", {"password": PASSWORD})
    return as_alice


@pytest.fixture
def ended(alice: Membership) -> Treatment:
    """A treatment whose only session and whose end were on 10 June 2026."""
    with time_machine.travel(NOON, tick=False):
        treatment = TreatmentFactory.create(therapist=alice, client__code="=OLD-1")
        [session] = rate(treatment, [80])
        comment_on(session, "the client's comment")
        save_process_note(therapy_session=session, text=NOTE, by=alice)
        treatment.ends_on = NOON.date()
        treatment.save()
    return treatment


def fresh(browser: Browser) -> Browser:
    browser.post("/sign-in/again/", {"password": PASSWORD})
    return browser


def hold(practice: Practice, holder: Membership) -> None:
    practice.record_holder = holder
    practice.save()


def manages(member: Membership) -> None:
    member.roles = [*member.roles, Role.MANAGER]
    member.save()


def propose(day: date) -> list[TwoPersonRequest]:
    """What waits for a second person once Rapport proposed what it does on this day."""
    with time_machine.travel(datetime(day.year, day.month, day.day, 12, tzinfo=NOON.tzinfo)):
        propose_erasures()
        return list(TwoPersonRequest.objects.filter(closed_at=None))


def files(response: Any) -> dict[str, str]:
    """What is packed in an answer, by name."""
    with zipfile.ZipFile(io.BytesIO(response.getvalue())) as archive:
        return {name: archive.read(name).decode() for name in archive.namelist()}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "four.json").write_text(json.dumps(QUESTIONNAIRE), encoding="utf-8")
    return tmp_path


@pytest.fixture
def load(practice: Practice, folder: Path):
    """Import a text into alice's practice; return what is printed."""

    def run(text: str | bytes, **options: Any) -> str:
        (folder / "ratings.csv").write_bytes(text if isinstance(text, bytes) else text.encode())
        printed = StringIO()
        arguments = {
            "practice": practice.name,
            "questionnaire": str(folder / "four.json"),
            "therapist": "T0",
            **options,
        }
        call_command(
            "import_ratings",
            str(folder / "ratings.csv"),
            *(f"--{name.replace('_', '-')}={value}" for name, value in arguments.items()),
            stdout=printed,
            stderr=StringIO(),
        )
        return printed.getvalue()

    return run


@pytest.fixture
def refusal(load):
    """Import a text that is refused; return the message after the file name."""

    def run(text: str | bytes, **options: Any) -> str:
        before = stored_rows()
        with pytest.raises(CommandError) as refused:
            load(text, **options)
        assert refused.value.returncode == 2
        assert stored_rows() == before
        assert str(refused.value).endswith("Nothing was stored.")
        return str(refused.value).partition("ratings.csv, ")[2]

    return run
