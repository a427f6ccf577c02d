"""The sentences that explain a flag."""

import re
from dataclasses import fields

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.ruptures.detection import (
    FORM5,
    SLIDER,
    Event,
    Evidence,
    Level,
    Screening,
    Step,
    replay,
    screen,
    start,
)
from apps.ruptures.reasons import Reasons, reasons, usual_range

NOTHING = {field.name: 0.0 for field in fields(Evidence)}


def screening(*, pomp: float | None = None, level=Level.POSSIBLE, **evidence: float) -> Screening:
    return Screening(
        pomp=pomp,
        prior=0.05,
        expected=88.5,
        low=82.2,
        high=95.1,
        z=None if pomp is None else (pomp - 88.5) / 3.9,
        noise_variance=12.0,
        evidence=Evidence(**{**NOTHING, **evidence}),
        posterior=0.4,
        level=level,
        event=None,
    )


def explain(step: Step, shown: Screening, **changes) -> Reasons:
    counts = {"ratings_before": 15, "asked_before": 14, "missed_before": 3}
    return reasons(step, shown, **{**counts, **changes})


def test_each_strong_signal_is_one_sentence_strongest_first_and_those_against_stand_apart():
    step = Step(pomp=62, tension=3, resolved=2, therapist_tension=0)
    shown = screening(pomp=62, score=2.1, client=2.23, therapist=-0.27, missing=-0.16)
    assert explain(step, shown, missed_before=0) == Reasons(
        speaks_for=(
            "Client reported strong tension, partly sorted out.",
            "Rated 62; usually 82–95, from 15 earlier ratings.",
        ),
        speaks_against=("You did not notice tension.", "Form returned, as usual."),
        unknown=(),
    )


def test_to_a_supervisor_the_therapist_is_named():
    step = Step(pomp=62, therapist_tension=2, therapist_resolved=0)
    shown = screening(pomp=62, therapist=1.66)
    assert explain(step, shown, therapist_name="Hana").speaks_for == (
        "Hana noticed some tension, not sorted out.",
    )
    calm = explain(Step(therapist_tension=0), screening(therapist=-0.27), therapist_name="Hana")
    assert calm.speaks_against == ("Hana did not notice tension.",)
    assert explain(step, shown).speaks_for == ("You noticed some tension, not sorted out.",)


@pytest.mark.parametrize(
    ("pomp", "sentence"),
    [
        (62, "Rated 62; usually 82–95, from 15 earlier ratings."),
        (81.9, "Rated 82, in the lower part of the usual 82–95, from 15 earlier ratings."),
        (85, "Rated 85, in the lower part of the usual 82–95, from 15 earlier ratings."),
        (90, "Rated 90, within the usual 82–95, from 15 earlier ratings."),
        (99, "Rated 99; usually 82–95, from 15 earlier ratings."),
    ],
)
def test_a_rating_is_said_to_be_where_it_is(pomp, sentence):
    assert explain(Step(pomp=pomp), screening(pomp=pomp, score=0.5)).speaks_for == (sentence,)


@pytest.mark.parametrize(("before", "noun"), [(0, "ratings"), (1, "rating")])
def test_before_the_third_rating_no_range_is_claimed(before, noun):
    why = explain(Step(pomp=62, tension=1), screening(pomp=62, score=0.5), ratings_before=before)
    assert why.speaks_for == (f"Rated 62; baseline still forming, from {before} earlier {noun}.",)
    assert why.unknown == ("Baseline still forming.",)


def test_the_range_is_shown_from_the_third_rating():
    why = explain(Step(pomp=62), screening(pomp=62, score=0.5), ratings_before=2)
    assert why.speaks_for == ("Rated 62; usually 82–95, from 2 earlier ratings.",)


@pytest.mark.parametrize(
    ("asked", "missed", "sentence"),
    [
        (14, 3, "No answer to this form; 11 of 14 earlier forms were answered."),
        (1, 0, "No answer to this form; 1 of 1 earlier form was answered."),
        (0, 0, "No answer to this form."),
    ],
)
def test_silence_stands_beside_the_habit(asked, missed, sentence):
    why = explain(Step(), screening(missing=0.85), asked_before=asked, missed_before=missed)
    assert why.speaks_for == (sentence,)
    assert why.unknown == ("No direct information.",)


@pytest.mark.parametrize(
    ("asked", "missed", "sentence"),
    [
        (10, 2, "Form returned, as usual."),
        (10, 3, "Form returned; 7 of 10 earlier forms were answered."),
        (0, 0, "Form returned."),
    ],
)
def test_as_usual_is_said_only_where_it_is_usual(asked, missed, sentence):
    why = explain(
        Step(pomp=90), screening(pomp=90, missing=-0.16), asked_before=asked, missed_before=missed
    )
    assert why.speaks_against == (sentence,)


@pytest.mark.parametrize(
    ("count", "sentence"),
    [
        (1, "1 session missed or cancelled late by the client since the previous one."),
        (2, "2 sessions missed or cancelled late by the client since the previous one."),
    ],
)
def test_sessions_that_did_not_take_place_are_counted(count, sentence):
    assert explain(Step(no_shows=count), screening(no_show=0.6)).speaks_for == (sentence,)


@pytest.mark.parametrize(
    ("tension", "resolved", "words"),
    [
        (1, None, "slight tension"),
        (2, 0, "some tension, not sorted out"),
        (3, 1, "strong tension, sorted out a little"),
        (4, 3, "very strong tension, mostly sorted out"),
        (1, 4, "slight tension, fully sorted out"),
    ],
)
def test_tension_is_told_in_the_words_of_the_form(tension, resolved, words):
    why = explain(Step(tension=tension, resolved=resolved), screening(client=1.0))
    assert why.speaks_for == (f"Client reported {words}.",)


def test_no_tension_reported_speaks_against():
    why = explain(Step(tension=0), screening(client=-0.47))
    assert why.speaks_against == ("Client reported no tension.",)


@pytest.mark.parametrize(
    ("nats", "side"),
    [
        (0.3, "for"),
        (0.29, "neither"),
        (0.0, "neither"),
        (-0.09, "neither"),
        (-0.1, "against"),
    ],
)
def test_a_signal_speaks_from_three_tenths_for_or_one_tenth_against(nats, side):
    shown = screening(pomp=62, score=1.0, client=nats)
    why = explain(Step(pomp=62, tension=1), shown)
    sentence = "Client reported slight tension."
    assert (sentence in why.speaks_for) == (side == "for")
    assert (sentence in why.speaks_against) == (side == "against")


def test_what_is_missing_is_said():
    assert explain(Step(asked=False), screening()).unknown == (
        "No rating.",
        "No direct information.",
    )
    assert explain(Step(), screening(missing=0.1, no_show=0.6)).unknown == (
        "No answer to this form.",
        "No direct information.",
    )


class TestWithoutAStrongSignal:
    def test_a_flag_shows_the_rating_beside_the_range(self):
        why = explain(Step(pomp=84, tension=1), screening(pomp=84, score=0.2))
        assert why.speaks_for == (
            "Rated 84, in the lower part of the usual 82–95, from 15 earlier ratings.",
        )

    def test_a_flag_whose_rating_speaks_against_points_to_the_sessions_before(self):
        why = explain(Step(pomp=90, tension=1), screening(pomp=90, score=-0.6))
        assert why.speaks_for == ("Nothing new in this session; earlier ones still count.",)

    def test_a_flag_without_a_rating_shows_the_strongest_weak_signal(self):
        why = explain(Step(), screening(missing=0.2))
        assert why.speaks_for == ("No answer to this form; 11 of 14 earlier forms were answered.",)

    def test_no_flag_needs_no_reason(self):
        calm = explain(Step(pomp=90), screening(pomp=90, level=Level.NONE, score=0.1))
        assert calm.speaks_for == ()


def test_the_usual_range_is_clipped_to_the_scale():
    state, shown = screen(start(SLIDER), Step(pomp=100), SLIDER)
    assert shown.high > 100
    assert usual_range(shown)[1] == 100
    assert state.rated == 1


answers = st.none() | st.integers(0, 4)


@given(
    st.lists(
        st.builds(
            Step,
            pomp=st.none() | st.floats(0, 100),
            tension=answers,
            resolved=answers,
            therapist_tension=answers,
            no_shows=st.integers(0, 2),
        ),
        min_size=1,
        max_size=15,
    )
)
def test_every_flag_has_a_reason_and_none_uses_a_forbidden_word(steps):
    before, _ = replay(steps[:-1], FORM5)
    _, shown = screen(before, steps[-1], FORM5)
    why = reasons(
        steps[-1],
        shown,
        ratings_before=before.rated,
        asked_before=before.asked,
        missed_before=before.missed,
    )
    if shown.level > Level.NONE:
        assert why.speaks_for
    assert shown.event is not Event.OPENED or why.speaks_for
    said = " ".join((*why.speaks_for, *why.speaks_against, *why.unknown))
    forbidden = r"%|\b(odds|probab|likel|risk|detect|fail|ok\b|safe|complian|patient|score)"
    assert not re.search(forbidden, said, re.IGNORECASE)
