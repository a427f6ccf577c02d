"""Whatever people do in one treatment, in whatever order, what is promised holds at each step.

The same few courses at each run; WALKS=200 tries as many others, which --hypothesis-seed chooses.
"""

import os

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.architecture.matrix.walks import Walk

WALKS = int(os.environ.get("WALKS", "0"))
COURSES = settings(
    max_examples=WALKS or 4,
    stateful_step_count=25,
    derandomize=not WALKS,
    database=None,
    deadline=None,
    phases=[Phase.generate, Phase.shrink],
    suppress_health_check=list(HealthCheck),
)


@pytest.mark.django_db
def test_what_is_promised_holds_whatever_is_done_in_a_treatment_in_whatever_order() -> None:
    run_state_machine_as_test(Walk, settings=COURSES)
