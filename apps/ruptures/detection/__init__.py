"""The switching filter: is a client's rating a fall from that client's own usual range?

Pure Python, standard library only; no Django, no database, no clock, no randomness.

>>> state = start(FORM5)
>>> for pomp in (75, 75, 80, 80, 55):
...     state, screening = screen(state, Step(pomp=pomp), FORM5)
>>> screening.event, screening.level.name, round(screening.posterior, 6)
(<Event.OPENED: 'opened'>, 'POSSIBLE', 0.597164)
"""

from .filter import after_verdict, replay, screen, start
from .parameters import FORM5, PARAMETERS, RULE_VERSION, RULES, SLIDER, Parameters
from .records import Event, Evidence, Level, Regime, Screening, State, Step, Verdict

__all__ = [
    "FORM5",
    "PARAMETERS",
    "RULES",
    "RULE_VERSION",
    "SLIDER",
    "Event",
    "Evidence",
    "Level",
    "Parameters",
    "Regime",
    "Screening",
    "State",
    "Step",
    "Verdict",
    "after_verdict",
    "replay",
    "screen",
    "start",
]
