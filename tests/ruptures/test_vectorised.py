"""The vectorised filter is the scalar one: the same figures to 1e-12, the same events."""

import sys
from collections.abc import Sequence
from itertools import chain
from random import Random
from subprocess import run

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.ruptures.detection import (
    FORM5,
    SLIDER,
    Parameters,
    Screening,
    Step,
    Verdict,
    after_verdict,
    screen,
    start,
)
from apps.ruptures.detection.columns import EVENTS, Screenings, Steps
from apps.ruptures.detection.vectorised import screen_all, screen_table

Told = tuple[Step, Verdict | None]

answers = st.none() | st.integers(0, 4)
any_step = st.builds(
    Step,
    pomp=st.none() | st.integers(0, 20).map(lambda fifth: 5.0 * fifth) | st.floats(0, 100),
    asked=st.booleans(),
    tension=answers,
    resolved=answers,
    therapist_tension=answers,
    therapist_resolved=answers,
    no_shows=st.integers(0, 3),
    gap_days=st.none() | st.floats(0, 100),
)
verdicts = st.sampled_from([None, None, None, *Verdict])
any_caseload = st.lists(st.lists(st.tuples(any_step, verdicts), max_size=14), max_size=6)


def one_by_one(series: Sequence[Told], parameters: Parameters) -> list[Screening]:
    state, screenings = start(parameters), []
    for step, verdict in series:
        if verdict:
            state = after_verdict(state, verdict, parameters)
        state, screening = screen(state, step, parameters)
        screenings.append(screening)
    return screenings


def all_at_once(caseload: Sequence[Sequence[Told]], parameters: Parameters) -> Screenings:
    told = list(chain.from_iterable(caseload))
    steps = Steps.of([step for step, _ in told], [verdict for _, verdict in told])
    return screen_all(steps, [len(series) for series in caseload], parameters)


def check_same(caseload: Sequence[Sequence[Told]], parameters: Parameters) -> None:
    found = all_at_once(caseload, parameters)
    expected = [s for series in caseload for s in one_by_one(series, parameters)]
    assert [EVENTS[code] for code in found.event] == [s.event for s in expected]
    assert found.level.tolist() == [s.level for s in expected]
    for name in ("prior", "expected", "low", "high", "noise_variance", "posterior"):
        wanted = [getattr(s, name) for s in expected]
        np.testing.assert_allclose(getattr(found, name), wanted, rtol=1e-12, atol=1e-12)
    for name in ("score", "client", "therapist", "no_show", "missing"):
        wanted = [getattr(s.evidence, name) for s in expected]
        np.testing.assert_allclose(getattr(found, name), wanted, rtol=1e-12, atol=1e-12)
    z = [np.nan if s.z is None else s.z for s in expected]
    np.testing.assert_allclose(found.z, z, rtol=1e-12, atol=1e-12)


@given(any_caseload, st.sampled_from([FORM5, SLIDER]))
def test_any_caseload_screens_to_the_figures_of_the_scalar_filter(caseload, parameters):
    check_same(caseload, parameters)


def drifting_course(rng: Random, parameters: Parameters) -> list[Told]:
    """A course that wanders, falls for a while, goes unasked and silent, and is judged."""
    level = rng.gauss(parameters.mean_first, parameters.spread_between)
    fall = (rng.randrange(2, 20), rng.choice([0, 1, 2, 3]) * parameters.fall)
    course: list[Told] = []
    for index in range(rng.randrange(1, 21)):
        fallen = fall[1] if fall[0] <= index < fall[0] + rng.choice([2, 4, 20]) else 0
        pomp = round(rng.gauss(level - fallen, parameters.spread_within) / 2.5) * 2.5
        asked = rng.random() < 0.9
        step = Step(
            pomp=max(0.0, min(100.0, pomp)) if asked and rng.random() < 0.8 else None,
            asked=asked,
            tension=rng.choice([None, 0, 0, 0, 1, 2, 3, 4]),
            resolved=rng.choice([None, 0, 1, 2, 3, 4]),
            therapist_tension=rng.choice([None, 0, 0, 0, 1, 2, 3, 4]),
            therapist_resolved=rng.choice([None, 0, 1, 2, 3, 4]),
            no_shows=rng.choice([0, 0, 0, 1, 2, 3]),
            gap_days=rng.choice([None, 7, 7, 14, 41, 42, 90]),
        )
        course.append((step, rng.choice([None] * 30 + list(Verdict))))
    return course


def full_courses(count: int, sessions: int) -> list[list[Told]]:
    rng = Random(1)
    courses = (drifting_course(rng, SLIDER) for _ in range(20 * count))
    return [course[:sessions] for course in courses if len(course) >= sessions][:count]


def test_ten_thousand_simulated_series_screen_to_the_same_figures_and_events():
    rng = Random(20261125)
    for parameters in (FORM5, SLIDER):
        caseload = [drifting_course(rng, parameters) for _ in range(5_000)]
        check_same(caseload, parameters)
        found = set(all_at_once(caseload, parameters).event.tolist())
        assert found == set(range(len(EVENTS)))


def test_how_many_are_screened_at_once_changes_no_figure():
    told = Steps.of([step for step, _ in chain.from_iterable(full_courses(50, 12))])
    table = Steps(*(column.reshape(50, 12).T for column in told))
    apart, together = (screen_table(table, SLIDER, at_once=at_once) for at_once in (7, 50))
    flat = screen_all(told, [12] * 50, SLIDER)
    np.testing.assert_allclose(apart.posterior, together.posterior, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(flat.posterior.reshape(50, 12).T, together.posterior)
    assert apart.event.tolist() == together.event.tolist()


def test_columns_that_nobody_asked_for_come_back_empty_and_change_no_figure():
    told = Steps.of([step for step, _ in chain.from_iterable(full_courses(50, 12))])
    whole = screen_all(told, [12] * 50, SLIDER)
    asked = screen_all(told, [12] * 50, SLIDER, wanted=("event", "level"))
    assert asked.event.tolist() == whole.event.tolist()
    assert asked.level.tolist() == whole.level.tolist()
    assert asked.posterior.size == 0


def test_no_series_at_all_screens_to_nothing():
    assert screen_all(Steps.of([]), [], FORM5).posterior.size == 0


def test_lengths_that_do_not_add_up_are_refused():
    with pytest.raises(ValueError, match="lengths add up to 3; expected 1"):
        screen_all(Steps.of([Step(pomp=70)]), [2, 1], FORM5)


def test_the_web_process_does_not_load_numpy():
    loads = "import django; django.setup(); import config.urls, config.wsgi, sys; "
    told = run(
        [sys.executable, "-c", loads + "print('numpy' in sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert told.stdout.strip() == "False"
