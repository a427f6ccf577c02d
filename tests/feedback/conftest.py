"""A request that waits for its answer, and the address its client was sent."""

from typing import Any

import pytest
from django.test import Client as Browser
from django.test import RequestFactory
from django.urls import reverse

from apps.accounts.models import Membership
from apps.clients.models import Treatment
from apps.feedback.client_frame import ClientFrame
from apps.feedback.client_pages import CHOICES
from apps.feedback.messages import token_of
from apps.feedback.models import FeedbackRequest
from apps.feedback.services import practice_questionnaire, request_feedback
from tests.factories import TherapySessionFactory, TreatmentFactory

ITEMS = ("heard", "accepted", "matters", "direction", "suited", "helpful")


@pytest.fixture
def treatment(alice: Membership) -> Treatment:
    return TreatmentFactory.create(therapist=alice)


@pytest.fixture
def asked(treatment: Treatment) -> FeedbackRequest:
    return request_feedback(
        therapy_session=TherapySessionFactory.create(treatment=treatment),
        questionnaire=practice_questionnaire(treatment.practice),
        channel_kind="email",
        by=None,
    )


@pytest.fixture
def link(asked: FeedbackRequest) -> str:
    return link_of(asked)


class Phone(Browser):
    """Sends the form as its page gives it: in a frame of ours."""

    def post(self, path: str, data: Any = None, **further: Any) -> Any:
        if isinstance(data, dict) and not data.keys() & {*CHOICES, "frame"}:
            request = RequestFactory().post(path)
            data = data | {"frame": ClientFrame().signed(request)}
        return super().post(path, data, **further)


@pytest.fixture
def phone() -> Browser:
    """A client's browser: fresh, signed in nowhere, and stopped by every CSRF check there is."""
    return Phone(enforce_csrf_checks=True)


def link_of(asked: FeedbackRequest, *, way: str = "email") -> str:
    return reverse("feedback_form", args=[token_of(asked, way=way)])


def answers(**changes: object) -> dict[str, object]:
    """Sevens all over, and whatever the test is about."""
    return {f"item_{item}": "7" for item in ITEMS} | changes
