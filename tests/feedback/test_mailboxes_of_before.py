"""Addresses, stops and links of before the spellings of the largest providers were known."""

from datetime import timedelta
from importlib import import_module
from typing import Any

import pytest
from django.apps import apps
from django.test import Client as Browser
from django.utils import timezone

from apps.accounts.models import Membership, Practice
from apps.clients.models import Client, ReachedMailbox
from apps.core import crypto
from apps.core.models import OutboxMessage
from apps.feedback.asking import usable_channels
from apps.feedback.client_pages import NOT_KEPT
from apps.feedback.models import FeedbackRequest
from tests.factories import (
    ClientFactory,
)
from tests.feedback.conftest import answers, link_of
from tests.feedback.test_client_form import shown
from tests.feedback.test_details import anew, details, page_of
from tests.feedback.test_shared_mailbox import (
    ONE_OF_BOTH,
    READER_STOPS,
    Reason,
    added,
    ask,
    codes_told,
    first,
    second,
    send_to,
    shared,
    stop,
)

__all__ = ["first", "second"]


@pytest.mark.parametrize("typed", ["kimlee@gmail.com", "Kim.Lee+x@googlemail.com"])
def test_a_mailbox_of_a_large_provider_is_known_by_whichever_spelling_it_is_delivered(
    as_alice: Browser, mona: Membership, first: Client, second: Client, typed: str
) -> None:
    shared(first, "kim.lee@gmail.com")
    as_alice.post(page_of(second), details(second, email=typed))
    asked = send_to(second)
    assert codes_told(mona) in ONE_OF_BOTH
    assert "This is about your session with Alice." in shown(Browser().get(link_of(asked)))


def recorded_before(client: Client, typed: str = "kim.lee@gmail.com") -> None:
    """It was recorded when the spellings of the largest providers were not known."""
    shared(client, typed)
    index = crypto.blind_index(typed, practice_id=client.practice_id)
    client.channels.update(address_index=index)


def taken_away_before(client: Client, why: Reason) -> None:
    """Its mailbox was stopped and taken off the record by then, too."""
    recorded_before(client)
    stop(client, why)
    client.channels.update(address="", safe_to_contact=False)


def migrate() -> None:
    migration = import_module("apps.clients.migrations.0015_largest_providers")
    migration.index_mailboxes(apps, None)


def test_addresses_of_before_are_known_by_their_large_provider_by_migration(
    first: Client, second: Client
) -> None:
    recorded_before(first)
    shared(second, "kimlee@gmail.com")
    link = link_of(ask(second))
    assert "about your session with" not in shown(Browser().get(link))
    migrate()
    assert "This is about your session with Alice." in shown(Browser().get(link))


@pytest.mark.parametrize("typed", ["kim.lee@gmail.com", "kim_lee@proton.me", "kim@me.com"])
def test_a_link_of_before_that_migration_works_as_long_as_its_channel_leads_there(
    as_alice: Browser, second: Client, typed: str
) -> None:
    recorded_before(second, typed)
    link = link_of(ask(second))
    migrate()
    assert Browser().get(link).status_code == NOT_KEPT
    assert Browser().get(link + "stop/").status_code == 200
    as_alice.post(page_of(second), details(second, email="kim.li@gmail.com"))
    assert Browser().get(link).status_code == 404
    as_alice.post(page_of(second), details(second, email=typed))
    assert Browser().post(link, answers()).status_code == 302


@pytest.mark.parametrize("typed", ["kim.lee@gmail.com", "KIM.LEE+x@gmail.com"])
@pytest.mark.parametrize("why", READER_STOPS)
def test_a_stop_of_before_that_migration_whose_address_is_gone_holds_under_another_code(
    as_alice: Browser, first: Client, second: Client, why: Reason, typed: str
) -> None:
    taken_away_before(first, why)
    migrate()
    as_alice.post(page_of(second), details(second, email=typed))
    assert second.channels.get().address == typed
    assert not usable_channels(second)


@pytest.mark.parametrize("why", [Reason.NOT_MINE, Reason.BOUNCED])
def test_a_wrong_mailbox_of_before_that_migration_is_not_used_again(
    as_alice: Browser, second: Client, why: Reason
) -> None:
    taken_away_before(second, why)
    migrate()
    talked = anew() if why == Reason.NOT_MINE else {}
    as_alice.post(page_of(second), details(second, email="kim.lee@gmail.com", **talked))
    assert not usable_channels(second)


def test_what_begins_with_a_plus_is_taken_for_nobody_elses_stopped_mailbox(
    as_alice: Browser, first: Client
) -> None:
    stop(first, Reason.NOT_MINE)
    of_the_host = crypto.blind_index("@mail.example", practice_id=first.practice_id)
    first.channels.update(address="", safe_to_contact=False, address_index=of_the_host)
    as_alice.post("/clients/add/", added(email="+lee@mail.example"))
    assert usable_channels(Client.objects.get(code="FE-0191"))


def test_that_migration_asks_for_no_key_of_a_practice_whose_addresses_have_one_spelling(
    practice: Practice, django_assert_max_num_queries: Any
) -> None:
    ClientFactory.create_batch(9, practice=practice)
    with django_assert_max_num_queries(2):  # the rows, and the keys of their clients
        migrate()


def test_where_messages_of_before_went_is_known_where_the_channel_leads_there_still(
    first: Client, second: Client
) -> None:
    """By migration; of others nobody kept where they went."""
    migration = import_module("apps.feedback.migrations.0006_reached_mailboxes")
    for client in (first, second):
        sent = OutboxMessage.objects.filter(subject_id=ask(client).id)
        sent.update(state="sent", channel="email", sent_at=timezone.now())
    second.channels.update(address_since=timezone.now() + timedelta(minutes=1))
    for _twice in range(2):
        migration.note_what_went_before(apps, None)
        [reached] = ReachedMailbox.objects.all()
        assert reached.client == first
        assert bytes(reached.address_index) == bytes(first.channels.get().address_index)
        asked = FeedbackRequest.objects.of(first).get()
        assert reached.since == OutboxMessage.objects.filter(subject_id=asked.id).first().sent_at
