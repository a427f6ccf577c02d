"""Every route × person × object × method (tests/architecture/matrix), and each wall by itself."""

from collections.abc import Iterator

import pytest
from django.core import mail
from pytest_django.plugin import DjangoDbBlocker

from apps.core import tenancy
from apps.core.models import OutboxMessage
from apps.core.tasks import deliver_due_messages, deliver_message
from apps.feedback.lifecycle import KIND
from tests.architecture.matrix.cells import Report, ask_all, cells, names
from tests.architecture.matrix.world import Canary, World, canaries, taken_back, world


@pytest.fixture(scope="module")
def practices(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[World]:
    with django_db_blocker.unblock(), world() as made:
        yield made


@pytest.mark.parametrize("name", names())
def test_nobody_reaches_what_is_not_theirs(name: str, practices: World) -> None:
    report = Report()
    ask_all(practices, cells(practices, name), report)
    assert not report.leaks, f"{len(report.leaks)} leaks:\n" + "\n".join(report.leaks[:20])


def practice_ids(practices: World) -> dict[str, object]:
    return {each.practice: each.member.practice_id for each in practices.people if each.member}


def test_mail_says_nothing_of_a_client_and_nothing_of_another_practice(practices: World) -> None:
    with taken_back():
        for practice_id in practice_ids(practices).values():
            with tenancy.practice(practice_id):
                OutboxMessage.objects.update(not_before="2020-01-01T00:00Z")
        mail.outbox.clear()
        deliver_due_messages()
    recipients = set()
    for message in mail.outbox:
        (recipient,) = canaries(message.to[0])
        recipients.add(recipient)
        said = canaries(f"{message.subject} {message.from_email} {message.body}")
        assert said <= {Canary(recipient.practice, "0", "s")}
    open_requests = {key for key, case in practices.cases.items() if not case.is_over}
    assert {(each.practice, each.number) for each in recipients} == open_requests


def test_a_task_sends_no_message_of_another_practice(practices: World) -> None:
    ids = practice_ids(practices)
    with taken_back():
        with tenancy.practice(ids["b"]):
            OutboxMessage.objects.update(not_before="2020-01-01T00:00Z")
            # A reminder would wait for its day.
            theirs = OutboxMessage.objects.filter(kind=KIND, state="pending").first()
        assert theirs
        mail.outbox.clear()
        deliver_message(str(ids["a"]), str(theirs.id))
        assert not mail.outbox
        deliver_message(str(ids["b"]), str(theirs.id))
        assert len(mail.outbox) == 1
