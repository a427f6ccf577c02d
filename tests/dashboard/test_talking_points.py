"""What may be worth talking about and is no reason: seen differently, a lower subscale."""

from collections.abc import Callable

import pytest
from django.http import HttpResponse
from django.test import Client as Browser

from apps.accounts.models import Membership
from apps.alliance.models import AllianceRating
from apps.clients.models import Treatment
from apps.therapy_sessions.models import TherapySession
from tests.factories import TreatmentFactory

pytestmark = pytest.mark.django_db
Words = Callable[[HttpResponse], str]
DIFFERENTLY = "You saw it differently: low for this client, and not low for you."


def own_views(treatment: Treatment, *views: int | None) -> None:
    """Give the newest sessions these views of the therapist, in order."""
    sessions = list(treatment.therapy_sessions.order_by("-starts_at")[: len(views)])[::-1]
    for session, view in zip(sessions, views, strict=True):
        TherapySession.objects.filter(id=session.id).update(
            own_bond=view, own_goals=view, own_tasks=view
        )


def subscales(treatment: Treatment, bond: int, goals: int, tasks: int | None) -> None:
    newest = treatment.therapy_sessions.latest("starts_at")
    AllianceRating.objects.filter(therapy_session=newest).update(
        bond=bond, goals=goals, tasks=tasks
    )


@pytest.fixture
def page(as_alice: Browser, words: Words) -> Callable[[Treatment], str]:
    return lambda treatment: words(as_alice.get(f"/clients/{treatment.client_id}/"))


@pytest.fixture
def falling(alice: Membership) -> Treatment:
    return TreatmentFactory.create(therapist=alice, falling=True)


def test_low_for_the_client_and_not_for_the_therapist_is_said(falling, page) -> None:
    own_views(falling, 6, 6, 6, 6, 7)
    assert f"For your conversation, not used as a reason: {DIFFERENTLY}" in page(falling)


def test_a_therapist_is_compared_with_themselves_never_with_the_client(falling, page) -> None:
    """Seven of ten is low for somebody who else says ten, though the client's rating was 70."""
    own_views(falling, 10, 10, 10, 10, 7)
    assert DIFFERENTLY not in page(falling)


def test_two_earlier_views_are_needed(falling, page) -> None:
    own_views(falling, 6, 9)
    assert DIFFERENTLY not in page(falling)
    own_views(falling, 6, 6, 9)
    assert DIFFERENTLY in page(falling)


def test_no_own_view_says_nothing(falling, page) -> None:
    own_views(falling, 6, 6, 6, 6, None)
    assert DIFFERENTLY not in page(falling)


def test_where_the_client_is_not_low_nothing_differs(alice, page) -> None:
    calm = TreatmentFactory.create(therapist=alice, pomps=[80, 80, 90, 80, 90])
    own_views(calm, 6, 6, 6, 9)
    assert DIFFERENTLY not in page(calm)


@pytest.mark.parametrize(
    ("rated", "sentence"),
    [
        ((55, 80, 75), "Bond was rated lowest of the three: Bond 55, Goals 80, Tasks 75."),
        ((80, 80, 70), "Tasks was rated lowest of the three: Bond 80, Goals 80, Tasks 70."),
        ((71, 80, 80), ""),
        ((60, 60, 90), ""),
        ((60, 80, None), ""),
    ],
)
def test_a_subscale_far_below_the_others_is_a_talking_point(alice, page, rated, sentence) -> None:
    calm = TreatmentFactory.create(therapist=alice, pomps=[80, 80, 80])
    subscales(calm, *rated)
    said = page(calm)
    assert ("rated lowest of the three" in said) == bool(sentence)
    assert sentence in said


def test_a_subscale_flags_nothing(alice, page) -> None:
    calm = TreatmentFactory.create(therapist=alice, pomps=[80, 80, 80, 80])
    subscales(calm, 10, 90, 90)
    assert "No open episode" in page(calm)
    assert not calm.episodes.exists()
