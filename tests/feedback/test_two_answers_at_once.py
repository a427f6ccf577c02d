"""Two answers to one request at the same moment: one rating."""

from functools import partial

import pytest
from django.test import Client as Browser
from django.utils import timezone

from apps.alliance.models import AllianceRating
from apps.feedback.models import FeedbackRequest
from apps.ruptures.models import Screening
from tests.at_once import at_once
from tests.feedback.conftest import answers

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
