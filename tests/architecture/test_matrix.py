"""Every route × person × object × method (tests/architecture/matrix), and each wall by itself."""

from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest
from django.core import mail
from django.utils import timezone
from pytest_django.plugin import DjangoDbBlocker

from apps.accounts.models import Membership
from apps.clients.handing_over import pass_on
from apps.clients.models import Treatment
from apps.core import tenancy
from apps.core.models import OutboxMessage
from apps.core.tasks import deliver_due_messages, deliver_message
from apps.endings.services import close_treatment
from apps.feedback.models import KIND, FeedbackRequest
from apps.ruptures.models import RuptureEpisode
from apps.ruptures.services import record_outcome
from tests.architecture.matrix.building import taken_back, world
from tests.architecture.matrix.canaries import Canary, canaries
from tests.architecture.matrix.cells import Report, ask_all, cells, names
from tests.architecture.matrix.typed import Form, forms_of, lost
from tests.architecture.matrix.world import Case, Person, World


@pytest.fixture(scope="module")
def practices(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[World]:
    with django_db_blocker.unblock(), world() as made:
        yield made


@pytest.mark.parametrize("name", names())
def test_nobody_reaches_what_is_not_theirs(name: str, practices: World) -> None:
    report = Report()
    ask_all(practices, cells(practices, name), report)
    assert not report.leaks, f"{len(report.leaks)} leaks:\n" + "\n".join(report.leaks[:20])


WRITERS = {"therapist", "supervisor", "manager", "record holder"}


@pytest.fixture(scope="module")
def forms(practices: World) -> list[tuple[Person, Form]]:
    """The forms that therapist, supervisor, manager and record holder can send."""
    writers = [each for each in practices.people if each.practice == "a" and each.name in WRITERS]
    return [(each, form) for each in writers for form in forms_of(practices, each)]


def the_episode_is_closed(case: Case, therapist: Membership) -> None:
    episode = RuptureEpisode.objects.get(id=case.ids["episode_id"])
    record_outcome(episode=episode, outcome=RuptureEpisode.Outcome.REPAIRED, by=therapist)


def the_client_is_with_a_colleague(case: Case, therapist: Membership) -> None:
    own = Treatment.objects.get(id=case.ids["treatment"])
    colleague = Membership.objects.exclude(id=therapist.id).filter(treatments=None).first()
    assert colleague
    pass_on(own, to=colleague, on=timezone.localdate(), by=therapist)


def the_treatment_is_closed(case: Case, therapist: Membership) -> None:
    own = Treatment.objects.get(id=case.ids["treatment"])
    close_treatment(treatment=own, how="agreed", review="", by=therapist)


def the_supervision_has_ended(case: Case, therapist: Membership) -> None:
    yesterday = timezone.localdate() - timedelta(days=1)
    therapist.supervisions_received.update(ends_on=yesterday)


@pytest.mark.parametrize(
    "meanwhile",
    [
        the_episode_is_closed,
        the_client_is_with_a_colleague,
        the_treatment_is_closed,
        the_supervision_has_ended,
    ],
)
def test_what_cannot_be_taken_any_more_is_given_back(
    meanwhile: Callable[[Case, Membership], None],
    practices: World,
    forms: list[tuple[Person, Form]],
) -> None:
    [therapist] = {each.member for each, _form in forms if each.name == "therapist"}
    assert therapist
    with taken_back():
        with tenancy.practice(therapist.practice_id):
            meanwhile(practices.cases["a", "1"], therapist)
        wrong = [each for person, form in forms for each in lost(person, form)]
    assert not wrong, "\n".join(wrong)
    taking_words = {form.route for _person, form in forms if form.words}
    assert {"repair", "record_outcome", "write_support", "decide", "meeting"} <= taking_words


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
    # Nobody would read what the clients of a closed place answer: nothing is sent to them.
    open_requests = {
        key
        for key, case in practices.cases.items()
        if not case.is_over and case.therapist != "disabled member"
    }
    assert {(each.practice, each.number) for each in recipients} == open_requests


def test_a_task_sends_no_message_of_another_practice(practices: World) -> None:
    ids = practice_ids(practices)
    with taken_back():
        with tenancy.practice(ids["b"]):
            OutboxMessage.objects.update(not_before="2020-01-01T00:00Z")
            # A reminder would wait for its day.
            read = FeedbackRequest.objects.filter(
                therapy_session__treatment__therapist__is_active=True
            )
            theirs = OutboxMessage.objects.filter(
                kind=KIND, state="pending", subject_id__in=read.values("id")
            ).first()
        assert theirs
        mail.outbox.clear()
        deliver_message(str(ids["a"]), str(theirs.id))
        assert not mail.outbox
        deliver_message(str(ids["b"]), str(theirs.id))
        assert len(mail.outbox) == 1
