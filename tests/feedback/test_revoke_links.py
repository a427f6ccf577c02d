"""A message reached a wrong person: the links end, and whoever holds one learns nothing."""

from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
import time_machine
from django.core.management import CommandError, call_command
from django.test import Client as Browser
from django.utils import timezone

from apps.accounts.models import Membership, Practice
from apps.alliance.models import AllianceRating
from apps.clients.models import Client
from apps.core.models import AuditEntry, OutboxMessage
from apps.core.outbox import NothingToSend
from apps.feedback.client_pages import NOT_KEPT
from apps.feedback.lifecycle import revoke_links
from apps.feedback.messages import render_feedback_request
from apps.feedback.models import KIND, FeedbackRequest
from apps.feedback.services import practice_questionnaire, request_feedback
from apps.therapy_sessions.models import TherapySession
from tests.factories import TherapySessionFactory, TreatmentFactory
from tests.feedback.conftest import answers, link_of

State = FeedbackRequest.State


def client_of(asked: FeedbackRequest) -> Client:
    client: Client = asked.therapy_session.treatment.client
    return client


def test_whoever_holds_a_revoked_link_sees_what_a_stranger_sees(
    phone: Browser, asked: FeedbackRequest, link: str, alice: Membership
) -> None:
    assert revoke_links(client=client_of(asked), by=alice) == 1
    unknown = phone.get("/f/never-made/")
    for page in (phone.get(link), phone.get(link + "thanks/"), phone.post(link, answers())):
        assert (page.status_code, page.content) == (404, unknown.content)
    assert not AllianceRating.objects.exists()


def test_who_revokes_links_without_end_keeps_nobody_from_revoking_them(
    asked: FeedbackRequest, alice: Membership
) -> None:
    """Else the client could be neither erased nor restricted any more."""
    FeedbackRequest.objects.update(generation=70_000)
    revoke_links(client=client_of(asked), by=alice)
    asked.refresh_from_db()
    assert asked.generation == 70_002


def test_what_waited_is_withdrawn_and_silence_to_it_is_no_silence(
    asked: FeedbackRequest, alice: Membership
) -> None:
    revoke_links(client=client_of(asked), by=alice)
    asked.refresh_from_db()
    assert (asked.state, asked.generation) == (State.CANCELLED, 2)
    assert asked.therapy_session.asked is False
    assert OutboxMessage.objects.get(kind=KIND).state == OutboxMessage.State.CANCELLED
    with pytest.raises(NothingToSend):
        render_feedback_request(asked.id)
    assert AuditEntry.objects.get(action="revoke links").actor_id == alice.id


@pytest.mark.parametrize("counts_still", [True, False])
def test_silence_to_what_could_still_have_been_answered_says_nothing(
    asked: FeedbackRequest, alice: Membership, counts_still: bool
) -> None:
    """By a fresh link, which ends with the others."""
    FeedbackRequest.objects.update(state=State.EXPIRED)
    TherapySession.objects.update(asked=True)
    later = timezone.now() + timedelta(days=0 if counts_still else 8)
    with time_machine.travel(later):
        revoke_links(client=client_of(asked), by=alice)
    asked.therapy_session.refresh_from_db()
    assert asked.therapy_session.asked is not counts_still


def test_ratings_stay_and_the_link_to_their_thanks_ends(
    phone: Browser, asked: FeedbackRequest, link: str, alice: Membership
) -> None:
    phone.post(link, answers())
    revoke_links(client=client_of(asked), by=alice)
    asked.refresh_from_db()
    assert asked.state == State.ANSWERED
    assert AllianceRating.objects.get() == asked.rating
    assert phone.get(link).status_code == 404


def test_links_of_other_clients_and_later_ones_of_this_client_work(
    phone: Browser, asked: FeedbackRequest, alice: Membership
) -> None:
    def another(**whose: Any) -> FeedbackRequest:
        return request_feedback(
            therapy_session=TherapySessionFactory.create(**whose),
            questionnaire=practice_questionnaire(alice.practice),
            channel_kind="email",
            by=None,
        )

    neighbour = another(treatment=TreatmentFactory.create(therapist=alice))
    revoke_links(client=client_of(asked), by=alice)
    later = another(treatment=asked.therapy_session.treatment)
    assert [phone.get(link_of(each)).status_code for each in (neighbour, later)] == [NOT_KEPT] * 2


def revoke(asked: FeedbackRequest, **changes: str) -> str:
    given = {"client": client_of(asked).code, "practice": asked.practice.name, "by": "Alice Moreau"}
    printed = StringIO()
    call_command(
        "revoke_links",
        *(f"--{name}={value}" for name, value in (given | changes).items()),
        stdout=printed,
    )
    return printed.getvalue()


def test_the_command_ends_the_links_of_a_code(
    phone: Browser, asked: FeedbackRequest, link: str
) -> None:
    assert revoke(asked) == "Links ended: 1.\n"
    assert phone.get(link).status_code == 404


def test_the_command_goes_by_the_day_of_the_practice(
    asked: FeedbackRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who treats and who supervises today is a question of its clock, not of the machine's."""
    Practice.objects.update(time_zone="Pacific/Auckland")
    clocks: list[str] = []

    def note_clock(**whose: Any) -> int:
        clocks.append(timezone.get_current_timezone_name())
        return revoke_links(**whose)

    monkeypatch.setattr("apps.exchange.management.commands.revoke_links.revoke_links", note_clock)
    assert revoke(asked) == "Links ended: 1.\n"
    assert clocks == ["Pacific/Auckland"]


def test_the_command_says_what_it_did_not_find(
    phone: Browser, asked: FeedbackRequest, link: str
) -> None:
    with pytest.raises(CommandError, match=r"has the code 'FE-XXXX'\. No link was ended."):
        revoke(asked, client="FE-XXXX")
    with pytest.raises(CommandError, match="No member is called 'Nobody'"):
        revoke(asked, by="Nobody")
    assert phone.get(link).status_code == NOT_KEPT
