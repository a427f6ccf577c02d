"""What somebody writes about a client while another one waits, or has the turn before them."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import partial
from types import ModuleType
from typing import Any

import pytest
from django.test import Client as Browser
from django.urls import reverse
from django.utils import timezone

from apps.accounts.models import Membership, Role
from apps.accounts.services import change_roles, deactivate_member
from apps.clients import handing_over, services, turns
from apps.clients.models import Client, Treatment, TwoPersonRequest
from apps.core import tenancy
from apps.core.models import AuditEntry, ClientKey
from apps.endings.services import close_treatment
from apps.exchange.rights import erase_client
from apps.feedback.models import FeedbackRequest
from apps.therapy_sessions.models import ProcessNote, TherapySession
from tests.at_once import elsewhere
from tests.conftest import signed_in
from tests.factories import PASSWORD, TherapySessionFactory, TreatmentFactory


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


@pytest.fixture
def events(
    alice: Membership, charlie: Membership, mona: Membership, treatment: Treatment
) -> dict[str, Callable[[], object]]:
    """What others do meanwhile."""
    given = {"to": charlie, "on": timezone.localdate()}
    themselves = Membership.objects.get(id=alice.id)
    return {
        "erased": lambda: erase_client(client=treatment.client, by=mona),
        "handed over": lambda: handing_over.pass_on(treatment, **given, by=mona),
        "their role": lambda: change_roles(member=themselves, roles=[Role.SUPERVISOR], by=mona),
        "their place": lambda: deactivate_member(member=themselves, by=mona),
    }


def happens_first(
    event: Callable[[], object], *, in_: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> list[bool]:
    """Let it happen to the first who waits for a turn there; the list then says so."""
    waits, happened = in_.wait_for_turn, []

    def waits_until_somebody_else_is_done(*among: Any, **which: Any) -> None:
        monkeypatch.setattr(in_, "wait_for_turn", waits)
        event()
        happened.append(True)
        waits(*among, **which)

    monkeypatch.setattr(in_, "wait_for_turn", waits_until_somebody_else_is_done)
    return happened


@pytest.mark.parametrize(
    "page", ["details", "pause", "log", "plan", "correct", "move", "cancel", "note"]
)
@pytest.mark.parametrize("gone", ["erased", "handed over", "their role", "their place"])
def test_who_waits_for_a_client_who_is_gone_then_finds_nobody_and_nothing_is_written(
    as_alice: Browser,
    events: dict[str, Callable[[], object]],
    treatment: Treatment,
    monkeypatch: pytest.MonkeyPatch,
    page: str,
    gone: str,
) -> None:
    url, fields = sent(treatment)[page]
    assert turns.wait_for_turn is services.wait_for_turn, "the middleware's stays as it is"
    before = written()
    happened = happens_first(events[gone], in_=services, monkeypatch=monkeypatch)
    assert as_alice.post(url, fields).status_code == (403 if gone.startswith("their") else 404)
    assert happened
    assert written() == before, "with what was done in the same transaction here"


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("page", ["end_pause", "reopen_treatment", "close_erasure"])
def test_who_may_not_know_of_a_client_waits_for_nobody_who_writes_about_them(
    alice: Membership, charlie: Membership, page: str
) -> None:
    """As the therapist before: the time of a 404 would tell that they are still treated here."""
    before = TreatmentFactory.create(therapist=charlie)
    client = before.client
    ending = close_treatment(treatment=before, how="agreed", review="", by=charlie)
    TreatmentFactory.create(therapist=alice, client=client, starts_on=timezone.localdate())
    wish = TwoPersonRequest.objects.create(
        practice=client.practice, client=client, requested_by=charlie, requested_at=timezone.now(),
        closed_by=charlie, closed_at=timezone.now(),
    )  # fmt: skip
    ids = {"end_pause": client.id, "reopen_treatment": ending.id, "close_erasure": wish.id}
    browser = signed_in(charlie)
    browser.post("/sign-in/again/", {"password": PASSWORD})
    post = partial(browser.post, reverse(page, args=[ids[page]]))
    with ThreadPoolExecutor(1) as pool, tenancy.practice(client.practice_id):
        services.wait_for_turn(id=client.id)
        refused = pool.submit(elsewhere, post, practice_id=None).result(timeout=20)
    assert refused.status_code == 404


@pytest.mark.parametrize("gone", ["their role", "their place"])
def test_who_loses_role_or_place_while_their_form_waits_may_not_send_it_any_more(
    as_alice: Browser,
    alice: Membership,
    events: dict[str, Callable[[], object]],
    treatment: Treatment,
    monkeypatch: pytest.MonkeyPatch,
    gone: str,
) -> None:
    """Here, where the service itself asks nobody."""
    pause = {"reason": "Rest.", "review_on": timezone.localdate()}
    services.pause_asking(client=treatment.client, by=Membership.objects.get(id=alice.id), **pause)
    happened = happens_first(events[gone], in_=turns, monkeypatch=monkeypatch)
    resume = reverse("end_pause", args=[treatment.client_id])
    assert as_alice.post(resume).status_code == 403
    assert happened
    assert Client.objects.get().pause_review_on


def written() -> list[object]:
    models = (Client, ClientKey, TherapySession, ProcessNote, FeedbackRequest, AuditEntry)
    return [list(model.objects.order_by("pk").values()) for model in models]
