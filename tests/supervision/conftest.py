"""A meeting of alice and her supervisor, and a flag that they may speak about."""

from datetime import timedelta

import pytest
from django.utils import timezone

from apps.accounts.models import Membership
from apps.feedback.services import practice_questionnaire, request_feedback
from apps.ruptures.models import RuptureEpisode
from apps.supervision.models import Meeting
from apps.supervision.services import plan_meeting
from apps.therapy_sessions.models import TherapySession
from tests.factories import TreatmentFactory


@pytest.fixture
def meeting(alice: Membership, sam: Membership) -> Meeting:
    return plan_meeting(
        supervisee=alice, starts_at=timezone.now() + timedelta(days=2), duration_min=50, by=sam
    )


@pytest.fixture
def episode(alice: Membership) -> RuptureEpisode:
    treatment = TreatmentFactory.create(therapist=alice, client__code="FE-0007", falling=True)
    return treatment.episodes.get()


def ask_by_email(session: TherapySession) -> None:
    """Let the client of a session be asked by email; the message is due."""
    therapist = session.treatment.therapist
    request_feedback(
        therapy_session=session,
        questionnaire=practice_questionnaire(therapist.practice),
        channel_kind="email",
        by=therapist,
    )
