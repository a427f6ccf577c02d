"""Delivery: for mona all messages to clients, for alice those to her own; counts only."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.db import connection
from django.http import HttpResponse
from django.test import Client as Browser
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from apps.accounts.models import Membership, Practice
from apps.core import sending
from apps.core.models import OutboxMessage
from apps.feedback.models import FeedbackRequest
from apps.feedback.services import practice_questionnaire, request_feedback, submit_response
from tests.architecture.matrix.building import ITEMS
from tests.factories import TherapySessionFactory, TreatmentFactory

pytestmark = pytest.mark.django_db
PRACTICE, OWN = "/practice/delivery/", "/caseload/delivery/"
Words = Callable[[HttpResponse], str]
State = OutboxMessage.State


def ask(therapist: Membership, state: str = State.SENT, *, answered: bool = False) -> OutboxMessage:
    """A request to a new client of the therapist whose message went as `state` says."""
    request: FeedbackRequest = request_feedback(
        therapy_session=TherapySessionFactory.create(
            treatment=TreatmentFactory.create(therapist=therapist)
        ),
        questionnaire=practice_questionnaire(therapist.practice),
        channel_kind="email",
        by=None,
    )
    now = timezone.now()
    message = OutboxMessage.objects.get(subject_id=request.id, kind="feedback_request")
    message.state = state
    message.due_at = message.not_before = now - timedelta(minutes=5)
    message.sent_at = now if state in (State.SENT, State.BOUNCED) else None
    message.save()
    if answered:
        submit_response(request_id=request.id, answers=dict.fromkeys(ITEMS, 7))
    return message


def test_everybody_sees_the_counts_that_are_theirs(
    as_alice: Browser, as_sam: Browser, as_mona: Browser
) -> None:
    for browser, practice, own in ((as_alice, 403, 200), (as_sam, 403, 403), (as_mona, 200, 403)):
        assert browser.get(PRACTICE).status_code == practice
        assert browser.get(OWN).status_code == own
    assert as_mona.post(PRACTICE).status_code == 405


def test_what_was_sent_came_back_and_was_answered_is_counted(
    alice: Membership, charlie: Membership, as_alice: Browser, as_mona: Browser, words: Words
) -> None:
    ask(alice, answered=True)
    ask(alice)
    ask(alice, State.BOUNCED)
    ask(alice, State.FAILED)
    ask(charlie, answered=True)
    late = ask(charlie, State.PENDING)
    page = words(as_mona.get(PRACTICE))
    assert "Oldest due message: 5 min." in page
    assert "1 Due oldest since" in page
    assert "4 Sent" in page
    assert "2 Undelivered" in page
    assert "2 Answered of 3 delivered" in page
    assert "Email Due 1 Sent 4 Undelivered 2 Answered 2 of 4" in page
    assert "Text message Due 0 Sent 0 Undelivered 0 Answered 0 of 0" in page
    own = words(as_alice.get(OWN))
    assert "3 Sent" in own
    assert "1 Answered of 2 delivered" in own
    assert "No message waits." in own
    for said in (page, own):
        assert "FE-" not in said
    assert str(late.id) not in page


def test_a_pause_is_told_on_every_start_page(
    practice: Practice, alice: Membership, as_alice: Browser, as_mona: Browser, words: Words
) -> None:
    ask(alice, State.PENDING)
    sending.pause(why="after a restore")
    for page in (as_mona.get(PRACTICE), as_mona.get("/practice/"), as_alice.get("/caseload/")):
        assert "Sending is paused since" in words(page)
        assert "after a restore. 1 message waits." in words(page)


def test_a_delay_is_told_although_each_try_moves_on(
    alice: Membership, as_alice: Browser, words: Words
) -> None:
    message = ask(alice, State.PENDING)
    OutboxMessage.objects.filter(id=message.id).update(
        attempts=3, not_before=timezone.now() + timedelta(minutes=20)
    )
    assert "Messages are delayed since" in words(as_alice.get("/caseload/"))


def test_no_therapist_reads_when_messages_to_colleagues_clients_were_due(
    alice: Membership, charlie: Membership, as_charlie: Browser, as_mona: Browser, words: Words
) -> None:
    """It would tell when their sessions end."""
    TreatmentFactory.create(therapist=charlie)
    message = ask(alice, State.PENDING)
    OutboxMessage.objects.filter(id=message.id).update(
        due_at=timezone.now() - timedelta(minutes=20)
    )
    assert "Messages are delayed since" in words(as_mona.get("/practice/"))
    for page in ("/caseload/", "/caseload/delivery/"):
        shows = as_charlie.get(page)
        assert shows.status_code == 200
        assert "Messages are delayed since" not in words(shows)
    sending.pause(why="after a restore")
    assert "0 messages wait" in words(as_charlie.get("/caseload/"))


def test_more_messages_cost_no_more_queries(alice: Membership, as_mona: Browser) -> None:
    counts = []
    for _ in range(2):
        with CaptureQueriesContext(connection) as queries:
            assert as_mona.get(PRACTICE).status_code == 200
        counts.append(len(queries))
        for _ in range(3):
            ask(alice, answered=True)
    assert counts[0] == counts[1]
