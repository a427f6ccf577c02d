"""One mailbox, recorded for several clients of a practice: what its reader says holds for all."""

from datetime import timedelta

import pytest
import time_machine
from django.test import Client as Browser
from django.utils import timezone

from apps.accounts.models import Membership
from apps.clients.models import Client, ContactChannel
from apps.clients.services import stop_channel
from apps.core.outbox import NothingToSend
from apps.feedback.asking import usable_channels, why_not_ask
from apps.feedback.lifecycle import stop_messages
from apps.feedback.messages import render_feedback_request
from apps.feedback.models import FeedbackRequest
from apps.feedback.services import practice_questionnaire, request_feedback
from tests.factories import ClientFactory, TherapySessionFactory, TreatmentFactory
from tests.feedback.test_client_form import shown
from tests.feedback.test_details import anew, details, page_of

Reason = ContactChannel.StopReason
READER_STOPS = [Reason.STOPPED, Reason.COMPLAINED, Reason.NOT_MINE]
MAILBOX = "one@mail.example"


@pytest.fixture
def first(charlie: Membership) -> Client:
    """Charlie's client, who is reached at the mailbox."""
    client = ClientFactory.create(practice=charlie.practice, email=MAILBOX, code="FE-0102")
    TreatmentFactory.create(therapist=charlie, client=client)
    return client


@pytest.fixture
def second(alice: Membership) -> Client:
    """Alice's client, who is reached elsewhere."""
    client = ClientFactory.create(practice=alice.practice, email="two@mail.example", code="FE-0150")
    TreatmentFactory.create(therapist=alice, client=client)
    return client


def stop(client: Client, why: Reason = Reason.STOPPED) -> None:
    stop_channel(channel=client.channels.get(), why=why, by=None)


def ask(client: Client) -> FeedbackRequest:
    return request_feedback(
        therapy_session=TherapySessionFactory.create(treatment=client.treatments.get()),
        questionnaire=practice_questionnaire(client.practice),
        channel_kind="email",
        by=None,
    )


def added(**changes: object) -> dict[str, object]:
    """A new client, reached at the mailbox."""
    return {
        "initials": "R. B.", "code": "FE-0191", "language": "en-gb", "country": "GB",
        "time_zone": "Europe/London", "discussed_on": timezone.localdate().isoformat(),
        "consent": "agreed", "email": MAILBOX, "email_safe": "yes", "minutes": "50",
        "every_weeks": "1", "count": "3",
    } | changes  # fmt: skip


@pytest.mark.parametrize("why", READER_STOPS)
@pytest.mark.parametrize("typed", [MAILBOX, MAILBOX.upper(), "one+new@mail.example"])
def test_a_mailbox_whose_reader_stopped_messages_is_stopped_under_a_new_code_until_talked_about(
    as_alice: Browser, first: Client, why: Reason, typed: str
) -> None:
    stop(first, why)
    assert as_alice.post("/clients/add/", added(email=typed)).status_code == 302
    client = Client.objects.get(code="FE-0191")
    assert why_not_ask(client)
    assert "Email: The client stopped messages." in shown(as_alice.get(page_of(client)))
    as_alice.post(page_of(client), details(client))
    assert not client.channels.usable().exists()
    as_alice.post(page_of(client), details(client, **anew()))
    assert not why_not_ask(client)
    as_alice.post(page_of(client), details(client, initials="T. C."))
    assert not why_not_ask(client), "talked about is talked about"
    assert first.channels.get().stopped_at, "nobody talked with them"


def test_a_client_who_is_given_the_stopped_mailbox_later_gets_nothing_there_either(
    as_alice: Browser, first: Client, second: Client
) -> None:
    stop(first)
    as_alice.post(page_of(second), details(second, email=MAILBOX))
    assert second.channels.get().address == MAILBOX
    assert not usable_channels(second)
    assert "Email: The client stopped messages." in shown(as_alice.get(page_of(second)))


@pytest.mark.parametrize("why", READER_STOPS)
def test_a_stop_that_comes_after_the_second_record_holds_for_it_until_it_was_talked_about(
    as_alice: Browser, first: Client, second: Client, why: Reason
) -> None:
    as_alice.post(page_of(second), details(second, email=MAILBOX))
    asked = ask(second)
    stop(first, why)
    with (
        time_machine.travel(asked.due_at + timedelta(minutes=1)),
        pytest.raises(NothingToSend),
    ):
        render_feedback_request(asked.id)
    assert why_not_ask(second)
    assert "Email: The client stopped messages." in shown(as_alice.get(page_of(second)))
    as_alice.post(page_of(second, "consent"))
    assert not usable_channels(second), "agreeing as before is no talk about it"
    yesterday = timezone.localdate() - timedelta(days=1)
    page = as_alice.post(page_of(second), details(second, **anew(discussed_on=yesterday)))
    assert "Messages were stopped on" in shown(page)
    as_alice.post(page_of(second), details(second, **anew()))
    assert usable_channels(second)
    assert not first.channels.usable().exists()
    first.channels.update(stopped_at=timezone.now(), stop_reason=Reason.NOT_MINE)
    assert not usable_channels(second), "said anew"


def test_a_talk_about_other_stops_on_a_day_before_does_not_open_a_stopped_mailbox(
    as_alice: Browser, first: Client, second: Client
) -> None:
    yesterday = timezone.localdate() - timedelta(days=1)
    with time_machine.travel(timezone.now() - timedelta(days=1)):
        stop_messages(client=second)
    stop(first)
    talked = anew(discussed_on=yesterday, email=MAILBOX)
    as_alice.post(page_of(second), details(second, **talked))
    assert not second.channels.usable().exists()


def test_a_switch_to_and_fro_opens_no_mailbox_that_was_stopped_elsewhere(
    as_alice: Browser, first: Client, second: Client
) -> None:
    stop(second, Reason.SWITCHED)
    stop(first)
    as_alice.post(page_of(second), details(second, email=MAILBOX))
    assert second.channels.get().stop_reason == Reason.STOPPED


@pytest.mark.parametrize("why", [Reason.SWITCHED, Reason.BOUNCED])
def test_what_no_reader_stopped_holds_for_its_own_client_alone(
    as_alice: Browser, first: Client, second: Client, why: Reason
) -> None:
    as_alice.post(page_of(second), details(second, email=MAILBOX))
    stop(first, why)
    assert usable_channels(second)
