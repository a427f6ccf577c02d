"""Pages: what the caseload and the client's form cost beside the least they could."""

import gzip
import re
import time
from collections.abc import Callable, Iterator
from functools import partial
from itertools import pairwise
from typing import Any
from unittest import mock

from django.db import connection
from django.http import HttpRequest, HttpResponse
from django.middleware.csrf import CSRF_SECRET_LENGTH, CSRF_SESSION_KEY
from django.shortcuts import render
from django.test import Client as Browser
from django.test.utils import CaptureQueriesContext
from django.urls import reverse, set_urlconf
from django.utils.crypto import get_random_string

from apps.accounts.models import Membership, Role
from apps.accounts.sign_in import BEGAN, SEEN
from apps.core import tenancy
from apps.dashboard import views
from apps.feedback.client_pages import NOT_KEPT
from apps.feedback.messages import token_of
from apps.feedback.models import FeedbackRequest
from apps.feedback.services import practice_questionnaire, request_feedback
from apps.ruptures.models import RuptureEpisode
from tests.factories import (
    MembershipFactory,
    SupervisionFactory,
    TherapySessionFactory,
    TreatmentFactory,
)

from . import bare, world
from .measure import Figure, in_turn

USUAL, FALLEN = (
    {f"item_{item}": rating for item in bare.ITEMS} | {"tension": tension, "comment": "A comment."}
    for rating, tension in (("9", "0"), ("3", "2"))
)


def signed_in(member: Membership) -> Browser:
    browser = Browser()
    browser.force_login(member.user)
    session = browser.session
    session[BEGAN] = session[SEEN] = int(time.time())
    session[CSRF_SESSION_KEY] = get_random_string(CSRF_SECRET_LENGTH)
    session.save()
    return browser


def read(browser: Browser, url: str) -> bytes:
    response = browser.get(url)
    assert response.status_code in {200, NOT_KEPT}, (url, response.status_code)
    return response.content


def caseload(alice: Membership, *, rounds: int) -> Figure:
    """The whole request, or a view that says the same bytes of a page that is in memory already."""
    url, browser = reverse("caseload"), signed_in(alice)
    kept: list[Any] = []

    def keep(*page: Any) -> HttpResponse:
        kept[:] = page
        return render(*page)

    def without_a_database(request: HttpRequest) -> HttpResponse:
        set_urlconf(None)  # the links of the page are Rapport's
        return render(*kept)

    plain = bare.browser(without_a_database)
    with mock.patch.object(views, "render", keep):
        page = read(browser, url)
    with connection.execute_wrapper(_refuse):
        same = read(plain, "/")
    assert _but_for_its_token(same) == _but_for_its_token(page)
    seconds, baseline = in_turn(lambda: read(browser, url), lambda: read(plain, "/"), rounds=rounds)
    return Figure(
        name="caseload of 60 clients",
        baseline="a view that renders the same bytes without a database",
        ratio=seconds / baseline,
        limit=2,
        seconds=seconds,
        baseline_seconds=baseline,
    )


def _refuse(*query: Any) -> None:
    raise AssertionError(f"A view without a database asked for {query[1]}")


def _but_for_its_token(page: bytes) -> bytes:
    """Forms carry a token that is masked anew each time."""
    return re.sub(rb'(?<=name="csrfmiddlewaretoken" value=")[^"]+', b"", page)


def growth(sizes: tuple[int, ...], *, rounds: int) -> Iterator[Figure]:
    """Pages of a therapist and her supervisor, in a practice that grows and in one that does not.

    Both have the same `sizes[0]` clients to begin with; the pages are opened in turn.
    """
    own = sizes[0]
    small, grown = world.caseload(own), world.caseload(own)
    pages_of_small, pages_of_grown = _watched(small), _watched(grown)
    for before, size in pairwise(sizes):
        world.grow(grown, range(before // own, size // own))
        for name, (reader, url) in pages_of_grown.items():
            many = partial(read, signed_in(reader), url)
            few = partial(read, signed_in(pages_of_small[name][0]), pages_of_small[name][1])
            seconds, baseline = in_turn(many, few, rounds=rounds)
            yield Figure(
                name=f"{name} with {size} clients in the practice",
                baseline=f"the same with {own}",
                ratio=seconds / baseline,
                limit=1.3,
                seconds=seconds,
                baseline_seconds=baseline,
            )
            queries, of_few = _queries(many), _queries(few)
            yield Figure(
                name=f"its queries with {size} clients (count in place of seconds)",
                baseline=f"its queries with {own}",
                ratio=queries / of_few,
                limit=1,
                seconds=queries,
                baseline_seconds=of_few,
            )


def _queries(page: Callable[[], bytes]) -> int:
    with CaptureQueriesContext(connection) as queries:
        page()
    return len(queries)


def _watched(alice: Membership) -> dict[str, tuple[Membership, str]]:
    """Who opens which page."""
    sam = MembershipFactory.create(
        practice=alice.practice, name="Sam Okafor", roles=[Role.SUPERVISOR]
    )
    SupervisionFactory.create(supervisor=sam, supervisee=alice)
    with tenancy.practice(alice.practice_id):
        fallen = RuptureEpisode.objects.filter(treatment__therapist=alice).first()
        client = reverse("client", args=[fallen.treatment.client_id]) if fallen else ""
    return {
        "a therapist's caseload": (alice, reverse("caseload")),
        "the page of a client of hers": (alice, client),
        "her supervisor's page": (sam, reverse("supervision")),
    }


def client_form(alice: Membership, *, rounds: int) -> Iterator[Figure]:
    """Opening a client's link, and answering: a new link for each answer."""
    phone, plain = Browser(), bare.browser(bare.form)
    with connection.cursor() as cursor:
        cursor.execute(bare.TABLE)

    def bare_post() -> None:
        assert plain.post("/", USUAL).status_code == 302

    link = ask(alice)
    yield _throughput(
        "GET", partial(read, phone, link), "no database", partial(read, plain, "/"), rounds
    )
    for kind, answers in (("", USUAL), (" that opens an episode", FALLEN)):
        links = [ask(alice) for _ in range(rounds + 1)]

        def answer(links: list[str] = links, answers: dict[str, str] = answers) -> None:
            assert phone.post(links.pop(), answers).status_code == 302

        yield _throughput(f"POST{kind}", answer, "one INSERT", bare_post, rounds)


def _throughput(what: str, ours: Any, does: str, bare_view: Any, rounds: int) -> Figure:
    seconds, baseline = in_turn(ours, bare_view, rounds=rounds)
    return Figure(
        name=f"client's form, {what}, times per second",
        baseline=f"a bare Django form view, {does}",
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
    return reverse("feedback_form", args=[token_of(asked)])


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
