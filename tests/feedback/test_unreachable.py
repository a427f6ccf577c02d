"""An address that takes no messages: nothing more goes there, and alice is told."""

import smtplib
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.core import mail
from django.test import Client as Browser
from django.utils import timezone

from apps.accounts.models import Membership, Notice, Practice
from apps.clients.models import ContactChannel
from apps.clients.services import hand_over_caseload
from apps.core import outbox, reports
from apps.core.models import OutboxMessage
from apps.feedback.models import FeedbackRequest
from apps.feedback.services import practice_questionnaire, request_feedback
from tests.factories import TherapySessionFactory, TreatmentFactory
from tests.feedback.test_details import details

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
    for outcome in (reports.Outcome.BOUNCED, reports.Outcome.COMPLAINED, reports.Outcome.BOUNCED):
        reports.note(practice_id=message.practice_id, message_id=message.id, outcome=outcome)
    assert first_message().state == State.BOUNCED
    assert is_told_once()


def test_of_a_bounce_hears_who_treats_the_client_on_the_practices_day(
    asked: FeedbackRequest, alice: Membership, charlie: Membership
) -> None:
    """At eight in Auckland, on the day of a hand-over; in London it is the day before."""
    message = first_message()
    OutboxMessage.objects.filter(id=message.id).update(state=State.SENT, sent_at=timezone.now())
    Practice.objects.update(time_zone="Pacific/Auckland")
    treatment = asked.therapy_session.treatment
    eight = (timezone.now() + timedelta(days=1)).replace(hour=19, minute=0)
    hand_over_caseload(
        treatments=[treatment], to=charlie, on=eight.date() + timedelta(days=1), by=alice
    )
    with time_machine.travel(eight, tick=False):
        reports.note(
            practice_id=message.practice_id, message_id=message.id, outcome=reports.Outcome.BOUNCED
        )
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

    def report() -> str:
        reports.note(
            practice_id=asked.practice_id, message_id=message.id, outcome=reports.Outcome.BOUNCED
        )
        return client.channels.get().stop_reason

    assert (report(), first_message().state) == ("", State.BOUNCED)
    as_alice.post(f"/clients/{client.id}/details/", details(client, email="RIGHT@mail.example"))
    OutboxMessage.objects.filter(id=message.id).update(**first | {"sent_at": timezone.now()})
    assert report() == "bounced"
