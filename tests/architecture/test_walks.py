"""Whatever people do in one treatment, in whatever order, what is promised holds at each step.

The same few courses at each run; WALKS=200 tries as many others, which --hypothesis-seed chooses.
"""

import os
from collections.abc import Callable
from typing import Any

import pytest
from django.utils import timezone
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.stateful import run_state_machine_as_test
from hypothesis.strategies import fixed_dictionaries

from tests.architecture.matrix.building import taken_back
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


@pytest.mark.django_db
def test_each_act_of_a_walk_can_be_done_also_those_that_few_walks_come_to() -> None:
    """It raises nothing but what a service refuses it by."""
    walk = Walk()
    with walk.kept:
        walk.a_treatment_goes_well(day="2026-02-02")
        asked = {"which": 0, "log": ("attended", "email", None), "hours": 1}
        walk.an_unplanned_session_is_logged(**asked)
        walk.time_passes(hours=26)
        walk.the_client_answers(which=0, answer=0, tension=None)
        walk.an_unplanned_session_is_logged(**asked)
        walk.a_session_is_planned(which=0, hours=26)
        walk.time_passes(hours=3)
        left = [each for each in walk.rules if not _is_done(each, walk)]
        with taken_back():
            walk.a_move_is_arranged(which=0, days=3, parts=set())
            left = [each for each in left if not _is_done(each, walk)]
        walk.the_treatment_is_closed(which=0)
        left = [each for each in left if not _is_done(each, walk)]
    assert not left


Deed = Callable[[Walk], object]


def _moves(*parts: str) -> Deed:
    return lambda walk: walk.a_move_is_arranged(which=0, days=0, parts=set(parts))


def _shares(*, notes: bool) -> Deed:
    return lambda walk: walk.a_flag_is_shared_or_no_more(which=0, share=True, notes=notes)


GOES: dict[str, Deed] = {
    "handed over": lambda walk: walk.the_client_is_handed_over(which=0),
    "closed": lambda walk: walk.the_treatment_is_closed(which=0),
    "begun again": lambda walk: walk.the_treatment_is_begun_again(),
    "moved": _moves(),
    "moved, with needs": _moves("needs"),
    "moved, with what was tried": _moves("tried"),
    "moved, with comments": _moves("comments"),
    "shared": _shares(notes=False),
    "shared, with notes": _shares(notes=True),
}
ALICES = {"comment", "decision", "note", "pause", "support", "why not asked", "worksheet"}
SAMS = {"decision", "support", "why not asked"}


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("deeds", "charlies", "sams"),
    [
        ((), set(), SAMS),
        (("shared",), set(), SAMS),
        (("shared, with notes",), set(), SAMS | {"worksheet"}),
        (("shared, with notes", "handed over"), {"pause"}, {"why not asked"}),
        (("handed over", "handed over"), set(), SAMS - {"support"}),
        (("closed",), set(), {"why not asked"}),
        (("closed", "begun again"), set(), SAMS - {"support"}),
        (("closed", "begun again", "handed over"), {"pause"}, {"why not asked"}),
        (("moved",), {"pause"}, {"why not asked"}),
        (("moved, with needs",), {"pause", "needs"}, {"why not asked"}),
        (("moved, with what was tried",), {"pause", "tried"}, {"why not asked"}),
        (("moved, with comments",), {"pause", "comment"}, {"why not asked"}),
    ],
    ids=lambda deeds: " ".join(deeds) if isinstance(deeds, tuple) else "",
)
def test_each_reads_of_what_was_said_before_what_is_theirs(
    deeds: tuple[str, ...], charlies: set[str], sams: set[str]
) -> None:
    """By every page there is, as the client goes from alice to charlie, or comes back."""
    walk = Walk()
    with walk.kept:
        walk.a_treatment_goes_well(day="2026-02-02")
        walk.an_unplanned_session_is_logged(which=0, log=("attended", "", 4), hours=3)
        walk.an_unplanned_session_is_logged(which=0, log=("attended", "email", None), hours=1)
        walk.time_passes(hours=26)
        walk.the_client_answers(which=0, answer=0, tension=None)
        walk.a_note_is_written(which=0)
        walk.the_worksheet_is_written(which=0)
        walk.asking_rests_or_no_more(which=0, pause=True)
        walk.time_passes(hours=70)
        walk.support_is_offered(which=0)
        walk.sam_meets_them_and_decides()
        for deed in deeds:
            GOES[deed](walk)
        seen = walk.each_reads_what_is_theirs()
        assert {kind for who, kind in seen if who == walk.charlie} == charlies
        assert {kind for who, kind in seen if who == walk.sam} == sams
        if not deeds:
            assert {kind for who, kind in seen if who == walk.alice} == ALICES


def _is_done(act: Any, walk: Walk) -> bool:
    """Whether it can be done here; then it is, with a few of its values, and taken back."""
    now = timezone.now()

    @settings(COURSES, max_examples=4, derandomize=True)
    @given(fixed_dictionaries(act.arguments))
    def do(values: dict[str, Any]) -> None:
        with taken_back():
            act.function(walk, **values)
        walk.clock.move_to(now)

    can_be_done = all(holds(walk) for holds in act.preconditions)
    if can_be_done:
        do()
    return can_be_done
