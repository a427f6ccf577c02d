"""An address that takes no messages: nothing more goes there, and alice is told."""

import smtplib
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import partial
from typing import Any
from unittest.mock import Mock

import pytest
import time_machine
from django.core import mail
from django.test import Client as Browser
from django.utils import timezone

from apps.accounts.models import Membership, Notice, Practice
from apps.clients.handing_over import pass_on
from apps.clients.models import ContactChannel
from apps.clients.services import wait_for_turn
from apps.core import outbox, reports, tenancy
from apps.core.carriers import Unreachable
from apps.core.models import OutboxMessage
from apps.feedback.lifecycle import expire_requests, withdraw_unsent
from apps.feedback.models import FeedbackRequest
from apps.feedback.services import practice_questionnaire, request_feedback
from apps.ruptures.models import Screening
from tests.at_once import at_once, elsewhere, wait_for
from tests.factories import TherapySessionFactory, TreatmentFactory
from tests.feedback.test_client_form import shown
from tests.feedback.test_details import details, page_of

State = OutboxMessage.State


@pytest.fixture
def asked(alice: Membership) -> FeedbackRequest:
    request = request_feedback(
        therapy_session=TherapySessionFactory.create(
            treatment=TreatmentFactory.create(therapist=alice)
        ),
        questionnaire=practice_questionnaire(alice.practice),
        channel_kind="email",
        by=None,
    )
    now = timezone.now()
    OutboxMessage.objects.filter(kind="feedback_request").update(not_before=now, due_at=now)
    return request


def report(message: OutboxMessage, outcome: reports.Outcome, *, channel: str = "email") -> None:
    reports.note(
        practice_id=message.practice_id, message_id=message.id, outcome=outcome, channel=channel
    )


def first_message() -> OutboxMessage:
    return OutboxMessage.objects.get(kind="feedback_request")


def is_told_once() -> bool:
    """Whether the channel is stopped and one neutral mail to alice waits."""
    channel = ContactChannel.objects.get()
    mails = OutboxMessage.objects.filter(kind="channel_stopped").count()
    return channel.stop_reason == "bounced" and mails == 1


@pytest.mark.django_db(transaction=True)
def test_a_mailbox_that_does_not_exist_stops_the_channel_and_tells_the_therapist(
    asked: FeedbackRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(backend: Any, messages: Any) -> None:
        raise smtplib.SMTPRecipientsRefused({"k@mail.example": (550, b"5.1.1 no such user")})

    with monkeypatch.context() as patch:
        patch.setattr("django.core.mail.backends.locmem.EmailBackend.send_messages", refuse)
        message = first_message()
        assert not outbox.deliver(practice_id=message.practice_id, message_id=message.id)
    assert first_message().state == State.FAILED
    assert is_told_once()
    OutboxMessage.objects.filter(kind="feedback_reminder").update(not_before=timezone.now())
    mail.outbox.clear()
    outbox.deliver_due()
    assert [each.to for each in mail.outbox] == [
        [asked.therapy_session.treatment.therapist.user.email]
    ]


@pytest.mark.django_db(transaction=True)
def test_a_bounce_reported_later_does_the_same_however_often(asked: FeedbackRequest) -> None:
    message = first_message()
    assert outbox.deliver(practice_id=message.practice_id, message_id=message.id)
    for _ in range(3):
        report(message, reports.Outcome.BOUNCED)
    assert first_message().state == State.BOUNCED
    assert is_told_once()


@pytest.mark.parametrize("state", [State.PENDING, State.FAILED, State.CANCELLED])
@pytest.mark.parametrize(
    ("outcome", "becomes", "reason"),
    [
        (reports.Outcome.BOUNCED, State.BOUNCED, "bounced"),
        (reports.Outcome.LOST, State.BOUNCED, ""),
        (reports.Outcome.DELIVERED, State.SENT, ""),
    ],
)
def test_a_report_on_what_may_be_out_is_heard_whatever_became_of_its_second_try(
    asked: FeedbackRequest, state: State, outcome: reports.Outcome, becomes: State, reason: str
) -> None:
    """Put off, given up, or withdrawn: the first copy is the client's all the same."""
    first = OutboxMessage.objects.filter(kind="feedback_request")
    first.update(state=state)
    report(first.get(), outcome)
    assert first.get().state == state, "nothing of it was ever out"
    first.update(doubts=1, doubted_at=timezone.now())
    report(first.get(), outcome)
    assert (first.get().state, first.get().sent_at) == (becomes, first.get().doubted_at)
    assert asked.therapy_session.treatment.client.channels.get().stop_reason == reason


def test_a_report_leaves_a_message_in_doubt_to_whoever_is_sending_it_again(
    asked: FeedbackRequest,
) -> None:
    first, now = OutboxMessage.objects.filter(kind="feedback_request"), timezone.now()
    first.update(state=State.CLAIMED, lease_until=now, doubts=1, doubted_at=now)
    report(first.get(), reports.Outcome.DELIVERED)
    assert first.get().state == State.CLAIMED


@pytest.mark.parametrize("before", [[], [reports.Outcome.BOUNCED]])
def test_a_complaint_is_a_persons_no_and_holds_at_whatever_address_until_it_was_discussed_anew(
    as_alice: Browser, asked: FeedbackRequest, before: list[reports.Outcome]
) -> None:
    client, message = asked.therapy_session.treatment.client, first_message()
    number: dict[str, object] = {"text": "07400 123456", "text_safe": "yes"}
    as_alice.post(page_of(client), details(client, **number))
    sent = {"state": State.SENT, "sent_at": timezone.now()}
    OutboxMessage.objects.filter(id=message.id).update(**sent)
    # Corrected meanwhile: whoever said no, it is talked about before anything else goes out.
    as_alice.post(page_of(client), details(client, email="right@mail.example", **number))
    for outcome in (*before, reports.Outcome.COMPLAINED, reports.Outcome.BOUNCED):
        report(message, outcome)
    assert {each.stop_reason for each in client.channels.all()} == {"complained"}
    assert first_message().state == State.SENT, "its reader had it before them"
    assert OutboxMessage.objects.get(kind="feedback_reminder").state == State.CANCELLED
    assert "was marked as unwanted" in shown(as_alice.get("/caseload/"))
    for changes in ({"email": "new@mail.example"}, {"email": "", "text": "07400 654321"}):
        as_alice.post(page_of(client), details(client, **number | changes))
        assert not client.channels.usable().exists(), changes
    assert "not even to another address or number" in shown(as_alice.get(page_of(client)))
    number |= {"discussed_on": timezone.localdate(), "talked_again": "on"}
    as_alice.post(page_of(client), details(client, email="new@mail.example", **number))
    assert client.channels.usable().count() == 2


def test_a_way_added_after_a_complaint_waits_as_well(
    as_alice: Browser, asked: FeedbackRequest
) -> None:
    client, message = asked.therapy_session.treatment.client, first_message()
    OutboxMessage.objects.filter(id=message.id).update(state=State.SENT, sent_at=timezone.now())
    report(message, reports.Outcome.COMPLAINED)
    number: dict[str, object] = {"email": "", "text": "07400 123456", "text_safe": "yes"}
    as_alice.post(page_of(client), details(client, **number))
    assert client.channels.get(kind="text").stop_reason == "complained"


def test_a_mail_that_was_lost_on_the_way_stops_nothing(asked: FeedbackRequest) -> None:
    OutboxMessage.objects.filter(kind="feedback_request").update(
        state=State.SENT, sent_at=timezone.now()
    )
    report(first_message(), reports.Outcome.LOST)
    assert first_message().state == State.BOUNCED
    assert asked.therapy_session.treatment.client.channels.usable().exists()
    assert OutboxMessage.objects.get(kind="feedback_reminder").state == State.PENDING


@pytest.mark.parametrize("state", [State.CLAIMED, State.SENT])
def test_a_reminder_that_comes_back_stops_the_way_it_went(
    asked: FeedbackRequest, state: OutboxMessage.State
) -> None:
    """The report may be here before the sender has noted by which way the reminder went."""
    client = asked.therapy_session.treatment.client
    ContactChannel.objects.create(
        practice=client.practice, client=client, kind="text", address="+447400123456",
        safe_to_contact=True,
    )  # fmt: skip
    now = timezone.now()
    noted = {
        State.CLAIMED: {"lease_until": now + OutboxMessage.LEASE},
        State.SENT: {"sent_at": now, "channel": "text"},
    }[state]
    OutboxMessage.objects.filter(kind="feedback_reminder").update(state=state, **noted)
    reminder = OutboxMessage.objects.get(kind="feedback_reminder")
    report(reminder, reports.Outcome.BOUNCED, channel="text")
    assert {each.kind: each.stop_reason for each in client.channels.all()} == {
        "email": "", "text": "bounced",
    }  # fmt: skip
    reminder.refresh_from_db()
    assert (reminder.state, reminder.channel) == (State.BOUNCED, "text")


@pytest.mark.django_db(transaction=True)
def test_a_report_and_whoever_works_on_the_client_wait_for_each_other_at_one_door(
    asked: FeedbackRequest,
) -> None:
    message, client = first_message(), asked.therapy_session.treatment.client
    doubt = {"state": State.UNCERTAIN, "doubts": 1}
    OutboxMessage.objects.filter(id=message.id).update(**doubt)
    with ThreadPoolExecutor(1) as provider:
        with tenancy.practice(asked.practice_id):
            wait_for_turn(id=client.id)
            other = provider.submit(
                elsewhere,
                lambda: report(message, reports.Outcome.BOUNCED),
                practice_id=asked.practice_id,
            )
            wait_for(other)
            withdraw_unsent(client)
        other.result()
    assert client.channels.get().stop_reason == "bounced"


@pytest.mark.django_db(transaction=True)
def test_a_sender_who_gives_up_has_no_message_that_whoever_works_on_the_client_waits_for(
    asked: FeedbackRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    message, client = first_message(), asked.therapy_session.treatment.client
    monkeypatch.setattr(outbox.carriers, "send", Mock(side_effect=Unreachable))
    send = partial(outbox.deliver, practice_id=asked.practice_id, message_id=message.id)
    with ThreadPoolExecutor(1) as sender:
        with tenancy.practice(asked.practice_id):
            wait_for_turn(id=client.id)
            other = sender.submit(at_once, send)
            wait_for(other)
            assert OutboxMessage.objects.select_for_update().get(id=message.id)
        other.result()
    message.refresh_from_db()
    assert (message.state, client.channels.get().stop_reason) == (State.FAILED, "bounced")


def test_of_a_bounce_hears_who_treats_the_client_on_the_practices_day(
    asked: FeedbackRequest, alice: Membership, charlie: Membership
) -> None:
    """At eight in Auckland, on the day of a hand-over; in London it is the day before."""
    message = first_message()
    OutboxMessage.objects.filter(id=message.id).update(state=State.SENT, sent_at=timezone.now())
    Practice.objects.update(time_zone="Pacific/Auckland")
    treatment = asked.therapy_session.treatment
    eight = (timezone.now() + timedelta(days=1)).replace(hour=19, minute=0)
    pass_on(treatment, to=charlie, on=eight.date() + timedelta(days=1), by=alice)
    with time_machine.travel(eight, tick=False):
        report(message, reports.Outcome.BOUNCED)
    told = Notice.objects.filter(kind="channel_stopped")
    assert {each.member for each in told} == {charlie}


@pytest.mark.django_db
def test_a_late_bounce_of_an_earlier_address_stops_no_later_one(
    as_alice: Browser, asked: FeedbackRequest
) -> None:
    client, message = asked.therapy_session.treatment.client, first_message()
    first = {"state": State.SENT, "sent_at": timezone.now()}
    OutboxMessage.objects.filter(id=message.id).update(**first)
    as_alice.post(f"/clients/{client.id}/details/", details(client, email="right@mail.example"))

    def reported() -> str:
        report(message, reports.Outcome.BOUNCED)
        return client.channels.get().stop_reason

    assert (reported(), first_message().state) == ("", State.BOUNCED)
    as_alice.post(f"/clients/{client.id}/details/", details(client, email="RIGHT@mail.example"))
    OutboxMessage.objects.filter(id=message.id).update(**first | {"sent_at": timezone.now()})
    assert reported() == "bounced"


@pytest.mark.parametrize("is_late", [False, True])
@pytest.mark.parametrize(
    ("kinds", "outcome", "is_silence"),
    [
        (["feedback_request", "feedback_reminder"], reports.Outcome.BOUNCED, False),
        (["feedback_request", "feedback_reminder"], reports.Outcome.REFUSED, False),
        (["feedback_request", "feedback_reminder"], reports.Outcome.LOST, False),
        (["feedback_request"], reports.Outcome.BOUNCED, True),
        (["feedback_reminder"], reports.Outcome.BOUNCED, True),
        (["feedback_request", "feedback_reminder"], reports.Outcome.COMPLAINED, False),
    ],
)
def test_what_a_report_says_of_the_clients_silence_it_says_also_once_the_form_has_run_out(
    asked: FeedbackRequest, kinds: list[str], outcome: reports.Outcome,
    is_silence: bool, is_late: bool,
) -> None:  # fmt: skip
    """What came back was no silence, nor is a no; what reached them was, by whichever message."""
    sent = {"state": State.SENT, "sent_at": asked.due_at}
    OutboxMessage.objects.filter(kind__startswith="feedback").update(**sent)
    with time_machine.travel(asked.expires_at - timedelta(hours=1), tick=False) as clock:
        for turn in (False, True):
            if turn == is_late:
                for message in OutboxMessage.objects.filter(kind__in=kinds):
                    report(message, outcome)
            clock.shift(timedelta(hours=2))
            expire_requests()
    asked.refresh_from_db()
    asked.therapy_session.refresh_from_db()
    silence = (asked.therapy_session.asked, Screening.objects.current().get().inputs["asked"])
    assert (asked.state, silence) == (FeedbackRequest.State.EXPIRED, (is_silence, is_silence))


def test_a_fresh_link_that_came_back_makes_no_silence_and_the_one_before_it_changes_nothing(
    asked: FeedbackRequest,
) -> None:
    sent = {"state": State.SENT, "sent_at": asked.due_at}
    OutboxMessage.objects.filter(kind="feedback_request").update(**sent)
    OutboxMessage.objects.create(
        practice_id=asked.practice_id, kind="feedback_fresh_link", subject_id=asked.id,
        not_before=asked.due_at, due_at=asked.due_at, **sent,
    )  # fmt: skip
    with time_machine.travel(asked.expires_at + timedelta(hours=1), tick=False):
        expire_requests()
        for kind, is_silence in (("feedback_request", True), ("feedback_fresh_link", False)):
            report(OutboxMessage.objects.get(kind=kind), reports.Outcome.BOUNCED)
            asked.therapy_session.refresh_from_db()
            assert asked.therapy_session.asked is is_silence, kind


def test_a_form_that_is_not_sent_when_it_is_due_ends_and_is_said_to_be_due_no_more(
    as_alice: Browser, asked: FeedbackRequest
) -> None:
    """Its way is not safe at that moment, and safe again afterwards."""
    client = asked.therapy_session.treatment.client
    asked.due_at = timezone.now() - timedelta(minutes=1)
    asked.save()
    client.channels.update(safe_to_contact=False)
    outbox.deliver_due()
    client.channels.update(safe_to_contact=True)
    asked.refresh_from_db()
    assert (asked.state, asked.therapy_session.asked) == (FeedbackRequest.State.EXPIRED, False)
    assert not mail.outbox
    page = as_alice.get(f"/clients/{client.id}/").content.decode()
    assert "Due" not in page


def test_one_that_waits_in_the_room_stays_open_where_its_message_is_not_sent(
    asked: FeedbackRequest,
) -> None:
    now = timezone.now()
    asked.due_at, asked.room_until = now - timedelta(minutes=1), now + timedelta(minutes=5)
    asked.save()
    asked.therapy_session.treatment.client.channels.update(safe_to_contact=False)
    outbox.deliver_due()
    asked.refresh_from_db()
    assert asked.is_open(at=now, in_room=True)
    assert (asked.channel_kind, asked.expires_at) == ("", asked.room_until), "and no longer"


@pytest.mark.parametrize("has_died", [True, False])
def test_one_whose_message_may_be_out_stays_open_where_it_is_not_sent_again(
    asked: FeedbackRequest, has_died: bool
) -> None:
    """Its connection was lost, or its sender has died."""
    asked.due_at = timezone.now() - timedelta(minutes=1)
    asked.save()
    dead = {"state": State.CLAIMED, "lease_until": timezone.now()}
    OutboxMessage.objects.filter(kind="feedback_request").update(
        **dead if has_died else {"doubts": 1, "doubted_at": timezone.now()}
    )
    asked.therapy_session.treatment.client.channels.update(safe_to_contact=False)
    outbox.deliver_due()
    asked.refresh_from_db()
    assert asked.is_open(at=timezone.now())
