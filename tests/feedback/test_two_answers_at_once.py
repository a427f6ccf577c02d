"""Two answers to one request at the same moment: one rating."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import pytest
from django.db import connections
from django.test import Client as Browser

from apps.alliance.models import AllianceRating
from apps.feedback.models import FeedbackRequest
from apps.ruptures.models import Screening
from tests.feedback.conftest import answers

AT_ONCE = 4


@pytest.mark.django_db(transaction=True)
def test_of_answers_at_once_one_counts_and_the_others_hear_so(
    asked: FeedbackRequest, link: str
) -> None:
    ready = Barrier(AT_ONCE)

    def answer(n: int) -> Any:
        try:
            ready.wait(timeout=30)
            return Browser().post(link, answers(comment=f"From {n}."))
        finally:
            connections.close_all()

    with ThreadPoolExecutor(AT_ONCE) as people:
        pages = list(people.map(answer, range(AT_ONCE)))
    thanked = [n for n, page in enumerate(pages) if page.status_code == 302]
    assert len(thanked) == 1
    assert AllianceRating.objects.get().comment == f"From {thanked[0]}."
    assert Screening.objects.current().filter(therapy_session=asked.therapy_session).count() == 1
    for n, page in enumerate(pages):
        if n not in thanked:
            assert b"We already have your answers" in page.content
