"""The switching filter against its published vectors, its stated cases and its invariants."""

import json
from dataclasses import replace
from math import log
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.ruptures.detection import (
    FORM5,
    PARAMETERS,
    RULE_VERSION,
    RULES,
    SLIDER,
    Event,
    Level,
    Regime,
    Screening,
    State,
    Step,
    Verdict,
    after_verdict,
    replay,
    screen,
    start,
)

VECTORS = json.loads(Path(__file__).with_name("detection_vectors.json").read_text(encoding="utf-8"))
BOTH_FORMS = pytest.mark.parametrize("parameters", PARAMETERS.values(), ids=PARAMETERS)

answers = st.none() | st.integers(0, 4)
any_step = st.builds(
    Step,
    pomp=st.none() | st.floats(0, 100),
    asked=st.booleans(),
    tension=answers,
    resolved=answers,
    therapist_tension=answers,
    therapist_resolved=answers,
    no_shows=st.integers(0, 3),
    gap_days=st.none() | st.floats(0, 100),
)
any_series = st.lists(any_step, min_size=1, max_size=25)
any_form = st.sampled_from([FORM5, SLIDER])


def rated(*pomps: float | None) -> list[Step]:
    return [Step(pomp=pomp) for pomp in pomps]


def last(steps: list[Step], parameters=FORM5) -> Screening:
    return replay(steps, parameters)[1][-1]


@pytest.mark.parametrize("vector", VECTORS, ids=[vector["name"] for vector in VECTORS])
def test_every_output_of_every_vector_is_met_to_six_decimals(vector):
    parameters = PARAMETERS[vector["form"]]
    steps = [Step(**step["input"]) for step in vector["steps"]]
    _, screenings = replay(steps, parameters)
    for expected, screening in zip(vector["steps"], screenings, strict=True):
        output = screening.to_json()
        evidence = output.pop("evidence")
        wanted = dict(expected["output"])
        assert evidence == pytest.approx(wanted.pop("evidence"), abs=1e-6)
        assert output.pop("pomp") == expected["input"]["pomp"]
        assert output.pop("event") == wanted.pop("event")
        if wanted["z"] is None:
            assert output.pop("z") is wanted.pop("z")
        assert output == pytest.approx(wanted, abs=1e-6)


class TestCases:
    @BOTH_FORMS
    def test_a_constant_series_settles_at_the_noise_floor_with_little_suspicion(self, parameters):
        _, screenings = replay(rated(*[80.0] * 60), parameters)
        floor = 0.36 * parameters.spread_within**2
        assert screenings[-1].noise_variance == pytest.approx(floor, rel=1e-3)
        assert screenings[-1].posterior == pytest.approx(0.002, abs=5e-4)
        assert screenings[9].posterior == pytest.approx(0.017, abs=2e-3)
        assert all(screening.event is None for screening in screenings)

    @pytest.mark.parametrize("extreme", [0.0, 100.0])
    @BOTH_FORMS
    def test_a_series_at_the_end_of_the_scale_never_divides_by_zero(self, parameters, extreme):
        state, _ = replay(rated(*[extreme] * 200), parameters)
        assert all(regime.variance > 0 for regime in state.regimes)

    def test_ninety_after_six_hundreds_is_nothing_on_five_points_and_watch_on_scales(self):
        steps = rated(*[100] * 6, 90)
        assert last(steps, FORM5).posterior == pytest.approx(0.11, abs=0.005)
        assert last(steps, FORM5).level is Level.NONE
        assert last(steps, SLIDER).posterior == pytest.approx(0.29, abs=0.005)
        assert last(steps, SLIDER).level is Level.WATCH

    @BOTH_FORMS
    def test_silence_is_watched_at_most_and_fades_as_it_becomes_the_habit(self, parameters):
        _, screenings = replay(rated(*[None] * 60), parameters)
        posteriors = [screening.posterior for screening in screenings]
        assert max(screening.level for screening in screenings) is Level.WATCH
        assert posteriors.index(max(posteriors)) < 5
        assert screenings[-1].level is Level.NONE

    @BOTH_FORMS
    def test_silence_after_good_ratings_is_watched_at_most_however_suspicious(self, parameters):
        _, screenings = replay(rated(*[80] * 5, *[None] * 10), parameters)
        assert max(screening.posterior for screening in screenings) > parameters.possible
        assert max(screening.level for screening in screenings) is Level.WATCH
        assert all(screening.event is None for screening in screenings)

    @BOTH_FORMS
    def test_mild_tension_that_is_always_sorted_out_reassures(self, parameters):
        steps = [Step(pomp=80, tension=1, resolved=4)] * 40
        assert last(steps, parameters).posterior < 0.002

    @BOTH_FORMS
    def test_staying_lower_is_settled_after_about_six_ratings(self, parameters):
        state, screenings = replay(rated(*[80] * 6, *[60] * 6), parameters)
        assert screenings[6].event is Event.OPENED
        assert screenings[-1].event is Event.SETTLED_LOWER
        assert not state.open
        assert state.regimes[0].mean == pytest.approx(60, abs=5)
        assert [regime.weight for regime in state.regimes] == [1, 0, 0]

    def test_the_step_that_settles_shows_what_was_so_before_the_reset(self):
        settling = replay(rated(*[80] * 6, *[60] * 6), FORM5)[1][-1]
        assert settling.posterior > 0
        assert settling.expected > 70

    def test_the_first_rating_only_teaches(self):
        assert last(rated(5)).evidence.score == 0
        assert last(rated(5)).posterior == last(rated(95)).posterior == 0.05

    def test_a_first_session_may_open_by_tension_alone(self):
        opening = last([Step(tension=3, resolved=0)])
        assert opening.event is Event.OPENED
        assert opening.z is None

    def test_a_long_gap_widens_the_usual_range(self):
        steps = rated(*[80] * 8)
        usual, after_gap = (
            last([*steps, Step(pomp=80, gap_days=days)], FORM5) for days in (41.9, 42)
        )
        assert after_gap.high - after_gap.low > usual.high - usual.low

    def test_resolved_without_tension_says_nothing(self):
        assert last([Step(tension=0, resolved=0)]).evidence.client == FORM5.client_tension[0]
        assert last([Step(resolved=0)]).evidence.client == 0

    def test_silence_counts_only_where_a_form_was_asked_for(self):
        state, _ = replay([Step(), Step(asked=False), Step()], FORM5)
        assert (state.steps, state.asked, state.missed) == (3, 2, 2)
        assert last([Step(pomp=80), Step(asked=False)]).evidence.missing == 0


class TestEpisodes:
    def test_escalates_once_and_remembers_its_peak(self):
        state, screenings = replay(rated(80, 80, 80, 80, 68, 60, 60), FORM5)
        events = [screening.event for screening in screenings]
        assert events.count(Event.ESCALATED) == 1
        assert state.open
        assert state.peak == 2

    def test_an_opening_that_is_marked_at_once_never_escalates(self):
        state, screenings = replay(rated(*[80] * 6, 62), FORM5)
        assert screenings[-1].event is Event.OPENED
        assert state.peak == 2

    def test_the_therapists_answer_alone_does_not_repair(self):
        opened, _ = replay(rated(*[80] * 6, 62), FORM5)
        calm = Step(asked=False, therapist_tension=0)
        by_client = Step(asked=False, tension=0)
        state = opened
        for _ in range(8):
            state, screening = screen(state, calm, FORM5)
        assert screening.posterior < FORM5.close
        assert screening.event is Event.IMPROVING
        assert screen(state, by_client, FORM5)[1].event is Event.REPAIRED

    def test_not_a_rupture_forgets_the_suspicion_and_keeps_what_was_learnt(self):
        state, _ = replay(rated(*[80] * 6, 60), FORM5)
        after = after_verdict(state, Verdict.NOT_A_RUPTURE, FORM5)
        assert state.open
        assert not after.open
        assert after.peak == 0
        assert [regime.weight for regime in after.regimes] == [0.95, 0.05, 0]
        assert [regime[1:] for regime in after.regimes] == [regime[1:] for regime in state.regimes]
        assert replace(after, regimes=state.regimes, open=True, peak=state.peak) == state

    def test_settled_lower_takes_the_fall_for_usual(self):
        steady, _ = replay(rated(*[80] * 6), FORM5)
        assert after_verdict(steady, Verdict.SETTLED_LOWER, FORM5) == steady
        opened, _ = replay(rated(*[80] * 6, 62), FORM5)
        after = after_verdict(opened, Verdict.SETTLED_LOWER, FORM5)
        assert not after.open
        assert [regime.weight for regime in after.regimes] == [1, 0, 0]
        assert after.regimes[0].mean == pytest.approx(opened.regimes[1].mean - FORM5.fall)
        staying, _ = replay(rated(*[80] * 6, 62, 62, 62), FORM5)
        assert (
            after_verdict(staying, Verdict.SETTLED_LOWER, FORM5).regimes[0].mean
            == staying.regimes[2].mean
        )

    def test_thresholds_are_inclusive(self):
        exact = replace(FORM5, hazard=0.30)
        assert last([Step(pomp=80)], exact).event is Event.OPENED
        assert last([Step(pomp=80)], replace(FORM5, hazard=0.29)).event is None


class TestInvariants:
    @given(any_series, any_form)
    def test_the_explanation_is_exactly_additive(self, steps, parameters):
        for screening in replay(steps, parameters)[1]:
            evidence = screening.evidence
            total = (
                evidence.score
                + evidence.client
                + evidence.therapist
                + evidence.no_show
                + evidence.missing
            )
            # Beyond, 1 - p has lost the digits that the comparison needs.
            if 1e-6 < screening.posterior < 1 - 1e-6:
                expected = log(screening.prior / (1 - screening.prior)) + total
                found = log(screening.posterior / (1 - screening.posterior))
                assert found == pytest.approx(expected, abs=1e-8)

    @given(any_series, any_form)
    def test_weights_sum_to_one_and_baselines_stay_near_the_scale(self, steps, parameters):
        state = start(parameters)
        for step in steps:
            state, screening = screen(state, step, parameters)
            assert sum(regime.weight for regime in state.regimes) == pytest.approx(1, abs=1e-12)
            assert all(regime.variance > 0 for regime in state.regimes)
            # Pooling may leave 100 by rounding, and a settled level lies δ below a rupture's mean.
            assert -2 * parameters.fall < state.regimes[0].mean <= 100 + 1e-9
            assert 0 <= screening.posterior <= 1
            assert screening.low < screening.expected < screening.high

    @given(any_series, any_form)
    def test_replay_equals_online_screening_through_stored_json(self, steps, parameters):
        state, screenings = start(parameters), []
        for step in steps:
            stored = json.dumps(state.to_json())
            state, screening = screen(State.from_json(json.loads(stored)), step, parameters)
            shown = json.dumps(screening.to_json())
            screenings.append(Screening.from_json(json.loads(shown)))
        assert (state, screenings) == replay(steps, parameters)

    @given(any_series, any_form)
    def test_only_direct_information_opens_and_only_the_client_repairs(self, steps, parameters):
        for step, screening in zip(steps, replay(steps, parameters)[1], strict=True):
            if screening.event in (Event.OPENED, Event.ESCALATED):
                assert step.pomp is not None or step.tension or step.therapist_tension
            if screening.event is Event.REPAIRED:
                assert step.pomp is not None or step.tension is not None
            if not step.direct:
                assert screening.level <= Level.WATCH

    @given(any_series, any_form, st.integers(1, 30))
    def test_silence_alone_never_closes(self, steps, parameters, silent):
        state, _ = replay(steps, parameters)
        for _ in range(silent if state.open else 0):
            state, _ = screen(state, Step(), parameters)
            assert state.open

    @given(
        st.lists(st.none() | st.floats(60, 70), min_size=1, max_size=15),
        st.floats(-10, 10),
        any_form,
    )
    def test_only_the_distance_from_the_baseline_counts(self, pomps, shift, parameters):
        here = replace(parameters, mean_first=65.0, growth=0.0)
        there = replace(here, mean_first=65.0 + shift)
        shifted = [None if pomp is None else pomp + shift for pomp in pomps]
        pairs = zip(replay(rated(*pomps), here)[1], replay(rated(*shifted), there)[1], strict=True)
        for one, other in pairs:
            assert other.expected - shift == pytest.approx(one.expected, abs=1e-7)
            assert other.posterior == pytest.approx(one.posterior, abs=1e-7)
            assert other.event is one.event

    @given(any_series)
    def test_unasked_unanswered_sessions_carry_no_evidence(self, steps):
        state, _ = replay(steps, FORM5)
        _, screening = screen(state, Step(asked=False), FORM5)
        assert set(screening.to_json()["evidence"].values()) == {0.0}
        assert screening.posterior == pytest.approx(screening.prior, abs=1e-12)


class TestRules:
    def test_a_practice_that_decided_nothing_screens_with_the_first_rule(self):
        assert RULES[RULE_VERSION] is PARAMETERS
        assert RULE_VERSION == "switching-filter/1"

    def test_the_second_rule_knows_the_same_forms_and_trusts_an_answer_about_tension_sooner(self):
        second = RULES["switching-filter/2"]
        assert second.keys() == PARAMETERS.keys()
        steps = [*rated(*[80] * 6), Step(pomp=74, tension=2)]
        assert last(steps, FORM5).event is None
        assert last(steps, second["form5"]).event is Event.OPENED


class TestInputs:
    @pytest.mark.parametrize(
        "wrong",
        [
            {"pomp": -0.1},
            {"pomp": 100.1},
            {"pomp": float("nan")},
            {"tension": 5},
            {"resolved": -1},
            {"therapist_tension": 7},
            {"therapist_resolved": 2.5},
            {"no_shows": -1},
            {"gap_days": -1},
            {"gap_days": float("inf")},
            {"gap_days": float("nan")},
        ],
        ids=str,
    )
    def test_a_step_outside_its_ranges_is_refused_by_name(self, wrong):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            Step(**wrong)

    def test_a_state_of_another_rule_is_refused(self):
        stored = {**start(FORM5).to_json(), "rule": "switching-filter/0"}
        with pytest.raises(ValueError, match="replay"):
            State.from_json(stored)

    def test_a_stored_state_may_have_lost_its_decimal_points(self):
        state = replace(start(FORM5), regimes=(Regime(1.0, 70.0, 9.0),) * 3)
        stored = state.to_json()
        stored["regimes"] = [[1, 70, 9]] * 3
        assert State.from_json(stored) == state
