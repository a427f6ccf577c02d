"""Steps and screenings of many series as columns of numpy arrays, for `vectorised`."""

from collections.abc import Collection, Iterable, Sequence
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from .filter import USUAL_RANGE_Z
from .records import Event, Step, Verdict

Floats = NDArray[np.float64]
Codes = NDArray[np.int8]
Flags = NDArray[np.bool_]

EVENTS: tuple[Event | None, ...] = (None, *Event)
"""What the codes in `Screenings.event` stand for."""
VERDICTS: tuple[Verdict | None, ...] = (None, *Verdict)
"""What the codes in `Steps.verdict` stand for."""
UNANSWERED = -1


class Steps(NamedTuple):
    """The steps of many series: see `screen_all` and `screen_table` for their order.

    As `Step`, with NaN for a `pomp` or `gap_days` that is not there and -1 for an answer that was
    not given. `verdict`: what a person recorded about the episode before this step, by its place
    in `VERDICTS`.
    """

    pomp: Floats
    asked: Flags
    tension: Codes
    resolved: Codes
    therapist_tension: Codes
    therapist_resolved: Codes
    no_shows: NDArray[np.integer[Any]]
    gap_days: Floats
    verdict: Codes

    @classmethod
    def of(cls, steps: Iterable[Step], verdicts: Sequence[Verdict | None] | None = None) -> Self:
        """Columns of `steps`, with the verdict before each where given."""
        steps = list(steps)
        answers = {
            name: _codes(getattr(step, name) for step in steps)
            for name in ("tension", "resolved", "therapist_tension", "therapist_resolved")
        }
        return cls(
            pomp=np.array([step.pomp for step in steps], dtype=float),
            asked=np.array([step.asked for step in steps], dtype=bool),
            no_shows=np.array([step.no_shows for step in steps], dtype=np.int16),
            gap_days=np.array([step.gap_days for step in steps], dtype=float),
            verdict=np.array(
                [VERDICTS.index(verdict) for verdict in verdicts or [None] * len(steps)],
                dtype=np.int8,
            ),
            **answers,
        )


class Screenings(NamedTuple):
    """What each step says, as columns in the order of `Steps`; see `records.Screening`.

    `spread`: the predictive standard deviation about `expected`. `event` holds places in
    `EVENTS`. The last five columns are the evidence, in nats. `z` is NaN where unrated.
    """

    pomp: Floats
    prior: Floats
    expected: Floats
    spread: Floats
    noise_variance: Floats
    posterior: Floats
    level: Codes
    event: Codes
    score: Floats
    client: Floats
    therapist: Floats
    no_show: Floats
    missing: Floats

    @classmethod
    def empty(cls, pomp: Floats, wanted: Collection[str]) -> Self:
        """Room for what will be said of these ratings.

        A column that is not wanted is one row, which each session writes over: it stays in the
        processor's cache.
        """
        room = []
        for name in cls._fields[1:]:
            row = np.empty(pomp.shape[1:], np.int8 if name in ("level", "event") else np.float64)
            strides = (0, *row.strides)
            room.append(
                np.empty(pomp.shape, row.dtype)
                if name in wanted
                else np.ndarray(pomp.shape, row.dtype, row, strides=strides)
            )
        return cls(pomp, *room)

    def only(self, wanted: Collection[str]) -> Self:
        """The wanted columns; the others hold nothing."""
        return self._replace(
            **{name: getattr(self, name)[:0] for name in self._fields if name not in wanted}
        )

    @property
    def low(self) -> Floats:
        return self.expected - USUAL_RANGE_Z * self.spread

    @property
    def high(self) -> Floats:
        return self.expected + USUAL_RANGE_Z * self.spread

    @property
    def z(self) -> Floats:
        return (self.pomp - self.expected) / self.spread


def _codes(answers: Iterable[int | None]) -> Codes:
    return np.array([UNANSWERED if each is None else each for each in answers], dtype=np.int8)
