"""`make bench` in small: the ratios are those of what is named, and what they compare agrees."""

import numpy as np
import pytest

from apps.accounts.models import Membership
from apps.clients.models import Client
from apps.core import tenancy
from apps.ruptures.models import Screening
from benchmarks import detection, pages, world
from benchmarks.measure import Figure, in_turn
from tests.conftest import work_in


def test_a_ratio_holds_up_to_its_limit_or_from_it() -> None:
    costs = Figure(name="", baseline="", ratio=2.0, limit=2.0, seconds=1.0, baseline_seconds=0.5)
    assert costs.held
    assert str(costs).startswith("holds")
    assert not Figure(**{**costs.__dict__, "ratio": 2.1}).held
    assert Figure(**{**costs.__dict__, "ratio": 2.1, "at_least": True}).held
    assert str(Figure(**{**costs.__dict__, "ratio": 1.9, "at_least": True})).startswith("MISSED")


def test_both_ways_are_timed_in_turn() -> None:
    called = []
    in_turn(lambda: called.append("one"), lambda: called.append("other"), rounds=2, times=(2, 1))
    assert called == ["one", "other"] + ["one", "one", "other"] * 2


def test_the_bare_recursion_follows_a_level() -> None:
    level = detection.local_level(np.full((200, 3), 40.0))
    np.testing.assert_allclose(level, 40.0, atol=0.01)


def test_the_detectors_figures_run() -> None:
    step, many = detection.figures(series=60, rounds=1)
    assert step.ratio > 1
    assert many.ratio > 1


def test_pages_are_measured_and_weighed(practice: object, alice: Membership) -> None:
    for _ in range(2):
        pages.ask(alice)
    names = [
        pages.caseload(alice, rounds=1).name,
        *(f.name for f in pages.client_form(alice, rounds=1)),
    ]
    assert names == [
        "caseload of 60 clients",
        "client's form, GET, times per second",
        "client's form, POST, times per second",
        "client's form, POST that opens an episode, times per second",
    ]
    assert set(pages.weights(alice)) == {"caseload", "client's form"}


@pytest.mark.django_db(transaction=True)
def test_a_practice_grows_by_whole_copies() -> None:
    alice = world.caseload(2)
    world.grow(alice, range(1, 4))
    work_in(alice.practice_id)
    with tenancy.practice(alice.practice_id):
        assert Client.objects.filter(practice=alice.practice_id).count() == 8
        assert Screening.objects.current().filter(practice=alice.practice_id).count() == 80
