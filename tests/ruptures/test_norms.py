"""Local norms, against figures worked out by hand and against a known truth."""

import numpy as np
import pytest

from apps.ruptures.detection import SLIDER, Step
from apps.ruptures.detection.columns import Steps
from apps.ruptures.norms import Norms, local_norms
from apps.ruptures.replay import Past


def past(*series: list[float | None]) -> Past:
    steps = Steps.of([Step(pomp=pomp) for each in series for pomp in each])
    starts = np.cumsum([0, *(len(each) for each in series[:-1])])
    nothing = np.zeros(len(steps.pomp))
    return Past(steps, starts, held_at=nothing, not_a_rupture=nothing == 1)


def test_the_figures_are_those_of_the_definition():
    found = local_norms(past([60, 70, None, 80], [None, 90, 80], [None]))
    # First ratings 60 and 90. Neighbours: 60-70 and 90-80, so 200 / (2 * 2) = 50.
    # Means 70 and 85: variance 112.5; ratings 3 and 2, harmonic mean 2.4: 112.5 - 50 / 2.4.
    assert found == Norms(mean_first=75.0, spread_between=9.6, spread_within=7.1)


def test_clients_who_do_not_differ_are_still_said_to_by_five_points():
    found = local_norms(past([80, 90, 80, 90], [90, 80, 90, 80]))
    assert found is not None
    assert found.spread_between == 5.0


def test_ratings_that_never_move_leave_a_little_noise():
    found = local_norms(past([100, 100, 100], [100, 100]))
    assert found is not None
    assert found.spread_within == 1.0


def test_the_last_rating_of_one_client_is_no_neighbour_of_the_next_ones_first():
    assert local_norms(past([60], [90])) is None
    assert local_norms(past([None])) is None


def test_a_known_truth_comes_out():
    random = np.random.default_rng(5)
    courses = [
        list(np.clip(random.normal(random.normal(55, 10), 6, size=12), 0, 100)) for _ in range(8000)
    ]
    found = local_norms(past(*courses))
    assert found is not None
    assert found.mean_first == pytest.approx(55, abs=0.4)
    assert found.spread_between == pytest.approx(10, abs=0.4)
    assert found.spread_within == pytest.approx(6, abs=0.2)
    assert found.put_into(SLIDER).fall == pytest.approx(1.75 * found.spread_within)
