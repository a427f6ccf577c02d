"""A page is opened; meanwhile something happens; then its form is sent."""

from collections.abc import Callable, Iterator

import pytest
from pytest_django.plugin import DjangoDbBlocker

from apps.alliance.models import AllianceRating
from apps.core import tenancy
from tests.architecture.matrix import scenes
from tests.architecture.matrix.building import taken_back, world
from tests.architecture.matrix.cells import Report
from tests.architecture.matrix.meanwhile import (
    COMMENT,
    EVENTS,
    answer_by_link,
    ask,
    at_work,
)
from tests.architecture.matrix.routes import ROUTES
from tests.architecture.matrix.scenes import Page, Scene, is_about_a_client, pages


@pytest.fixture(scope="module")
def opened(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[list[Page]]:
    with django_db_blocker.unblock(), world() as made:
        found = list(pages(made))
        with tenancy.practice(found[0].scene.practice_id):
            yield found


def test_each_form_about_a_client_does_its_work_in_its_turn(opened: list[Page]) -> None:
    report = Report()
    works = {route for page in opened for route in at_work(page, report)}
    assert not report.leaks, "\n".join(report.leaks)
    assert works == {name for name, row in ROUTES.items() if is_about_a_client(row)}


@pytest.mark.parametrize("name", EVENTS)
def test_nothing_is_written_that_what_happened_before_forbids(
    name: str, opened: list[Page]
) -> None:
    report = Report()
    for page in opened:
        ask(page, name, report, midway=False)
    assert not report.leaks, "\n".join(report.leaks)


@pytest.mark.parametrize("name", [name for name, event in EVENTS.items() if event.midway])
def test_nothing_is_written_that_what_happens_midway_forbids(name: str, opened: list[Page]) -> None:
    report = Report()
    for page in opened:
        ask(page, name, report, midway=True)
    assert not report.leaks, "\n".join(report.leaks)


LINK_EVENTS = [
    scenes.the_client_is_erased,
    scenes.the_client_is_handed_over,
    scenes.the_treatment_is_closed,
    scenes.processing_is_restricted,
    scenes.the_client_stops_messages,
    scenes.the_links_are_revoked,
    scenes.the_form_runs_out,
    scenes.the_answers_are_entered_from_paper,
]


@pytest.mark.parametrize("midway", [False, True], ids=["before", "midway"])
@pytest.mark.parametrize("event", LINK_EVENTS)
def test_a_client_is_thanked_for_what_is_read_and_gets_anything_else_back(
    event: Callable[[Scene], None], midway: bool, opened: list[Page]
) -> None:
    at = opened[0].scene
    before = set(AllianceRating.objects.values_list("id", flat=True))
    with taken_back():
        answer = answer_by_link(at, lambda: event(at), midway=midway)
        added = list(AllianceRating.objects.exclude(id__in=before).exclude(mode="paper"))
        read = [each.comment for each in added if not each.therapy_session.treatment.has_ended]
    assert answer.status_code < 500
    if "thanks" in answer.headers.get("Location", ""):
        assert read == [COMMENT]
    else:
        assert not added
        assert COMMENT in answer.content.decode()
