"""A client in whose records every text sings."""

import pytest
from django.test import Client as Browser

from apps.accounts.models import Membership
from apps.alliance.models import Cause
from apps.clients.models import Treatment
from apps.ruptures.repair import Sheet, StepEntry, save_worksheet
from apps.ruptures.services import record_outcome
from apps.therapy_sessions.services import save_process_note
from tests.exchange.singing import CANARY
from tests.factories import PASSWORD, TreatmentFactory, comment_on


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
