"""Pages: what the caseload and the client's form cost beside the least they could."""

import gzip
import time
from collections.abc import Iterator
from functools import partial
from typing import Any

from django.db import connection
from django.test import Client as Browser
from django.test import override_settings
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from apps.accounts.models import Membership
from apps.accounts.sign_in import BEGAN, SEEN
from apps.core import tenancy
from apps.dashboard import views
from apps.feedback.models import FeedbackRequest
from apps.feedback.services import practice_questionnaire, request_feedback
from apps.feedback.tokens import make_token
from tests.factories import TherapySessionFactory, TreatmentFactory

from . import bare, world
from .measure import Figure, in_turn

ANSWERS = {f"item_{item}": "7" for item in bare.ITEMS} | {"tension": "0", "comment": "Good."}


def signed_in(member: Membership) -> Browser:
    browser = Browser()
    browser.force_login(member.user)
    session = browser.session
    session[BEGAN] = session[SEEN] = int(time.time())
    session.save()
    return browser


def read(browser: Browser, url: str) -> bytes:
    response = browser.get(url)
    assert response.status_code == 200, (url, response.status_code)
    return response.content


def caseload(alice: Membership, *, rounds: int) -> Figure:
    """The whole request, or only its template with a page that is in memory already."""
    url, browser = reverse("caseload"), signed_in(alice)
    kept: dict[str, Any] = {}

    def keep(request: Any, template: str, context: dict[str, Any]) -> Any:
        kept.update(request=request, template=template, context=context)
        return render(request, template, context)

    render, views.render = views.render, keep
    try:
        page = read(browser, url)
    finally:
        views.render = render
    again = partial(render, kept["request"], kept["template"], kept["context"])
    assert abs(len(again().content) - len(page)) < 0.02 * len(page)
    seconds, baseline = in_turn(lambda: read(browser, url), again, rounds=rounds)
    return Figure(
        name="caseload of 60 clients",
        baseline="the same template without a database, its page in memory",
        ratio=seconds / baseline,
        limit=2,
        seconds=seconds,
        baseline_seconds=baseline,
    )


def growth(alice: Membership, sizes: tuple[int, ...], *, rounds: int) -> Iterator[Figure]:
    """alice's caseload while the practice around her grows."""
    url, own = reverse("caseload"), sizes[0]
    counted, seconds = {}, {}
    for before, size in zip((own, *sizes), sizes, strict=False):
        if size > before:
            world.grow(alice, range(before // own, size // own))
        browser = signed_in(alice)
        read(browser, url)
        with CaptureQueriesContext(connection) as queries:
            read(browser, url)
        counted[size] = len(queries)
        seconds[size], _ = in_turn(partial(read, browser, url), lambda: None, rounds=rounds)
    first, last = sizes[0], sizes[-1]
    yield Figure(
        name=f"alice's caseload with {last} clients in the practice",
        baseline=f"the same with {first}",
        ratio=seconds[last] / seconds[first],
        limit=1.3,
        seconds=seconds[last],
        baseline_seconds=seconds[first],
    )
    yield Figure(
        name=f"its queries with {last} clients (count in place of seconds)",
        baseline=f"its queries with {first}",
        ratio=counted[last] / counted[first],
        limit=1,
        seconds=counted[last],
        baseline_seconds=counted[first],
    )


def client_form(alice: Membership, *, rounds: int) -> Iterator[Figure]:
    """Opening a client's link, and answering: a new link for each answer."""
    links = [ask(alice) for _ in range(rounds + 1)]
    phone, plain = Browser(), Browser()
    with connection.cursor() as cursor:
        cursor.execute(bare.TABLE)

    def without(way: str, *data: Any) -> None:
        with override_settings(ROOT_URLCONF="benchmarks.bare", MIDDLEWARE=bare.MIDDLEWARE):
            browser = plain
            response = getattr(browser, way)("/", *data)
        assert response.status_code == (302 if data else 200)

    def answer() -> None:
        assert phone.post(links.pop(), ANSWERS).status_code == 302

    yield _throughput("GET", partial(read, phone, links[0]), partial(without, "get"), rounds)
    yield _throughput("POST", answer, partial(without, "post", ANSWERS), rounds)


def _throughput(method: str, ours: Any, bare_view: Any, rounds: int) -> Figure:
    seconds, baseline = in_turn(ours, bare_view, rounds=rounds)
    return Figure(
        name=f"client's form, {method}s per second",
        baseline=f"a bare Django form view, {'one INSERT' if method == 'POST' else 'no database'}",
        ratio=baseline / seconds,
        limit=0.5,
        at_least=True,
        seconds=seconds,
        baseline_seconds=baseline,
    )


def ask(alice: Membership) -> str:
    """The link of a client of alice's who was asked after a steady course."""
    treatment = TreatmentFactory.create(therapist=alice, pomps=world.POMPS)
    with tenancy.practice(alice.practice_id):
        asked: FeedbackRequest = request_feedback(
            therapy_session=TherapySessionFactory.create(treatment=treatment),
            questionnaire=practice_questionnaire(treatment.practice),
            channel_kind="email",
            by=None,
        )
    return reverse("feedback_form", args=[make_token(asked.id, generation=asked.generation)])


def weights(alice: Membership) -> dict[str, dict[str, int]]:
    """Bytes of each page as sent, plain and compressed."""
    pages = {
        "caseload": read(signed_in(alice), reverse("caseload")),
        "client's form": read(Browser(), ask(alice)),
    }
    return {
        name: {"bytes": len(page), "gzip_bytes": len(gzip.compress(page))}
        for name, page in pages.items()
    }
