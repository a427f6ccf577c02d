"""A gateway refuses whoever answered STOP once, to whatever message of this installation."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from django.utils import timezone

from apps.accounts.models import Membership
from apps.clients.models import Client, ContactChannel
from apps.core import outbox, reports
from apps.core.carriers import AnsweredStop, RenderedMessage, Unreachable
from apps.core.models import OutboxMessage
from apps.feedback.lifecycle import expire_requests
from apps.feedback.models import FeedbackRequest
from apps.feedback.services import practice_questionnaire, request_feedback
from tests.architecture.matrix.building import taken_back
from tests.conftest import signed_in
from tests.factories import ClientFactory, TherapySessionFactory, TreatmentFactory
from tests.feedback.test_client_form import shown
from tests.feedback.test_details import anew, details, page_of
from tests.feedback.test_stop_page import reasons

NUMBER = "+447400123456"
NOON = datetime(2026, 11, 19, 12, tzinfo=UTC)
TOLD = "their phone takes none from us any more, since STOP was answered there. START"
pytestmark = pytest.mark.django_db


@pytest.fixture
def clock() -> Iterator[time_machine.Traveller]:
    with time_machine.travel(NOON, tick=False) as clock:
        yield clock


@pytest.fixture
def stopped(monkeypatch: pytest.MonkeyPatch, clock: object) -> dict[str, type[Exception]]:
    """What the gateway answers, by number."""
    stopped: dict[str, type[Exception]] = {}

    def send(row: OutboxMessage, message: RenderedMessage) -> None:
        if message.recipient in stopped:
            raise stopped[message.recipient]

    monkeypatch.setattr(outbox.carriers, "send", send)
    return stopped


def reached_at(number: str, therapist: Membership, code: str = "FE-0150") -> Client:
    """A client of the therapist, reached by email and there."""
    email = f"{code.lower()}@mail.example"
    client = ClientFactory.create(practice=therapist.practice, email=email, code=code)
    TreatmentFactory.create(therapist=therapist, client=client)
    ContactChannel.objects.create(
        practice=client.practice, client=client, kind="text", address=number,
        address_since=timezone.now(), safe_to_contact=True,
    )  # fmt: skip
    return client


def send(client: Client, way: str = "text", kind: str = "feedback_request") -> OutboxMessage:
    """A form, or the reminder of the latest one, goes out by now."""
    if kind == "feedback_request":
        request_feedback(
            therapy_session=TherapySessionFactory.create(treatment=client.treatments.get()),
            questionnaire=practice_questionnaire(client.practice),
            channel_kind=way,
            by=None,
        )
    asked = FeedbackRequest.objects.of(client).latest("created_at")
    message = OutboxMessage.objects.get(kind=kind, subject_id=asked.id)
    OutboxMessage.objects.filter(id=message.id).update(not_before=timezone.now())
    outbox.deliver(practice_id=message.practice_id, message_id=message.id)
    message.refresh_from_db()
    return message


def refuse_later(message: OutboxMessage) -> None:
    reports.note(
        practice_id=message.practice_id, message_id=message.id, channel="text",
        outcome=outbox.Outcome.REFUSED,
    )  # fmt: skip


def pages(client: Client) -> list[str]:
    as_therapist = signed_in(client.treatments.get().therapist)
    paths = ("/caseload/", page_of(client), f"/clients/{client.id}/", "/caseload/delivery/")
    return [shown(as_therapist.get(path)) for path in paths]


def test_a_number_that_nothing_arrived_at_reads_as_any_other_at_which_nothing_does(
    alice: Membership, stopped: dict[str, type[Exception]]
) -> None:
    """STOP was answered in another practice: who records the number here learns nothing of it."""
    client, said = reached_at(NUMBER, alice), []
    for answer in (AnsweredStop, Unreachable):
        stopped[NUMBER] = answer
        with taken_back():
            state = send(client).state
            said.append((state, reasons(client), pages(client)))
    assert said[0] == said[1]
    assert said[0][1] == {"email": "", "text": "bounced"}
    assert "by text message have come back since" in said[0][2][0]


@pytest.mark.parametrize("is_typed_to_and_fro", [False, True])
def test_nor_is_a_text_that_was_taken_and_came_back_later_one_that_arrived(
    alice: Membership, stopped: dict[str, type[Exception]], clock: time_machine.Traveller,
    is_typed_to_and_fro: bool,
) -> None:  # fmt: skip
    client = reached_at(NUMBER, alice)
    refuse_later(send(client))
    assert reasons(client) == {"email": "", "text": "bounced"}
    if is_typed_to_and_fro:
        for typed in ("07400 654321", "07400 123456"):
            clock.shift(timedelta(hours=1))
            number = {"text": typed, "text_safe": "yes"}
            signed_in(alice).post(page_of(client), details(client, **number))
        assert reasons(client)["text"] == ""
        stopped[NUMBER] = AnsweredStop
        clock.shift(timedelta(days=7))
        send(client)
        assert reasons(client) == {"email": "", "text": "bounced"}


@pytest.mark.parametrize("is_told_later", [False, True])
def test_where_texts_arrived_the_therapist_reads_that_the_phone_takes_none_and_email_goes_on(
    alice: Membership, stopped: dict[str, type[Exception]], clock: time_machine.Traveller,
    is_told_later: bool,
) -> None:  # fmt: skip
    client = reached_at(NUMBER, alice)
    assert send(client).state == OutboxMessage.State.SENT
    clock.shift(timedelta(days=7))
    if is_told_later:
        refuse_later(send(client))
    else:
        stopped[NUMBER] = AnsweredStop
        send(client)
    assert reasons(client) == {"email": "", "text": "refused"}
    caseload, own_details, *_ = pages(client)
    assert TOLD in caseload
    assert "Text message: Their phone takes no texts from us." in own_details
    assert "unwanted" not in caseload + own_details
    number = {"text": "07400 654321", "text_safe": "yes"}
    signed_in(alice).post(page_of(client), details(client, **number))
    assert reasons(client) == {"email": "", "text": "refused"}, "not before it was talked about"
    signed_in(alice).post(page_of(client), details(client, **number | anew()))
    assert reasons(client) == {"email": "", "text": ""}


def test_after_a_talk_a_reminder_that_the_phone_refuses_anew_stops_texts_alone(
    alice: Membership, stopped: dict[str, type[Exception]], clock: time_machine.Traveller
) -> None:
    client = reached_at(NUMBER, alice)
    send(client)
    stopped[NUMBER] = AnsweredStop
    clock.shift(timedelta(days=7))
    send(client)
    for _ in range(2):
        clock.shift(timedelta(days=7))
        number = {"text": NUMBER, "text_safe": "yes"}
        signed_in(alice).post(page_of(client), details(client, **number | anew()))
        assert reasons(client) == {"email": "", "text": ""}
        assert send(client, "email").state == OutboxMessage.State.SENT
        clock.shift(timedelta(days=1))
        send(client, kind="feedback_reminder")
        assert reasons(client) == {"email": "", "text": "refused"}
    del stopped[NUMBER]
    clock.shift(timedelta(days=7))
    signed_in(alice).post(page_of(client), details(client, **number | anew()))
    assert send(client).state == OutboxMessage.State.SENT, "START was sent from the phone"


def test_stop_in_answer_to_one_clients_text_takes_no_other_way_of_whoever_shares_the_phone(
    alice: Membership, charlie: Membership, stopped: dict[str, type[Exception]],
    clock: time_machine.Traveller,
) -> None:  # fmt: skip
    max_, invented = reached_at(NUMBER, charlie), reached_at(NUMBER, alice, "FE-0151")
    send(max_)
    send(invented)
    stopped[NUMBER] = AnsweredStop
    clock.shift(timedelta(days=7))
    send(max_)
    assert reasons(max_) == {"email": "", "text": "refused"}
    clock.shift(timedelta(days=7))
    assert send(max_, "email").state == OutboxMessage.State.SENT
    assert reasons(invented) == {"email": "", "text": ""}
    third = ClientFactory.create(practice=alice.practice, email="", code="FE-0152")
    TreatmentFactory.create(therapist=alice, client=third)
    number = {"text": NUMBER, "text_safe": "yes", "email": "three@mail.example"}
    signed_in(alice).post(page_of(third), details(third, **number))
    assert reasons(third) == {"email": "", "text": ""}, "nor is it known under another code"


def test_no_answer_to_a_text_whose_phone_answered_stop_is_no_silence(
    alice: Membership, stopped: dict[str, type[Exception]], clock: time_machine.Traveller
) -> None:
    client = reached_at(NUMBER, alice)
    client.channels.filter(kind="email").delete()
    send(client)
    stopped[NUMBER] = AnsweredStop
    clock.shift(timedelta(days=1))
    send(client, kind="feedback_reminder")
    clock.shift(timedelta(days=5))
    expire_requests()
    asked = FeedbackRequest.objects.of(client).get()
    assert (asked.state, asked.therapy_session.asked) == (FeedbackRequest.State.EXPIRED, False)
