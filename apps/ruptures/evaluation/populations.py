"""Populations of invented clients: how they differ, and how often their relationships rupture.

Every figure is an assumption, chosen before any rule was judged by it; none is an estimate, for no
labelled real ruptures exist. The courses themselves are told by `detection.simulator`.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from random import Random
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from apps.ruptures.detection import Parameters, Step
from apps.ruptures.detection.columns import Steps
from apps.ruptures.detection.simulator import (
    CARRIED_OVER,
    Attendance,
    Rupture,
    Story,
    Truth,
    simulate_course,
    steps,
)

CLIENTS_PER_THERAPIST = 20
NO_RUPTURE = -1


@dataclass(frozen=True, kw_only=True)
class Population:
    """Shares and chances are 0-1 and, unless named otherwise, per planned session.

    `therapist_share`: of the variance between clients, what belongs to the therapist.
    `noise_spread`: how much clients' own noise differs, on the log scale. `depth` is in σ0, from
    the shallowest to the deepest. `onsets`: the shares of ruptures that come at once, over two or
    three sessions, and by an erosion over five to seven.
    """

    sessions: tuple[int, int] = (8, 24)
    level: float = 0.0
    therapist_share: float = 0.08
    noise: float = 1.0
    noise_spread: float = 0.25
    carried_over: float = CARRIED_OVER
    hazard: float = 0.05
    depth: tuple[float, float] = (1.0, 2.8)
    onsets: tuple[float, float, float] = (0.55, 0.30, 0.15)
    repair: float = 0.30
    settle: float = 0.05
    reported: float = 0.5
    false_tension: float = 0.12
    silence: float = 0.06
    silence_in_rupture: float = 0.20
    no_show: float = 0.03
    no_show_in_rupture: float = 0.10
    silent_share: float = 0.0


USUAL = Population()
VARIANTS = {
    "usual": USUAL,
    "autocorrelated": replace(USUAL, carried_over=0.6),
    "ruptures rare": replace(USUAL, hazard=0.02),
    "ruptures frequent": replace(USUAL, hazard=0.10),
    "ceiling": replace(USUAL, level=1.0),
    "half silent": replace(USUAL, silent_share=0.5),
    "erosion only": replace(USUAL, onsets=(0.0, 0.0, 1.0)),
    "bad tension item": replace(USUAL, reported=0.25, false_tension=0.25),
    "noise a third more": replace(USUAL, noise=4 / 3),
    "noise a third less": replace(USUAL, noise=2 / 3),
    "shallow": replace(USUAL, depth=(0.7, 1.5)),
    "null": replace(USUAL, hazard=0.0),
}
"""Where a rule may break: the usual population with one assumption changed."""


class Courses(NamedTuple):
    """Simulated courses side by side, each array (sessions, clients), and their truth.

    `real`: the step belongs to the course; beyond its end, nobody was asked. `rupture`: the number
    of the rupture in `depths` (in σ0) and `client`, or `NO_RUPTURE`.
    """

    steps: Steps
    real: NDArray[np.bool_]
    rupture: NDArray[np.int64]
    depths: NDArray[np.float64]
    client: NDArray[np.int64]


def simulate(population: Population, *, form: Parameters, clients: int, seed: int) -> Courses:
    """The courses of `clients` clients; the same seed gives the same courses."""
    rng = Random(seed)  # noqa: S311 - invented data
    told: list[list[Step]] = []
    numbers: list[list[int]] = []
    depths: list[float] = []
    owners: list[int] = []
    therapist = 0.0
    for client in range(clients):
        if client % CLIENTS_PER_THERAPIST == 0:
            therapist = rng.gauss(0.0, population.therapist_share**0.5)
        sessions = rng.randint(*population.sessions)
        story = _story(rng, population, therapist, sessions)
        course = simulate_course(rng, story=story, form=form, sessions=sessions)
        attended = [s for s in course if s.attendance is Attendance.ATTENDED]
        number, usual = [], 0.0
        for before, now in zip([None, *attended], attended, strict=False):
            if now.truth is not Truth.RUPTURE:
                usual = now.fall
                number.append(NO_RUPTURE)
                continue
            if before is None or before.truth is not Truth.RUPTURE:
                depths.append(0.0)
                owners.append(client)
            depths[-1] = max(depths[-1], now.fall - usual)
            number.append(len(depths) - 1)
        told.append(list(steps(course)))
        numbers.append(number)
    longest = max(map(len, told))
    beyond = Step(asked=False)
    padded = [[*course, *[beyond] * (longest - len(course))] for course in told]
    flat = Steps.of(step for course in padded for step in course)
    return Courses(
        steps=Steps._make(column.reshape(clients, longest).T.copy() for column in flat),
        real=np.arange(longest)[:, None] < np.array([len(course) for course in told]),
        rupture=np.array(
            [number + [NO_RUPTURE] * (longest - len(number)) for number in numbers]
        ).T.copy(),
        depths=np.array(depths),
        client=np.array(owners, dtype=np.int64),
    )


def _story(rng: Random, population: Population, therapist: float, sessions: int) -> Story:
    silent = rng.random() < population.silent_share
    silence = 0.5 if silent else population.silence
    return Story(
        level=population.level + therapist,
        level_spread=(1 - population.therapist_share) ** 0.5,
        noise=population.noise * rng.lognormvariate(0.0, population.noise_spread),
        carried_over=population.carried_over,
        ruptures=tuple(_ruptures(rng, population, sessions, silence)),
        silence=silence,
        no_show=population.no_show,
        false_tension=population.false_tension,
    )


def _ruptures(
    rng: Random, population: Population, sessions: int, silence: float
) -> Iterator[Rupture]:
    """Ruptures from the second session on, with a session of peace between two."""
    index = 1
    while index < sessions:
        if rng.random() >= population.hazard:
            index += 1
            continue
        kind = rng.choices(range(3), population.onsets)[0]
        ramp = (1, rng.randint(2, 3), rng.randint(5, 7))[kind]
        # A rupture cannot end before it is there.
        lasts = ramp
        while rng.random() >= population.repair + population.settle:
            lasts += 1
        settles = rng.random() * (population.repair + population.settle) < population.settle
        yield Rupture(
            after=index / sessions,
            depth=rng.uniform(*population.depth),
            ramp=ramp,
            sessions=lasts,
            settles=settles,
            reported=population.reported,
            silence=max(silence, population.silence_in_rupture),
            no_show=population.no_show_in_rupture,
        )
        index += lasts + 1
