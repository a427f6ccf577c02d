"""The whole evaluation: every method on every population, and a rule on real ratings."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from itertools import product
from math import isnan
from multiprocessing import get_context
from random import Random
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from apps.ruptures.detection import PARAMETERS, RULE_VERSION, RULES, Event, Parameters, Step, replay
from apps.ruptures.detection.columns import EVENTS, UNANSWERED, Steps
from apps.ruptures.detection.vectorised import screen_table

from . import comparators, judge
from .particles import PARTICLES, rupture_probability
from .populations import VARIANTS, Courses, simulate

Flags = NDArray[np.bool_]

FILTER, NEXT = RULE_VERSION, "switching-filter/2"
RATINGS_ONLY = f"{FILTER}, ratings only"
LIMIT, PELT = "information limit", "change-point search, afterwards"
THRESHOLDS = np.concatenate([np.arange(0.04, 0.30, 0.02), np.arange(0.30, 0.96, 0.05)])
"""Where a posterior may open; 0.30 is the shipped one."""
INJECTED_DEPTHS = (1.5, 2.0, 2.5)
INJECTED_END = 0.35
"""The chance that a fall put into a real series ends with the next session."""
INJECTIONS = 20


@dataclass(frozen=True, kw_only=True)
class Size:
    """How much is simulated; `variants` beside the usual population. None: a process a core."""

    clients: int
    clients_of_variants: int
    variants: tuple[str, ...]
    change_point_clients: int
    resamples: int
    particles: int
    processes: int | None


FULL = Size(
    clients=3000,
    clients_of_variants=1000,
    variants=tuple(VARIANTS)[1:],
    change_point_clients=300,
    resamples=1000,
    particles=PARTICLES,
    processes=None,
)
QUICK = Size(
    clients=250,
    clients_of_variants=250,
    variants=("shallow", "null"),
    change_point_clients=60,
    resamples=200,
    particles=100,
    processes=1,
)


class Cell(NamedTuple):
    """One form and population: by method, recall at the same false-opening rates; and by rule, what
    it does at its own thresholds. Where there are no ruptures, only the latter."""

    form: str
    variant: str
    methods: dict[str, list[judge.AtRate]]
    shipped: dict[str, judge.Figures]
    by_depth: dict[str, dict[str, tuple[int, int]]]


def run(size: Size, *, seed: int) -> dict[str, Any]:
    """All cells, as plain data; the same seed and size give the same figures."""
    jobs = [
        (form, variant, size, seed + number)
        for number, (form, variant) in enumerate(product(PARAMETERS, ["usual", *size.variants]))
    ]
    if size.processes == 1:
        cells = [_cell(*job) for job in jobs]
    else:
        # Forked children would share this process's database connections.
        with ProcessPoolExecutor(size.processes, mp_context=get_context("spawn")) as pool:
            cells = list(pool.map(_cell, *zip(*jobs, strict=True)))
    return {
        "seed": seed,
        "clients": size.clients,
        "clients_of_variants": size.clients_of_variants,
        "cells": [_plain(cell) for cell in cells],
    }


def _plain(cell: Cell) -> dict[str, Any]:
    return {
        **cell._asdict(),
        "methods": {name: [_rounded(at) for at in told] for name, told in cell.methods.items()},
        "shipped": {rule: _rounded(told) for rule, told in cell.shipped.items()},
    }


def _rounded(figures: judge.AtRate | judge.Figures) -> dict[str, float | None]:
    """To four decimals. JSON has no NaN: a share of no ruptures is None."""
    return {
        name: None if isnan(value) else round(float(value), 4)
        for name, value in figures._asdict().items()
    }


def _cell(form: str, variant: str, size: Size, seed: int) -> Cell:
    parameters, population = PARAMETERS[form], VARIANTS[variant]
    clients = size.clients if variant == "usual" else size.clients_of_variants
    courses = simulate(population, form=parameters, clients=clients, seed=seed)
    shipped = {
        rule: judge.count(opened(courses.steps, by_form[form]), courses)
        for rule, by_form in RULES.items()
    }
    methods: dict[str, list[judge.AtRate]] = {}
    if courses.depths.size:
        for name, told, ways in _methods(courses, parameters, variant, size, seed):
            sweep = [judge.count(openings, told) for openings in ways]
            methods[name] = judge.at_rates(sweep, resamples=size.resamples, seed=seed)
    return Cell(
        form,
        variant,
        methods,
        {rule: judge.figures(counts) for rule, counts in shipped.items()},
        {rule: counts.found_by_depth for rule, counts in shipped.items()},
    )


def opened(steps: Steps, parameters: Parameters) -> Flags:
    """Where the rule opens an episode."""
    screenings = screen_table(steps, parameters, wanted=("event",))
    return np.equal(screenings.event, EVENTS.index(Event.OPENED))


def opening_at(parameters: Parameters, threshold: float) -> Parameters:
    """The rule with another threshold; it closes at half of it, as the shipped one does."""
    return replace(
        parameters,
        possible=threshold,
        close=threshold / 2,
        watch=min(parameters.watch, threshold),
        marked=max(parameters.marked, threshold),
    )


def ratings_only(steps: Steps) -> Steps:
    """The same steps, as if nobody had said or left out anything but the ratings."""
    nothing = np.full_like(steps.tension, UNANSWERED)
    return steps._replace(
        asked=np.zeros_like(steps.asked),
        tension=nothing,
        resolved=nothing,
        therapist_tension=nothing,
        therapist_resolved=nothing,
        no_shows=np.zeros_like(steps.no_shows),
    )


def _methods(
    courses: Courses, parameters: Parameters, variant: str, size: Size, seed: int
) -> Iterator[tuple[str, Courses, list[Flags]]]:
    """Each method by name, what it is judged on, and its openings from many to few."""
    for name, steps, rule in (
        (FILTER, courses.steps, parameters),
        (NEXT, courses.steps, RULES[NEXT][parameters.name]),
        (RATINGS_ONLY, ratings_only(courses.steps), parameters),
        (f"{NEXT}, ratings only", ratings_only(courses.steps), RULES[NEXT][parameters.name]),
    ):
        yield name, courses, [opened(steps, opening_at(rule, c)) for c in THRESHOLDS]
    for comparator in comparators.COMPARATORS:
        score = comparator.score(courses.steps.pomp, parameters)
        ways = [
            comparators.openings(score, c, release=comparator.release)
            for c in comparators.thresholds(score, 40)
        ]
        yield comparator.name, courses, ways
    if variant == "usual":
        few = first_clients(courses, size.change_point_clients)
        penalties = comparators.penalties(parameters, 10)
        yield PELT, few, [comparators.change_point_openings(few, each) for each in penalties]
    s = courses.steps
    probability = rupture_probability(
        courses, VARIANTS[variant], parameters, seed=seed, particles=size.particles
    )
    direct = ~np.isnan(s.pomp) | (s.tension > 0) | (s.therapist_tension > 0)
    score = np.where(direct, probability, np.nan)
    yield LIMIT, courses, [comparators.openings(score, c) for c in THRESHOLDS]


def first_clients(courses: Courses, count: int) -> Courses:
    """The courses of the first `count` clients only."""
    known = courses.client < count
    return Courses(
        steps=Steps._make(column[:, :count] for column in courses.steps),
        real=courses.real[:, :count],
        rupture=courses.rupture[:, :count],
        depths=courses.depths[known],
        client=courses.client[known],
    )


class RealFigures(NamedTuple):
    """What the shipped rule does with real ratings that carry no labels. `opened_per_100` rated
    sessions bounds its false openings from above; `found` is the share of falls, put into them by
    depth in σ0, at which it opened."""

    series: int
    rated: int
    opened_per_100: float
    found: dict[float, float]


def screen_real(
    series: Sequence[Sequence[Step]], parameters: Parameters, *, seed: int
) -> RealFigures:
    """Screen real series as they are, and with a fall of one to several sessions put into each."""
    rated = sum(step.pomp is not None for steps in series for step in steps)
    openings = sum(len(_opened_at(steps, parameters)) for steps in series)
    found = {}
    for depth in INJECTED_DEPTHS:
        rng = Random(seed)  # noqa: S311 - where the fall lies is no secret
        long_enough = [list(steps) for steps in series if len(steps) >= 6]
        hits = [
            _is_found(steps, depth * parameters.spread_within, parameters, rng)
            for _ in range(INJECTIONS)
            for steps in long_enough
        ]
        found[depth] = sum(hits) / len(hits) if hits else float("nan")
    return RealFigures(len(series), rated, 100 * openings / max(rated, 1), found)


def _is_found(steps: list[Step], fall: float, parameters: Parameters, rng: Random) -> bool:
    begin = rng.randrange(4, len(steps))
    end = begin + 1
    while end < len(steps) and rng.random() >= INJECTED_END:
        end += 1
    fallen = [
        replace(step, pomp=max(0.0, step.pomp - fall))
        if begin <= index < end and step.pomp is not None
        else step
        for index, step in enumerate(steps)
    ]
    return any(begin <= index < end for index in _opened_at(fallen, parameters))


def _opened_at(steps: Sequence[Step], parameters: Parameters) -> list[int]:
    _, screenings = replay(steps, parameters)
    return [n for n, screening in enumerate(screenings) if screening.event is Event.OPENED]
