"""The switch: pausing, releasing, and a pause that begins by itself after a restore."""

from datetime import timedelta
from io import StringIO
from uuid import uuid4

import pytest
from django.core.management import call_command
from django.utils import timezone

from apps.core import outbox, sending, tenancy
from apps.core.models import OutboxMessage, Sending
from tests.conftest import the_owner

pytestmark = pytest.mark.django_db(transaction=True)
State = OutboxMessage.State


def put(*, due_in: timedelta = timedelta(0)) -> OutboxMessage:
    practice_id, at = uuid4(), timezone.now() + due_in
    with tenancy.practice(practice_id):
        return OutboxMessage.objects.create(
            practice_id=practice_id, kind="none", subject_id=uuid4(), not_before=at, due_at=at
        )


def state(message: OutboxMessage) -> str:
    with tenancy.practice(message.practice_id):
        message.refresh_from_db()
    return message.state


def run(command: str, *arguments: str) -> str:
    said = StringIO()
    with the_owner():
        call_command(command, *arguments, stdout=said)
    return said.getvalue()


def test_a_new_installation_sends_and_notes_its_database() -> None:
    assert sending.paused() is None
    outbox.deliver_due()
    assert Sending.objects.get().database
    assert sending.paused() is None


def test_while_sending_is_paused_nothing_is_claimed() -> None:
    message = put()
    run("pause_sending", "--why", "the provider moves")
    pause = sending.paused()
    assert pause
    assert pause.why == "the provider moves"
    assert outbox.deliver_due() == 0
    assert outbox.deliver(practice_id=message.practice_id, message_id=message.id) is False
    assert state(message) == State.PENDING
    assert "1 messages waited, 0 are withdrawn" in run("release_sending")
    assert sending.paused() is None
    outbox.deliver_due()
    assert state(message) != State.CLAIMED


def test_what_is_due_can_be_dropped_when_sending_is_released() -> None:
    waits, later = put(due_in=timedelta(hours=-3)), put(due_in=timedelta(hours=3))
    run("pause_sending")
    assert "1 are withdrawn" in run("release_sending", "--drop")
    assert (state(waits), state(later)) == (State.CANCELLED, State.PENDING)


def test_a_database_that_was_restored_sends_nothing_until_somebody_says_so() -> None:
    outbox.deliver_due()
    # What a restore changes: cluster, timeline or the number of the database.
    Sending.objects.update(database="another cluster/1/5")
    message = put()
    assert outbox.deliver_due() == 0
    pause = sending.paused()
    assert pause
    assert (pause.why, pause.since) == (sending.AFTER_A_RESTORE, None)
    assert state(message) == State.PENDING
    run("release_sending")
    assert sending.paused() is None
