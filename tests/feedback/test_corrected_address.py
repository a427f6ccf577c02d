"""A link speaks for the mailbox it went to, and ends once the client has another address."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from django.test import Client as Browser
from django.utils import timezone

from apps.clients.models import Client, ContactChannel
from apps.core import outbox, reports
from apps.core.carriers import MaybeSent, Unreachable
from apps.core.models import OutboxMessage
from apps.feedback.client_pages import NOT_KEPT
from apps.feedback.lifecycle import expire_requests, withdraw_unsent
from apps.feedback.messages import link_to, render_feedback_reminder
from apps.feedback.models import FeedbackRequest
from tests.conftest import signed_in
from tests.feedback.conftest import answers
from tests.feedback.test_details import details, page_of

NOON = datetime(2026, 11, 19, 12, tzinfo=UTC)
RIGHT = "right@mail.example"
State = FeedbackRequest.State
Outcome = reports.Outcome


@pytest.fixture(autouse=True)
def clock() -> object:
    with time_machine.travel(NOON, tick=False) as clock:
        yield clock


@pytest.fixture
def client_of(asked: FeedbackRequest) -> Client:
    """The client who was asked; the message is out, to a mistyped address."""
    message = OutboxMessage.objects.filter(kind="feedback_request")
    message.update(state="sent", sent_at=timezone.now(), channel="email")
    return asked.therapy_session.treatment.client


def correct(client: Client, **changes: object) -> None:
    alice = client.treatments.get().therapist
    assert signed_in(alice).post(page_of(client), details(client, **changes)).status_code == 302


@pytest.mark.parametrize("way", ["corrected", "taken away, and entered again"])
def test_a_link_that_went_to_an_earlier_address_neither_stops_the_corrected_one_nor_opens_a_form(
    phone: Browser, asked: FeedbackRequest, client_of: Client, link: str, way: str,
    clock: time_machine.Traveller,
) -> None:  # fmt: skip
    clock.shift(timedelta(hours=1))
    if way != "corrected":
        correct(client_of, email="")
        assert phone.get(link).status_code == 404
    correct(client_of, email=RIGHT)
    clock.shift(timedelta(hours=24))
    reminder = render_feedback_reminder(asked.id)
    assert reminder.recipient == RIGHT
    OutboxMessage.objects.filter(kind="feedback_reminder").update(
        state="sent", sent_at=timezone.now(), channel="email"
    )
    unknown = phone.get("/f/nothing/").content
    for page in (link, link + "stop/", link + "thanks/"):
        answer = phone.get(page)
        assert (answer.status_code, answer.content) == (404, unknown), page
    for page, sent in (
        ("stop/", {"not_me": "1"}),
        ("stop/", {"how": "stop"}),
        ("stop/", {"List-Unsubscribe": "One-Click"}),
        ("fresh/", {}),
        ("", answers(item_heard="0")),
    ):
        assert phone.post(link + page, sent).status_code == 404, (page, sent)
    assert client_of.channels.get().stop_reason == ""
    asked.refresh_from_db()
    assert (asked.state, asked.generation) == (State.OPEN, 0)
    [theirs] = {word for word in reminder.body.split() if "/f/" in word}
    assert phone.post(theirs, answers()).status_code == 302
    asked.refresh_from_db()
    assert asked.rating
    stop = reminder.stop_url
    assert phone.post(stop, {"not_me": "1"}).status_code == 200, "what speaks for the address"
    assert client_of.channels.get().stop_reason == "not_mine"


def test_a_link_rests_while_the_channel_leads_elsewhere_and_opens_once_it_is_put_back(
    phone: Browser, client_of: Client, link: str, clock: time_machine.Traveller
) -> None:
    """Nobody silences a client who was asked by saving another address for a minute."""
    address = client_of.channels.get().address
    clock.shift(timedelta(hours=1))
    correct(client_of, email=RIGHT)
    assert phone.get(link).status_code == 404
    correct(client_of, email=address)
    assert phone.post(link, answers(item_heard="0")).status_code == 302


def test_a_link_lives_on_where_the_address_was_spelled_anew_or_another_way_was_corrected(
    phone: Browser, client_of: Client, link: str, clock: time_machine.Traveller
) -> None:
    clock.shift(timedelta(hours=1))
    correct(client_of, email=client_of.channels.get().address.upper())
    correct(client_of, text="07400 123456", text_safe="yes")
    correct(client_of, text="07400 654321", text_safe="yes")
    assert phone.get(link).status_code == NOT_KEPT
    assert phone.get(link + "stop/").status_code == 200


def test_a_form_that_is_asked_after_the_correction_has_a_link_as_any(
    phone: Browser, asked: FeedbackRequest, client_of: Client, clock: time_machine.Traveller
) -> None:
    correct(client_of, email=RIGHT)
    channel = client_of.channels.get()
    assert channel.address_since == timezone.now()
    clock.shift(timedelta(hours=1))
    FeedbackRequest.objects.update(created_at=timezone.now())
    asked.refresh_from_db()
    assert phone.get(link_to(asked)).status_code == NOT_KEPT
    ContactChannel.objects.update(address_since=None)
    assert phone.get(link_to(asked)).status_code == NOT_KEPT, "as before that was noted"


def test_no_answer_to_what_went_to_an_earlier_address_is_no_silence(
    asked: FeedbackRequest, client_of: Client, clock: time_machine.Traveller
) -> None:
    clock.shift(timedelta(hours=1))
    correct(client_of, email=RIGHT)
    clock.shift(timedelta(hours=99))
    expire_requests()
    asked.refresh_from_db()
    assert (asked.state, asked.therapy_session.asked) == (State.EXPIRED, False)


def test_no_answer_to_a_form_of_which_only_the_reminder_went_to_the_right_address_is_no_silence(
    asked: FeedbackRequest, client_of: Client, clock: time_machine.Traveller
) -> None:
    """Or another address puts it to rest, as the client's silence."""
    clock.shift(timedelta(hours=1))
    correct(client_of, email=RIGHT)
    clock.shift(timedelta(hours=24))
    OutboxMessage.objects.filter(kind="feedback_reminder").update(
        state="sent", sent_at=timezone.now(), channel="email"
    )
    clock.shift(timedelta(hours=74))
    expire_requests()
    asked.refresh_from_db()
    assert (asked.state, asked.therapy_session.asked) == (State.EXPIRED, False)


def test_a_form_whose_link_went_to_an_earlier_address_is_withdrawn_with_the_consent(
    asked: FeedbackRequest, client_of: Client, clock: time_machine.Traveller
) -> None:
    clock.shift(timedelta(hours=1))
    correct(client_of, email=RIGHT)
    withdraw_unsent(client_of)
    asked.refresh_from_db()
    assert asked.state == State.CANCELLED, "nobody could answer it"


@pytest.fixture
def corrected_on_the_way(
    asked: FeedbackRequest, clock: time_machine.Traveller, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., None]:
    """Send the message to a mistyped address, which is corrected before the carrier is done."""
    now = timezone.now()
    FeedbackRequest.objects.update(due_at=now)
    OutboxMessage.objects.filter(kind="feedback_request").update(due_at=now, not_before=now)

    def send(*, ends: Exception | None = None, early: reports.Outcome | None = None) -> None:
        def slow(message: OutboxMessage, rendered: outbox.RenderedMessage) -> None:
            clock.shift(timedelta(seconds=1))
            correct(asked.therapy_session.treatment.client, email=RIGHT)
            clock.shift(timedelta(seconds=1))
            if early:
                report(early)
            if ends:
                raise ends

        monkeypatch.setattr(outbox.carriers, "send", slow)
        outbox.deliver_due()

    return send


def test_a_form_that_may_have_gone_to_an_earlier_address_alone_is_withdrawn_with_the_consent(
    asked: FeedbackRequest, corrected_on_the_way: Callable[..., None]
) -> None:
    corrected_on_the_way(ends=MaybeSent())
    withdraw_unsent(asked.therapy_session.treatment.client)
    asked.refresh_from_db()
    assert asked.state == State.CANCELLED, "nobody could answer it"


def test_a_form_whose_reminder_may_be_out_by_the_other_way_stays_open(
    asked: FeedbackRequest, client_of: Client, phone: Browser, clock: time_machine.Traveller,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    correct(client_of, text="07400 123456", text_safe="yes")
    by_text = link_to(asked, way="text")

    def lost(message: OutboxMessage, rendered: outbox.RenderedMessage) -> None:
        assert by_text in rendered.body
        raise MaybeSent

    monkeypatch.setattr(outbox.carriers, "send", lost)
    clock.shift(timedelta(hours=26))
    outbox.deliver_due()
    clock.shift(timedelta(minutes=1))
    correct(client_of, email=RIGHT, text="07400 123456", text_safe="yes")
    withdraw_unsent(client_of)
    assert phone.get(by_text).status_code == NOT_KEPT
    asked.refresh_from_db()
    assert asked.state == State.OPEN


@pytest.mark.parametrize("is_corrected", [False, True])
def test_no_answer_to_a_reminder_is_no_silence_where_the_form_may_have_gone_to_an_earlier_address(
    asked: FeedbackRequest, clock: time_machine.Traveller, is_corrected: bool
) -> None:
    first = OutboxMessage.objects.filter(kind="feedback_request")
    first.update(state="failed", doubts=2, doubted_at=NOON)
    clock.shift(timedelta(hours=1))
    if is_corrected:
        correct(asked.therapy_session.treatment.client, email=RIGHT)
    clock.shift(timedelta(hours=24))
    OutboxMessage.objects.filter(kind="feedback_reminder").update(
        state="sent", sent_at=timezone.now(), channel="email"
    )
    clock.shift(timedelta(hours=74))
    expire_requests()
    asked.refresh_from_db()
    assert (asked.state, asked.therapy_session.asked) == (State.EXPIRED, not is_corrected)


def report(outcome: reports.Outcome) -> None:
    message = OutboxMessage.objects.get(kind="feedback_request")
    reports.note(
        practice_id=message.practice_id, message_id=message.id, outcome=outcome, channel="email"
    )


def test_no_answer_to_what_was_on_its_way_as_the_address_was_corrected_is_no_silence(
    asked: FeedbackRequest, clock: time_machine.Traveller, corrected_on_the_way: Callable[..., None]
) -> None:
    corrected_on_the_way()
    assert OutboxMessage.objects.get(kind="feedback_request").state == "sent"
    clock.shift(timedelta(hours=99))
    expire_requests()
    asked.refresh_from_db()
    assert (asked.state, asked.therapy_session.asked) == (State.EXPIRED, False)


def test_no_answer_to_what_was_in_doubt_as_the_address_was_corrected_is_no_silence(
    asked: FeedbackRequest, clock: time_machine.Traveller, corrected_on_the_way: Callable[..., None]
) -> None:
    corrected_on_the_way(ends=MaybeSent())
    report(Outcome.DELIVERED)
    assert OutboxMessage.objects.get(kind="feedback_request").sent_at == NOON
    clock.shift(timedelta(hours=99))
    expire_requests()
    asked.refresh_from_db()
    assert (asked.state, asked.therapy_session.asked) == (State.EXPIRED, False)


@pytest.mark.parametrize(
    "on_the_way",
    [{}, {"ends": MaybeSent()}, {"early": Outcome.BOUNCED}, {"ends": Unreachable()}],
    ids=["sent", "in doubt", "before it is noted", "refused at once"],
)
def test_what_was_on_its_way_as_the_address_was_corrected_and_comes_back_stops_nothing(
    asked: FeedbackRequest, clock: time_machine.Traveller,
    corrected_on_the_way: Callable[..., None], on_the_way: dict[str, Any],
) -> None:  # fmt: skip
    corrected_on_the_way(**on_the_way)
    clock.shift(timedelta(minutes=1))
    report(Outcome.BOUNCED)
    channel = asked.therapy_session.treatment.client.channels.get()
    assert (channel.address, channel.stop_reason) == (RIGHT, "")


@pytest.mark.parametrize("is_put_off", [False, True])
def test_the_second_copy_of_what_was_in_doubt_says_nothing_about_the_corrected_address(
    asked: FeedbackRequest, clock: time_machine.Traveller,
    corrected_on_the_way: Callable[..., None], is_put_off: bool,
) -> None:  # fmt: skip
    """The one that comes back may be the first."""
    corrected_on_the_way(ends=MaybeSent())
    clock.shift(OutboxMessage.HOLD)
    if is_put_off:
        corrected_on_the_way(ends=OSError())
        clock.shift(timedelta(minutes=5))
    corrected_on_the_way()
    message = OutboxMessage.objects.get(kind="feedback_request")
    assert (message.state, message.taken_at) == ("sent", NOON)
    assert message.sent_at >= NOON + OutboxMessage.HOLD, "the client may have got this one alone"
    report(Outcome.BOUNCED)
    channel = asked.therapy_session.treatment.client.channels.get()
    assert (channel.address, channel.stop_reason) == (RIGHT, "")


def test_what_a_sender_took_who_died_says_nothing_about_the_corrected_address(
    asked: FeedbackRequest, clock: time_machine.Traveller, corrected_on_the_way: Callable[..., None]
) -> None:
    """It may have been out by then."""
    message = OutboxMessage.objects.get(kind="feedback_request")
    OutboxMessage.objects.filter(id=message.id).update(due_at=NOON, not_before=NOON)
    outbox.claim(practice_id=message.practice_id, message_ids=[message.id])
    clock.shift(OutboxMessage.LEASE)
    correct(asked.therapy_session.treatment.client, email=RIGHT)
    clock.shift(timedelta(seconds=1))
    corrected_on_the_way()
    report(Outcome.BOUNCED)
    channel = asked.therapy_session.treatment.client.channels.get()
    assert (channel.address, channel.stop_reason) == (RIGHT, "")


@pytest.mark.parametrize("early", [None, Outcome.BOUNCED])
def test_what_was_sent_after_the_correction_and_comes_back_stops_the_corrected_address(
    asked: FeedbackRequest, clock: time_machine.Traveller,
    corrected_on_the_way: Callable[..., None], early: reports.Outcome | None,
) -> None:  # fmt: skip
    client = asked.therapy_session.treatment.client
    correct(client, email=RIGHT)
    clock.shift(timedelta(seconds=1))
    corrected_on_the_way(early=early)
    report(Outcome.BOUNCED)
    assert client.channels.get().stop_reason == "bounced"
