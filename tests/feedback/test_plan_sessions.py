"""Planning sessions with a client who is there already."""

from typing import Any

import pytest
import time_machine
from django.test import Client as Browser
from django.urls import reverse

from apps.accounts.models import Membership
from apps.clients.models import Treatment
from apps.core.models import AuditEntry, OutboxMessage
from apps.feedback.models import FeedbackRequest
from apps.therapy_sessions.models import TherapySession
from tests.feedback.test_client_form import shown


@pytest.fixture(autouse=True)
def _on_a_thursday_in_march() -> Any:
    with time_machine.travel("2026-03-19T12:30:00+00:00", tick=False):
        yield


@pytest.fixture
def url(treatment: Treatment) -> str:
    return reverse("plan_sessions", args=[treatment.client_id])


def plan(**changes: object) -> dict[str, object]:
    series = {"first_on": "2026-03-26", "start": "16:30", "minutes": "45"}
    return series | {"every_weeks": "1", "count": "2"} | changes


def starts() -> list[str]:
    sessions = TherapySession.objects.order_by("starts_at")
    return [session.starts_at.isoformat()[:16] for session in sessions]


def test_a_series_keeps_its_time_of_day_when_the_clocks_change(
    as_alice: Browser, alice: Membership, treatment: Treatment, url: str
) -> None:
    response = as_alice.post(url, plan())
    assert response["Location"] == reverse("client", args=[treatment.client_id])
    assert starts() == ["2026-03-26T16:30", "2026-04-02T15:30"]
    assert set(TherapySession.objects.values_list("duration_min", flat=True)) == {45}
    entry = AuditEntry.objects.get(action="plan therapy sessions")
    assert (entry.actor_id, entry.client_ids) == (alice.id, [treatment.client_id])
    assert "2 sessions are planned, the first on Thu 26 Mar, 16:30." in shown(
        as_alice.get(response["Location"])
    )


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"every_weeks": "0", "count": "9"}, ["2026-03-26T16:30"]),
        ({"every_weeks": "2"}, ["2026-03-26T16:30", "2026-04-09T15:30"]),
    ],
)
def test_sessions_come_once_or_every_two_weeks(
    as_alice: Browser, url: str, changes: dict[str, object], expected: list[str]
) -> None:
    as_alice.post(url, plan(**changes))
    assert starts() == expected


def test_planning_the_same_again_changes_nothing(as_alice: Browser, url: str) -> None:
    as_alice.post(url, plan())
    kept = list(TherapySession.objects.order_by("pk").values())
    as_alice.post(url, plan(minutes="90"))
    assert list(TherapySession.objects.order_by("pk").values()) == kept
    assert "Thu 26 Mar 2026, 16:30" in shown(as_alice.get(url))


def test_a_session_planned_anew_ends_the_form_before_it(
    as_alice: Browser, asked: FeedbackRequest, url: str
) -> None:
    assert asked.expires_at.isoformat()[:13] == "2026-03-23T13"
    as_alice.post(url, plan(first_on="2026-03-21", start="09:00"))
    asked.refresh_from_db()
    assert asked.expires_at.isoformat()[:16] == "2026-03-21T09:00"


def test_a_form_that_could_no_longer_be_answered_before_the_new_session_is_not_sent(
    as_alice: Browser, asked: FeedbackRequest, url: str
) -> None:
    as_alice.post(url, plan(first_on="2026-03-19", start="13:00"))
    asked.refresh_from_db()
    assert asked.state == FeedbackRequest.State.CANCELLED
    assert {each.state for each in OutboxMessage.objects.all()} == {"cancelled"}


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"first_on": ""}, "Enter a day of the calendar."),
        ({"start": "noon"}, "Enter a time of day, such as 14:30."),
        ({"count": "0"}, "Plan 1 to 60 sessions at once."),
        ({"first_on": "2024-03-26"}, "Plan within a year of today."),
    ],
)
def test_a_plan_that_cannot_be_is_refused(
    as_alice: Browser, url: str, changes: dict[str, object], sentence: str
) -> None:
    assert sentence in shown(as_alice.post(url, plan(**changes)))
    assert starts() == []


def test_nothing_is_planned_or_moved_beyond_the_day_on_which_the_client_goes_to_somebody_else(
    as_alice: Browser, url: str
) -> None:
    """In nobody's diary it would stand from then on."""
    as_alice.post(url, plan(count="1"))
    Treatment.objects.update(ends_on="2026-04-09")
    series = plan(first_on="2026-04-01", every_weeks="1", count="2")
    sentence = "The client is treated by somebody else from an earlier day on"
    assert sentence in shown(as_alice.post(url, series | {"count": "3"}))
    session = TherapySession.objects.get()
    move = reverse("move_session", args=[session.id])
    to = {"start": "10:00", "minutes": "50"}
    assert sentence in shown(as_alice.post(move, to | {"held_on": "2026-04-09"}))
    assert starts() == ["2026-03-26T16:30"]
    assert as_alice.post(move, to | {"held_on": "2026-04-08"}).status_code == 302
    assert as_alice.post(url, series | {"count": "1"}).status_code == 302


def test_looking_at_the_plan_is_noted(
    as_alice: Browser, alice: Membership, treatment: Treatment, url: str
) -> None:
    as_alice.get(url)
    entry = AuditEntry.objects.get(actor_id=alice.id)
    assert (entry.action, entry.client_ids) == ("view client", [treatment.client_id])


@pytest.mark.parametrize("who", ["as_charlie", "as_dora"])
def test_strangers_find_nothing(request: pytest.FixtureRequest, who: str, url: str) -> None:
    browser = request.getfixturevalue(who)
    assert browser.get(url).status_code == browser.post(url, plan()).status_code == 404


@pytest.mark.parametrize("who", ["as_sam", "as_mona"])
def test_who_treats_nobody_plans_nothing(
    request: pytest.FixtureRequest, who: str, url: str
) -> None:
    assert request.getfixturevalue(who).post(url, plan()).status_code == 403


def test_a_supervisor_who_also_treats_plans_nothing_for_a_supervisee(
    sam: Membership, as_sam: Browser, url: str
) -> None:
    sam.roles = ["supervisor", "therapist"]
    sam.save()
    assert as_sam.post(url, plan()).status_code == 403
    assert starts() == []


def test_other_methods_are_refused(as_alice: Browser, url: str) -> None:
    assert as_alice.put(url).status_code == 405
