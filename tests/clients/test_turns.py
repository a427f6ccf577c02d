"""What somebody writes about a client while another one waits, or has the turn before them."""

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client as Browser
from django.urls import reverse
from django.utils import timezone

from apps.accounts.models import Membership
from apps.clients import services, turns
from apps.clients.models import Client, Treatment
from apps.core.models import AuditEntry, ClientKey
from apps.exchange.rights import erase_client
from apps.feedback.models import FeedbackRequest
from apps.therapy_sessions.models import ProcessNote, TherapySession
from tests.factories import TherapySessionFactory, TreatmentFactory


@pytest.fixture
def treatment(alice: Membership) -> Treatment:
    return TreatmentFactory.create(therapist=alice)


def sent(treatment: Treatment) -> dict[str, tuple[str, dict[str, object]]]:
    """A form of each page on which a therapist writes about a client: its address, its fields."""
    logged = TherapySessionFactory.create(treatment=treatment)
    planned = TherapySessionFactory.create(
        treatment=treatment,
        starts_at=timezone.now() + timedelta(days=9),
        attendance="",
        logged_at=None,
    )
    day, coming = (timezone.localdate() + timedelta(days=days) for days in (-2, 9))
    held = {"held_on": day, "start": "10:00", "minutes": "50"}
    details = {
        "initials": "K. M.", "country": "GB", "time_zone": "Europe/London", "language": "en-gb",
        "discussed_on": day, "consent": "agreed", "email": "kim@mail.example", "email_safe": "yes",
    }  # fmt: skip
    client, session = treatment.client_id, logged.id
    logging = {"treatment": treatment.id, "ask_by": "room", "process_note": "Mine."}
    plan = {"first_on": coming, "start": "9:00", "minutes": "50", "every_weeks": "0", "count": "1"}
    return {
        "details": (reverse("change_client", args=[client]), details),
        "pause": (
            reverse("pause_asking", args=[client]),
            {"reason": "Rest.", "review_on": coming},
        ),
        "log": (reverse("log_session"), held | logging | {"attendance": "attended"}),
        "plan": (reverse("plan_sessions", args=[client]), plan),
        "correct": (
            reverse("correct_session", args=[session]),
            held | {"attendance": "attended"},
        ),
        "move": (reverse("move_session", args=[planned.id]), held),
        "cancel": (reverse("cancel_session", args=[planned.id]), {}),
        "note": (reverse("process_note", args=[session]), {"text": "Mine.", "version": ""}),
    }


@pytest.mark.parametrize(
    "page", ["details", "pause", "log", "plan", "correct", "move", "cancel", "note"]
)
@pytest.mark.parametrize("gone", ["erased", "handed over"])
def test_who_waits_for_a_client_who_is_gone_then_finds_nobody_and_nothing_is_written(
    as_alice: Browser,
    charlie: Membership,
    mona: Membership,
    treatment: Treatment,
    monkeypatch: pytest.MonkeyPatch,
    page: str,
    gone: str,
) -> None:
    url, fields = sent(treatment)[page]
    waits, before, taken = services.wait_for_turn, written(), []
    assert turns.wait_for_turn is waits, "the middleware's own turn stays as it is"

    def waits_until_somebody_else_is_done(**which: Any) -> None:
        monkeypatch.setattr(services, "wait_for_turn", waits)
        if gone == "erased":
            erase_client(client=treatment.client, by=mona)
        else:
            services.hand_over_caseload(
                treatments=[treatment], to=charlie, on=timezone.localdate(), by=mona
            )
        taken.append(gone)
        waits(**which)

    monkeypatch.setattr(services, "wait_for_turn", waits_until_somebody_else_is_done)
    assert as_alice.post(url, fields).status_code == 404
    assert taken == [gone]
    assert written() == before, "with what was done in the same transaction here"


def written() -> list[object]:
    models = (Client, ClientKey, TherapySession, ProcessNote, FeedbackRequest, AuditEntry)
    return [list(model.objects.order_by("pk").values()) for model in models]
