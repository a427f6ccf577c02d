"""The information limit: a particle filter that knows how the courses were made.

It knows the population's figures, which no rule for real clients can, and asks of each session how
likely a rupture is, given all up to it. What it misses at a false-opening rate, hardly anything
could find. It is approximate in two places: a rating's noise beside the client's is taken from a
table (`_Form`), and a rupture's chances of being talked about are those of its average session.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from apps.ruptures.detection import Parameters
from apps.ruptures.detection.simulator import LEAP, LEAP_SHARE, scale

from .populations import Courses, Population

Floats = NDArray[np.float64]
PARTICLES = 200
CLIENTS_AT_ONCE = 200

# What `simulator` answers about tension: chances of 0-4, then of 0-4 for how far it was sorted out.
UNANSWERED = 0.05
IN_RUPTURE = np.array([0, 1, 2, 2, 1]) / 6
OUTSIDE = np.array([0, 2, 1, 0, 0]) / 3
SORTED_IN_RUPTURE = np.array([1, 2, 1, 0, 0]) / 4
SORTED_AT_ITS_END = np.array([0, 0, 0, 1, 1]) / 2
SORTED_OUTSIDE = np.array([0, 0, 0, 1, 2]) / 3


class _Particles(NamedTuple):
    """Guesses at what is so, each array (clients, particles); a rupture's `left` counts down."""

    level: Floats
    spread: Floats
    noise: Floats
    settled: Floats
    depth: Floats
    ramp: Floats
    since: Floats
    in_rupture: NDArray[np.bool_]
    silent: NDArray[np.bool_]


def rupture_probability(
    courses: Courses,
    population: Population,
    form: Parameters,
    *,
    seed: int,
    particles: int = PARTICLES,
) -> Floats:
    """How likely each session lies in a rupture, given all up to it; (sessions, clients)."""
    rng = np.random.default_rng(seed)
    table = _Form(form, rng)
    told = np.zeros(courses.real.shape)
    for first in range(0, courses.real[0].size, CLIENTS_AT_ONCE):
        chunk = slice(first, first + CLIENTS_AT_ONCE)
        told[:, chunk] = _filter(courses, chunk, population, form, table, rng, particles)
    return told


def _filter(
    courses: Courses,
    chunk: slice,
    population: Population,
    form: Parameters,
    table: "_Form",
    rng: np.random.Generator,
    particles: int,
) -> Floats:
    steps = courses.steps
    shape = (steps.pomp[0, chunk].size, particles)
    now = _start(population, form, shape, rng)
    told = np.zeros(steps.pomp[:, chunk].shape)
    for session in range(len(told)):
        absences = steps.no_shows[session, chunk, None]
        for planned in range(int(absences.max()) + 1):
            begins = session + planned > 0
            now = _advance(now, population, form, rng, planned <= absences, may_fall=begins)
        weight = _weigh(now, courses, session, chunk, population, form, table)
        weight /= weight.sum(axis=1, keepdims=True)
        told[session] = (weight * now.in_rupture).sum(axis=1)
        now = _resample(now, weight, rng)
    return told


def _start(
    population: Population, form: Parameters, shape: tuple[int, ...], rng: np.random.Generator
) -> _Particles:
    nothing = np.zeros(shape)
    typical = population.noise * form.spread_within
    return _Particles(
        level=form.mean_first + form.spread_between * rng.normal(population.level, 1.0, shape),
        spread=typical * rng.lognormal(0.0, population.noise_spread, shape),
        noise=nothing.copy(),
        settled=nothing.copy(),
        depth=nothing.copy(),
        ramp=nothing + 1,
        since=nothing.copy(),
        in_rupture=nothing > 0,
        silent=rng.random(shape) < population.silent_share,
    )


def _advance(
    now: _Particles,
    population: Population,
    form: Parameters,
    rng: np.random.Generator,
    takes_place: NDArray[np.bool_],
    *,
    may_fall: bool,
) -> _Particles:
    """One planned session on, for the clients for whom there was one."""
    shape = now.level.shape
    leap = np.where(rng.random(shape) < LEAP_SHARE, LEAP, 1.0)
    shock = rng.normal(0.0, 1.0, shape) * leap * now.spread
    noise = population.carried_over * now.noise + shock * (1 - population.carried_over**2) ** 0.5
    chance = rng.random(shape)
    can_end = now.in_rupture & (now.since >= now.ramp)
    ends = can_end & (chance < population.repair + population.settle)
    settles = ends & (chance < population.settle)
    falls = ~now.in_rupture & (rng.random(shape) < population.hazard * may_fall)
    kind = rng.choice(3, shape, p=np.array(population.onsets))
    ramp = np.select(
        [kind == 0, kind == 1], [1.0, rng.integers(2, 4, shape)], rng.integers(5, 8, shape)
    )
    moved = now._replace(
        noise=noise,
        settled=now.settled + np.where(settles, now.depth, 0.0),
        depth=np.where(falls, rng.uniform(*population.depth, shape), now.depth),
        ramp=np.where(falls, ramp, now.ramp),
        since=np.where(falls, 1.0, now.since + 1),
        in_rupture=(now.in_rupture & ~ends) | falls,
    )
    return _Particles(
        *(np.where(takes_place, new, old) for new, old in zip(moved, now, strict=True))
    )


def _weigh(
    now: _Particles,
    courses: Courses,
    session: int,
    chunk: slice,
    population: Population,
    form: Parameters,
    table: "_Form",
) -> Floats:
    """How well each guess explains what this session brought."""
    s = type(courses.steps)._make(column[session, chunk, None] for column in courses.steps)
    rated = ~np.isnan(s.pomp)
    grown = form.growth * min(session, form.growth_steps + 1)
    fall = now.settled + np.where(
        now.in_rupture, now.depth * np.minimum(1.0, now.since / now.ramp), 0.0
    )
    usual = np.minimum(now.level + grown, 100.0 + form.spread_within) + now.noise
    likely = np.where(rated, table.density(usual - fall * form.spread_within, s.pomp), 1.0)
    silence = np.where(now.silent, 0.5, population.silence)
    silence = np.where(now.in_rupture, np.maximum(silence, population.silence_in_rupture), silence)
    likely *= np.where(s.asked, np.where(rated, 1 - silence, silence), 1.0)
    absent = np.where(now.in_rupture, population.no_show_in_rupture, population.no_show)
    likely *= absent**s.no_shows
    talked = np.where(now.since >= now.ramp, population.repair + population.settle, 0.0)
    for tension, resolved, reported in (
        (s.tension, s.resolved, population.reported),
        (s.therapist_tension, s.therapist_resolved, 0.7 * population.reported),
    ):
        inside = _answer(tension, resolved, reported, IN_RUPTURE, SORTED_IN_RUPTURE)
        at_end = _answer(tension, resolved, reported, IN_RUPTURE, SORTED_AT_ITS_END)
        outside = _answer(tension, resolved, population.false_tension, OUTSIDE, SORTED_OUTSIDE)
        likely *= np.where(now.in_rupture, (1 - talked) * inside + talked * at_end, outside)
    return likely + 1e-300


def _answer(
    tension: NDArray[np.int8],
    resolved: NDArray[np.int8],
    reported: float,
    strengths: Floats,
    sorted_out: Floats,
) -> Floats:
    told = reported * strengths[np.maximum(tension, 0)] * sorted_out[np.maximum(resolved, 0)]
    told = np.where(tension == 0, 1 - reported, told)
    return np.where(tension < 0, 1.0, (1 - UNANSWERED) * told)


def _resample(now: _Particles, weight: Floats, rng: np.random.Generator) -> _Particles:
    """Systematic resampling within each client."""
    clients, particles = weight.shape
    edges = np.cumsum(weight, axis=1)
    edges[:, -1] = 1.0
    points = (np.arange(particles) + rng.random((clients, 1))) / particles
    rows = np.arange(clients)[:, None]
    chosen = np.searchsorted((edges + rows).ravel(), (points + rows).ravel()).reshape(weight.shape)
    chosen = np.clip(chosen - rows * particles, 0, particles - 1)
    return _Particles(*(each[rows, chosen] for each in now))


class _Form:
    """What a form makes of a level: the mean and spread of its POMP score over its items."""

    LOWEST, HIGHEST, SAMPLES = -60, 160, 400

    def __init__(self, form: Parameters, rng: np.random.Generator) -> None:
        low, high = scale(form)
        items = 9 if form.name == "form5" else 6
        levels = np.arange(self.LOWEST, self.HIGHEST + 1)
        offsets = rng.normal(0.0, 0.4 * form.spread_within, (self.SAMPLES, 1, items))
        answers = rng.normal(levels[:, None] + offsets, 0.5 * form.spread_within)
        answers = np.clip(np.rint(low + (high - low) * answers / 100), low, high)
        scores = 100 * (answers.mean(axis=2) - low) / (high - low)
        self._mean, self._spread = scores.mean(axis=0), np.maximum(scores.std(axis=0), 0.7)

    def density(self, level: Floats, pomp: Floats) -> Floats:
        place = np.clip(np.rint(level).astype(int) - self.LOWEST, 0, self._mean.size - 1)
        mean, spread = self._mean[place], self._spread[place]
        return np.asarray(np.exp(-0.5 * ((pomp - mean) / spread) ** 2) / spread)
