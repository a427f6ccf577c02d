"""POMP scores: the percentage of the maximum possible, 0-100, whatever the form's own scale.

POMP = 100 · (mean of the answered items - scale minimum) / (scale maximum - scale minimum); see
Cohen, Cohen, Aiken & West (1999), Multivariate Behavioral Research 34:315-346.

Pure Python: no Django, no database.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

REQUIRED_TENTHS = 8
"""A score needs eight tenths of its items answered: five of six, all of four, both of two."""


@dataclass(frozen=True)
class Scale:
    """The lowest and highest answer an item allows. Raises ValueError unless they are in order."""

    minimum: float
    maximum: float

    def __post_init__(self) -> None:
        if not self.minimum < self.maximum:
            raise ValueError(f"scale {self.minimum}-{self.maximum}: expected minimum < maximum")

    def __contains__(self, answer: float) -> bool:
        return self.minimum <= answer <= self.maximum


def pomp(answers: Iterable[float | None], scale: Scale) -> float | None:
    """Score one form, or one subscale: an answer per item, None where unanswered.

    Returns None where fewer than eight tenths of the items are answered. Raises ValueError for
    an answer outside the scale.

    >>> pomp([8, 9, 7, 8, None, 8], Scale(0, 10))
    80.0
    >>> pomp([4, 4, None, 4], Scale(1, 5)) is None
    True
    """
    items = list(answers)
    answered = [answer for answer in items if answer is not None]
    for answer in answered:
        if answer not in scale:
            raise ValueError(f"answer {answer!r}: expected {scale.minimum} to {scale.maximum}")
    if not answered or 10 * len(answered) < REQUIRED_TENTHS * len(items):
        return None
    mean = sum(answered) / len(answered)
    score = 100 * (mean - scale.minimum) / (scale.maximum - scale.minimum)
    # The mean of equal decimals may be off by one bit and so leave the scale.
    return max(0.0, min(100.0, score))


def subscale_pomps(
    answers: Mapping[str, float | None], subscales: Mapping[str, Iterable[str]], scale: Scale
) -> dict[str, float | None]:
    """Score each subscale, given as a name and its items; an item without an answer is missing.

    >>> subscales = {"bond": ["heard", "accepted"], "goals": ["matters", "clear"]}
    >>> subscale_pomps({"heard": 6, "accepted": 8, "matters": 9}, subscales, Scale(0, 10))
    {'bond': 70.0, 'goals': None}
    """
    return {
        name: pomp((answers.get(item) for item in items), scale)
        for name, items in subscales.items()
    }
