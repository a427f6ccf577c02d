"""POMP scores and their validity rule."""

import pytest

from apps.alliance.scoring import Scale, pomp, subscale_pomps

SLIDERS = Scale(0, 10)
FIVE_POINTS = Scale(1, 5)


@pytest.mark.parametrize(
    ("answers", "scale", "expected"),
    [
        ([10] * 6, SLIDERS, 100),
        ([0] * 6, SLIDERS, 0),
        ([5, 6, 7, 8, 9, 10], SLIDERS, 75),
        ([1, 1, 1], FIVE_POINTS, 0),
        ([5, 5, 5], FIVE_POINTS, 100),
        ([3, 4], FIVE_POINTS, 62.5),
    ],
)
def test_scores_run_from_0_to_100_on_any_scale(answers, scale, expected):
    assert pomp(answers, scale) == expected


@pytest.mark.parametrize(
    ("items", "needed"), [(1, 1), (2, 2), (3, 3), (4, 4), (5, 4), (6, 5), (9, 8), (10, 8), (12, 10)]
)
def test_eight_tenths_of_the_items_must_be_answered(items, needed):
    assert pomp([7] * needed + [None] * (items - needed), SLIDERS) == 70
    assert pomp([7] * (needed - 1) + [None] * (items - needed + 1), SLIDERS) is None


def test_a_form_without_answers_has_no_score():
    assert pomp([], SLIDERS) is None
    assert pomp([None, None], SLIDERS) is None


@pytest.mark.parametrize("answer", [-1, 11, float("nan"), float("inf")])
def test_an_answer_outside_the_scale_is_refused(answer):
    with pytest.raises(ValueError, match="expected 0 to 10"):
        pomp([5, answer], SLIDERS)


def test_a_scale_without_room_is_refused():
    with pytest.raises(ValueError, match="minimum < maximum"):
        Scale(5, 5)


def test_each_subscale_needs_its_own_answers():
    answers = {"heard": 6, "accepted": 8, "matters": 9, "clear": None}
    subscales = {"bond": ["heard", "accepted"], "goals": ["matters", "clear"], "tasks": ["suited"]}
    assert subscale_pomps(answers, subscales, SLIDERS) == {
        "bond": 70,
        "goals": None,
        "tasks": None,
    }


def test_rounding_never_leaves_the_range():
    assert sum([0.9] * 7) / 7 > 0.9
    assert pomp([0.9] * 7, Scale(0, 0.9)) == 100
