"""A mailbox that several clients have, and whose reader stopped messages."""

import pytest
from django.test import Client as Browser

from apps.clients.models import Client
from apps.feedback.asking import usable_channels, why_not_ask
from apps.feedback.lifecycle import stop_messages
from apps.feedback.messages import render_feedback_request
from tests.conftest import signed_in
from tests.feedback.test_client_form import shown
from tests.feedback.test_details import anew, details, page_of
from tests.feedback.test_shared_mailbox import (
    MAILBOX,
    READER_STOPS,
    SAID_STOPPED,
    Reason,
    added,
    ask,
    first,
    second,
    stop,
)

__all__ = ["first", "second"]


@pytest.mark.parametrize("why", READER_STOPS)
@pytest.mark.parametrize("typed", [MAILBOX, MAILBOX.upper(), "one+new@mail.example"])
def test_a_mailbox_whose_reader_stopped_messages_is_stopped_under_a_new_code_until_talked_about(
    as_alice: Browser, first: Client, why: Reason, typed: str
) -> None:
    stop(first, why)
    assert as_alice.post("/clients/add/", added(email=typed)).status_code == 302
    client = Client.objects.get(code="FE-0191")
    assert why_not_ask(client), "though a talk is noted: it was not about that"
    said = "Messages were marked as unwanted" if why == Reason.COMPLAINED else SAID_STOPPED
    assert f"Email: {said}." in shown(as_alice.get(page_of(client)))
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
    assert f"Email: {SAID_STOPPED}." in shown(as_alice.get(page_of(second)))


def test_of_a_couple_with_one_mailbox_who_stops_later_stops_their_own_forms_alone(
    as_alice: Browser, first: Client, second: Client
) -> None:
    as_alice.post(page_of(second), details(second, email=MAILBOX))
    asked = ask(second)
    stop(first)
    assert render_feedback_request(asked.id)
    as_alice.post(page_of(second), details(second, initials="T. C."))
    assert usable_channels(second)
    assert SAID_STOPPED not in shown(as_alice.get(page_of(second)))
    assert not first.channels.usable().exists()


def test_a_talk_about_what_a_partner_stopped_later_changes_nothing_since_when_messages_go_there(
    as_alice: Browser, first: Client, second: Client
) -> None:
    as_alice.post(page_of(second), details(second, email=MAILBOX))
    since = second.channels.get().address_since
    stop(first)
    as_alice.post(page_of(second), details(second, **anew()))
    assert second.channels.get().address_since == since


def test_a_talk_with_one_of_a_couple_opens_their_own_forms_alone_and_their_next_stop_holds(
    as_alice: Browser, first: Client, second: Client
) -> None:
    stop(first)
    as_alice.post(page_of(second), details(second, email=MAILBOX))
    as_alice.post(page_of(second), details(second, **anew()))
    assert usable_channels(second)
    assert not usable_channels(first)
    as_alice.post(page_of(second), details(second, email="ONE+2@mail.example"))
    assert usable_channels(second), "another spelling is no other mailbox"
    stop(second)
    assert not usable_channels(second)


@pytest.mark.parametrize("why", READER_STOPS)
def test_a_stop_said_at_another_address_says_nothing_of_the_mailbox_it_is_carried_to(
    as_alice: Browser, first: Client, second: Client, why: Reason
) -> None:
    asked = ask(second)
    stop(first, why)
    as_charlie = signed_in(first.treatments.get().therapist)
    as_charlie.post(page_of(first), details(first, email="two@mail.example"))
    assert first.channels.get().address == "two@mail.example"
    assert not usable_channels(first)
    assert usable_channels(second)
    assert render_feedback_request(asked.id)
    assert SAID_STOPPED not in shown(as_alice.get(page_of(second)))
    as_alice.post("/clients/add/", added(email="two@mail.example"))
    assert not why_not_ask(Client.objects.get(code="FE-0191")), "nor of who is recorded there later"


def test_a_wrong_mailbox_stays_known_when_its_client_is_reached_elsewhere(
    as_alice: Browser, first: Client
) -> None:
    stop(first, Reason.NOT_MINE)
    as_charlie = signed_in(first.treatments.get().therapist)
    as_charlie.post(page_of(first), details(first, email="right@mail.example"))
    as_alice.post("/clients/add/", added())
    assert why_not_ask(Client.objects.get(code="FE-0191"))


def test_a_stop_that_was_taken_over_is_not_handed_on(
    as_alice: Browser, first: Client, second: Client
) -> None:
    stop(first)
    as_alice.post(page_of(second), details(second, email=MAILBOX))
    assert not usable_channels(second)
    first.channels.all().delete()
    as_alice.post("/clients/add/", added())
    assert not why_not_ask(Client.objects.get(code="FE-0191"))


@pytest.mark.parametrize("why", READER_STOPS)
def test_a_stopped_mailbox_leaves_a_way_as_it_was_that_leads_where_it_did(
    as_alice: Browser, first: Client, second: Client, why: Reason
) -> None:
    number: dict[str, object] = {"text": "07400 123456", "text_safe": "yes"}
    as_alice.post(page_of(second), details(second, **number))
    assert len(usable_channels(second)) == 2
    stop(first, why)
    for _again in range(2):
        as_alice.post(page_of(second), details(second, email=MAILBOX, **number))
        assert [each.kind for each in usable_channels(second)] == ["text"]
    as_alice.post(page_of(second), details(second, **number, **anew()))
    assert len(usable_channels(second)) == 2


def test_a_way_that_is_recorded_with_a_stopped_mailbox_waits_as_well(
    as_alice: Browser, first: Client
) -> None:
    """It may be the client again, under another code."""
    stop(first)
    as_alice.post("/clients/add/", added(text="07400 123456", text_safe="yes"))
    assert not usable_channels(Client.objects.get(code="FE-0191"))


def test_a_talk_that_is_saved_with_the_stopped_mailbox_was_not_about_that_stop(
    as_alice: Browser, first: Client, second: Client
) -> None:
    stop(first)
    stop_messages(client=second)
    as_alice.post(page_of(second), details(second, **anew(email=MAILBOX)))
    assert not usable_channels(second)
    as_alice.post(page_of(second), details(second, **anew()))
    assert usable_channels(second)


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
    stop(first, why)
    as_alice.post(page_of(second), details(second, email=MAILBOX))
    assert usable_channels(second)
