"""An answer, and another or a correction, at the same moment: none fails, and one counts."""

from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest
from django.core import mail
from django.db import connections, transaction
from django.test import Client as Browser
from django.utils import timezone
from pytest_django import Settings

from apps.accounts.models import Membership
from apps.alliance.models import AllianceRating
from apps.clients.services import wait_for_turn
from apps.core import outbox, tenancy
from apps.core.models import OutboxMessage
from apps.endings.services import hand_over
from apps.feedback.client_pages import NOT_KEPT
from apps.feedback.corrections import CannotUndo, undo_log
from apps.feedback.lifecycle import FRESH_LINK, link_is_out, revoke_links
from apps.feedback.models import FeedbackRequest
from apps.ruptures.models import Screening
from apps.therapy_sessions.models import TherapySession
from tests.at_once import at_once, elsewhere, wait_for
from tests.feedback.conftest import answers
from tests.feedback.test_corrections import logged

pytestmark = pytest.mark.django_db(transaction=True)


def test_of_answers_at_once_one_counts_and_the_others_hear_so(
    asked: FeedbackRequest, link: str
) -> None:
    comments = [f"From {n}." for n in range(4)]
    pages = at_once(
        *(partial(Browser().post, link, answers(comment=comment)) for comment in comments)
    )
    [thanked] = [n for n, page in enumerate(pages) if page.status_code == 302]
    assert AllianceRating.objects.get().comment == comments[thanked]
    assert Screening.objects.current().filter(therapy_session=asked.therapy_session).count() == 1
    for page in pages[:thanked] + pages[thanked + 1 :]:
        assert b"We already have your answers" in page.content


def test_of_a_paper_and_a_link_at_once_one_counts_and_the_other_hears_so(
    asked: FeedbackRequest, link: str, as_alice: Browser
) -> None:
    paper = f"/sessions/{asked.therapy_session_id}/paper/"
    filled_in = answers(filled_in_on=timezone.localdate().isoformat())
    for _ in range(3):
        by_paper, by_link = at_once(
            partial(as_alice.post, paper, filled_in, follow=True),
            partial(Browser().post, link, answers(comment="Mine."), follow=True),
        )
        rating = AllianceRating.objects.get()
        if rating.mode == AllianceRating.Mode.PAPER:
            assert b"We already have your answers" in by_link.content
        else:
            assert b"This session has its answers already" in by_paper.content
        Screening.objects.all().delete()
        FeedbackRequest.objects.update(state=FeedbackRequest.State.OPEN, rating=None)
        AllianceRating.objects.all().delete()


def test_of_an_answer_and_a_correction_at_once_neither_fails_and_no_answer_is_nobodys(
    asked: FeedbackRequest, link: str, as_alice: Browser
) -> None:
    session = asked.therapy_session
    cancelled = logged(session, attendance=TherapySession.Attendance.THERAPIST_CANCELLED)
    for _ in range(3):
        by_link, corrected = at_once(
            partial(Browser().post, link, answers()),
            partial(as_alice.post, f"/sessions/{session.id}/correct/", cancelled),
        )
        session.refresh_from_db()
        is_answered = AllianceRating.objects.exists()
        assert is_answered == (session.attendance == TherapySession.Attendance.ATTENDED)
        assert is_answered == (by_link.status_code == 302), "thanked only where it was kept"
        assert corrected.status_code == (200 if is_answered else 302)
        Screening.objects.all().delete()
        FeedbackRequest.objects.update(state=FeedbackRequest.State.OPEN, rating=None)
        AllianceRating.objects.all().delete()
        TherapySession.objects.update(attendance=TherapySession.Attendance.ATTENDED)


@pytest.mark.parametrize(
    ("page", "sent"), [("", answers()), ("stop/", {"not_me": "1"}), ("fresh/", {})]
)
def test_a_link_that_ends_at_the_moment_it_is_used_does_nothing(
    asked: FeedbackRequest, link: str, alice: Membership, page: str, sent: dict[str, str]
) -> None:
    client = asked.therapy_session.treatment.client

    def use() -> int:
        try:
            return Browser().post(link + page, sent).status_code
        finally:
            connections.close_all()

    with ThreadPoolExecutor(1) as pool:
        with tenancy.practice(client.practice_id):
            revoke_links(client=client, by=alice)
            other = pool.submit(use)
            wait_for(other)
        assert other.result(timeout=30) == 404
    assert not AllianceRating.objects.exists()
    assert not client.channels.exclude(stopped_at=None).exists()
    assert not OutboxMessage.objects.filter(kind=FRESH_LINK).exists()


def test_a_message_made_as_the_address_is_corrected_goes_there_and_speaks_for_it(
    asked: FeedbackRequest, alice: Membership, settings: Settings
) -> None:
    settings.FEEDBACK_QUIET_HOURS = None
    client, now = asked.therapy_session.treatment.client, timezone.now()
    FeedbackRequest.objects.update(due_at=now)
    OutboxMessage.objects.filter(kind="feedback_request").update(due_at=now, not_before=now)
    message = OutboxMessage.objects.get(kind="feedback_request")
    send = partial(outbox.deliver, practice_id=client.practice_id, message_id=message.id)
    with ThreadPoolExecutor(1) as sender:
        with tenancy.practice(client.practice_id):
            wait_for_turn(id=client.id)
            client.channels.get().lead_to("right@mail.example", safe=True)
            other = sender.submit(at_once, send)
            wait_for(other)
        assert other.result(timeout=30) == [True]
    [sent] = mail.outbox
    assert sent.to == ["right@mail.example"]
    [link] = {word for word in str(sent.body).split() if "/f/" in word}
    assert Browser().get(link).status_code == NOT_KEPT
    asked.refresh_from_db()
    assert link_is_out(asked)


def test_of_a_correction_and_a_hand_over_at_once_neither_fails(
    asked: FeedbackRequest, as_alice: Browser, charlie: Membership, mona: Membership
) -> None:
    session, treatment = asked.therapy_session, asked.therapy_session.treatment

    def handed_over() -> None:
        with tenancy.practice(mona.practice_id):
            hand_over([treatment], to=charlie, by=mona)

    page, _ = at_once(
        partial(as_alice.post, f"/sessions/{session.id}/correct/", logged(session)), handed_over
    )
    assert page.status_code in {302, 404}, "404 where the client was handed over first"
    assert not FeedbackRequest.objects.open(at=timezone.now()).exists()


def test_of_an_undo_and_a_sender_who_takes_the_form_at_once_the_form_stays(
    asked: FeedbackRequest, alice: Membership
) -> None:
    session = asked.therapy_session
    TherapySession.objects.update(logged_at=timezone.now())
    undo = partial(undo_log, session=session, by=alice)
    with ThreadPoolExecutor(1) as pool:
        with transaction.atomic():
            OutboxMessage.objects.filter(subject_id=asked.id).update(
                state=OutboxMessage.State.CLAIMED, lease_until=timezone.now()
            )
            other = pool.submit(elsewhere, undo, practice_id=alice.practice_id)
            wait_for(other)
        with pytest.raises(CannotUndo):
            other.result(timeout=30)
    assert FeedbackRequest.objects.get().state == FeedbackRequest.State.OPEN
