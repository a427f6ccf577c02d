"""What leaves the house: neutral words, to a safe address, once."""

import re

import pytest
from django.core import mail
from django.test import Client as Browser
from django.utils import timezone
from pytest_django import Settings

from apps.accounts.models import Practice
from apps.clients.models import Client
from apps.core import outbox
from apps.core.models import OutboxMessage
from apps.core.neutral import NEVER_SENT
from apps.core.outbox import NothingToSend
from apps.feedback.messages import link_to, render_feedback_request
from apps.feedback.models import KIND, FeedbackRequest
from apps.feedback.services import submit_response


@pytest.mark.parametrize("language", NEVER_SENT)
def test_nothing_in_a_message_tells_what_it_is_about_or_whom_it_is_for(
    asked: FeedbackRequest, settings: Settings, language: str
) -> None:
    Client.objects.update(language=language)
    OutboxMessage.objects.update(not_before=timezone.now())
    outbox.enqueue(
        kind=KIND, subject_id=asked.id, practice_id=asked.practice_id, not_before=timezone.now()
    )
    message = OutboxMessage.objects.get(kind=KIND)
    rendered = render_feedback_request(asked.id)
    everything = " ".join(
        (
            rendered.subject,
            rendered.body,
            rendered.sender_name,
            rendered.stop_url,
            settings.DEFAULT_FROM_EMAIL,
        )
    )
    client = asked.therapy_session.treatment.client
    names = (client.initials, client.code, asked.practice.name, "Alice", "Moreau")
    # The token is random: letters of a word can meet in it.
    readable = everything.replace(rendered.body.split("/f/")[1].split("/")[0], "")
    for word in NEVER_SENT[language] + NEVER_SENT["en-gb"]:
        assert not re.search(word, readable, re.IGNORECASE)
    assert rendered.language == language
    for name in names:
        assert name not in readable
    assert message.kind == KIND


def test_the_link_of_a_message_opens_the_form_and_is_stored_nowhere(
    asked: FeedbackRequest, link: str
) -> None:
    rendered = render_feedback_request(asked.id)
    assert link in rendered.body
    token = link.split("/")[2]
    assert token not in str(list(OutboxMessage.objects.values()))
    assert token not in str(list(FeedbackRequest.objects.values()))


def unsafe(asked: FeedbackRequest) -> None:
    asked.therapy_session.treatment.client.channels.update(safe_to_contact=False)


def declined(asked: FeedbackRequest) -> None:
    client = asked.therapy_session.treatment.client
    client.consent = client.Consent.DECLINED
    client.save()


def answered(asked: FeedbackRequest) -> None:
    submit_response(request_id=asked.id, answers={"heard": 5})


def run_out(asked: FeedbackRequest) -> None:
    asked.due_at = asked.created_at.replace(year=2020)
    asked.expires_at = asked.created_at.replace(year=2021)
    asked.save()


@pytest.mark.parametrize("change", [unsafe, declined, answered, run_out])
def test_a_message_that_lost_its_purpose_is_not_sent(
    asked: FeedbackRequest, change: object
) -> None:
    change(asked)  # type: ignore[operator]
    with pytest.raises(NothingToSend):
        render_feedback_request(asked.id)


@pytest.mark.django_db(transaction=True)
def test_a_due_request_goes_out_once_to_the_safe_address(asked: FeedbackRequest) -> None:
    OutboxMessage.objects.update(not_before=timezone.now())
    assert outbox.deliver_due() == 1
    assert outbox.deliver_due() == 0
    sent = mail.outbox[0]
    assert sent.to == [asked.therapy_session.treatment.client.channels.get().address]
    assert sent.from_email.startswith("Fernbank <")
    assert len(mail.outbox) == 1


def test_a_telling_sender_of_before_goes_out_as_a_neutral_one_and_managers_are_told(
    asked: FeedbackRequest, as_mona: Browser
) -> None:
    Practice.objects.update(sender_name="Praxis Fernbank")
    OutboxMessage.objects.update(not_before=timezone.now())
    rendered = render_feedback_request(asked.id)
    assert rendered.sender_name == "Rapport"
    assert "Praxis" not in rendered.body
    assert "Praxis" not in Browser().get(link_to(asked)).content.decode()
    told = "“Praxis Fernbank”, the sender on record, tells"
    assert told in as_mona.get("/practice/").content.decode()
    Practice.objects.update(sender_name="Fernbank")
    assert "the sender on record" not in as_mona.get("/practice/").content.decode()
