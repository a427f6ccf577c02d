"""Time two ways of doing a thing in turn, so that a busy machine slows both alike."""

import gc
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

Way = Callable[[], object]


@dataclass(frozen=True, kw_only=True)
class Figure:
    """One ratio. `limit` is what it must not exceed, or must reach where `at_least`."""

    name: str
    baseline: str
    ratio: float
    limit: float
    at_least: bool = False
    seconds: float
    baseline_seconds: float

    @property
    def held(self) -> bool:
        return self.ratio >= self.limit if self.at_least else self.ratio <= self.limit

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "held": self.held}

    def __str__(self) -> str:
        sign = "≥" if self.at_least else "≤"
        return (
            f"{'holds ' if self.held else 'MISSED'}  {self.ratio:8.2f}  {sign} {self.limit:<5g} "
            f"{self.name} ({1000 * self.seconds:.3f} ms) · against {self.baseline} "
            f"({1000 * self.baseline_seconds:.3f} ms)"
        )


def in_turn(
    one: Way, other: Way, *, rounds: int, times: tuple[int, int] = (1, 1), best: bool = False
) -> tuple[float, float]:
    """The median seconds of each over `rounds`; a round runs each as often as `times` says.

    `best`: the least of processor time instead, for what only computes: all above it is the
    machine's other work.
    """
    clock = time.process_time if best else time.perf_counter
    seconds: tuple[list[float], list[float]] = ([], [])
    one(), other()
    gc.collect()
    for _ in range(rounds):
        for way, often, told in zip((one, other), times, seconds, strict=True):
            begun = clock()
            for _ in range(often):
                way()
            told.append((clock() - begun) / often)
    of = min if best else median
    return of(seconds[0]), of(seconds[1])
