"""What goes into a step of the filter, what comes out of it, and what is kept between two."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import IntEnum, StrEnum
from math import isfinite
from typing import Any, NamedTuple, Self

from .parameters import RULE_VERSION


class Level(IntEnum):
    """How strongly a step speaks for a possible rupture. For people, never a number."""

    NONE = 0
    WATCH = 1
    POSSIBLE = 2
    MARKED = 3


class Event(StrEnum):
    """What a step does to the treatment's episode. A step without an event has None."""

    OPENED = "opened"
    ESCALATED = "escalated"
    IMPROVING = "improving"
    CONTINUES = "continues"
    REPAIRED = "repaired"
    SETTLED_LOWER = "settled_lower"


class Verdict(StrEnum):
    """What a person recorded about an episode; the filter takes it for a fact."""

    NOT_A_RUPTURE = "not_a_rupture"
    REPAIRED = "repaired"
    SETTLED_LOWER = "settled_lower"


class Regime(NamedTuple):
    """One explanation of the ratings: how likely it is, and the baseline if it is true."""

    weight: float
    mean: float
    variance: float


@dataclass(frozen=True, kw_only=True)
class Step:
    """What is known about one attended therapy session.

    `pomp`: the client's rating, 0-100. `asked`: a form was really sent or offered. `tension` and
    `resolved`: 0-4, the client's answers and the therapist's. `no_shows`: late cancellations and
    no-shows by the client since the previous attended session. `gap_days`: days since it. None
    means not answered, not known. Raises ValueError where a value is outside its range.
    """

    pomp: float | None = None
    asked: bool = True
    tension: int | None = None
    resolved: int | None = None
    therapist_tension: int | None = None
    therapist_resolved: int | None = None
    no_shows: int = 0
    gap_days: float | None = None

    def __post_init__(self) -> None:
        if self.pomp is not None and not 0 <= self.pomp <= 100:
            raise ValueError(f"pomp is {self.pomp!r}; expected 0 to 100, or None where unrated")
        for name in ("tension", "resolved", "therapist_tension", "therapist_resolved"):
            answer = getattr(self, name)
            if answer is not None and answer not in range(5):
                raise ValueError(f"{name} is {answer!r}; expected 0 to 4, or None")
        if self.no_shows < 0:
            raise ValueError(f"no_shows is {self.no_shows!r}; expected 0 or more")
        if self.gap_days is not None and not (isfinite(self.gap_days) and self.gap_days >= 0):
            raise ValueError(f"gap_days is {self.gap_days!r}; expected 0 or more, or None")

    @property
    def direct(self) -> bool:
        """Somebody said something about this session: a rating, or tension noticed by either."""
        return self.pomp is not None or bool(self.tension) or bool(self.therapist_tension)


@dataclass(frozen=True)
class Evidence:
    """What each signal adds to the log odds of a rupture, in nats; negative speaks against."""

    score: float
    client: float
    therapist: float
    no_show: float
    missing: float

    @property
    def beside_score(self) -> float:
        return self.client + self.therapist + self.no_show + self.missing


@dataclass(frozen=True)
class Screening:
    """What one step says. `posterior` and `evidence` are for machines, never shown to people.

    `expected`, `low` and `high` are the usual range in POMP points, not clipped to 0-100; `z` is
    the rating's distance from `expected` in predictive standard deviations. The explanation is
    exact: logit(posterior) = logit(prior) + the sum of `evidence`.
    """

    pomp: float | None
    prior: float
    expected: float
    low: float
    high: float
    z: float | None
    noise_variance: float
    evidence: Evidence
    posterior: float
    level: Level
    event: Event | None

    def to_json(self) -> dict[str, Any]:
        """The outputs under their published names, as plain numbers, strings and None."""
        return asdict(self)

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Self:
        """The Screening that `to_json` wrote, to the last bit."""
        event = stored["event"]
        return cls(
            **{
                **stored,
                "evidence": Evidence(**stored["evidence"]),
                "level": Level(stored["level"]),
                "event": None if event is None else Event(event),
            }
        )


@dataclass(frozen=True)
class State:
    """All that the filter remembers of a series between two steps.

    `regimes`: steady, rupture, settled lower. `noise_sum` and `noise_count` learn the client's
    own noise. `steps`, `rated`, `asked` and `missed` count sessions, ratings, forms and forms
    left unanswered. `peak` is 0 while no episode is open, then 1 (possible) or 2 (marked).
    """

    regimes: tuple[Regime, Regime, Regime]
    noise_sum: float = 0.0
    noise_count: int = 0
    steps: int = 0
    rated: int = 0
    asked: int = 0
    missed: int = 0
    open: bool = False
    peak: int = 0

    def to_json(self) -> dict[str, Any]:
        """A dict for a JSON field. `from_json` gives back an equal State, to the last bit."""
        return {
            "rule": RULE_VERSION,
            **asdict(self),
            "regimes": [list(regime) for regime in self.regimes],
        }

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Self:
        """The State that `to_json` wrote; ValueError if another rule version wrote it."""
        fields = dict(stored)
        if (rule := fields.pop("rule", None)) != RULE_VERSION:
            raise ValueError(f"This state belongs to rule {rule!r}: replay under {RULE_VERSION!r}.")
        steady, rupture, settled = (Regime(*map(float, each)) for each in fields.pop("regimes"))
        return cls(regimes=(steady, rupture, settled), **fields)
