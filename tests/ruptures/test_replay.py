"""What a rule would have flagged over the past, against the filter itself."""

from dataclasses import replace
from itertools import pairwise
from random import Random

import numpy as np
import pytest

from apps.accounts.models import Membership
from apps.clients.models import Treatment
from apps.ruptures.detection import SLIDER, Step, screen, start
from apps.ruptures.detection.columns import Steps
from apps.ruptures.models import RuptureEpisode, Screening
from apps.ruptures.replay import flag, load_past, replay
from apps.ruptures.rule_replay import rated_so_far
from apps.ruptures.services import record_outcome
from tests.factories import TreatmentFactory
from tests.ruptures.test_screening import FALL

pytestmark = pytest.mark.django_db
NOON = "2026-11-01T12:00Z"
BLIND = replace(SLIDER, possible=0.999, marked=0.9999)
KEEN = replace(SLIDER, watch=0.05, possible=0.10, marked=0.20, close=0.05)


@pytest.fixture
def courses(alice: Membership, charlie: Membership) -> list[Treatment]:
    """Courses of unlike length with gaps and falls; those of one are of another therapist."""
    random = Random(7)
    pomps = [
        [random.choice([90, 90, 80, 80, 100, 60, None]) for _ in range(length)]
        for length in (1, 4, 9, 9, 14)
    ]
    return [
        *(TreatmentFactory.create(therapist=alice, pomps=each) for each in pomps),
        TreatmentFactory.create(therapist=charlie, pomps=FALL),
    ]


def replayed(practice_id, now=SLIDER, proposed=SLIDER, progress=lambda percent: None):
    return replay(practice_id, "slider", now, proposed, progress)


def test_the_past_is_loaded_as_the_filter_was_given_it(courses, alice):
    past = load_past(alice.practice_id, "slider")
    stored = Screening.objects.current().order_by(
        "treatment_id", "therapy_session__starts_at", "therapy_session_id"
    )
    assert sorted(past.lengths) == [1, 4, 9, 9, 9, 14]
    for place, row in enumerate(stored):
        step = Step(**row.inputs)
        loaded = Steps(*(column[place : place + 1] for column in past.signals))
        for given, found in zip(Steps.of([step]), loaded, strict=True):
            np.testing.assert_array_equal(given, found)
        assert past.held_at[place] == row.therapy_session.starts_at.timestamp()


@pytest.mark.parametrize("parameters", [SLIDER, BLIND, KEEN], ids=["shipped", "blind", "keen"])
def test_each_step_is_flagged_as_the_filter_flags_it(courses, alice, parameters):
    past = load_past(alice.practice_id, "slider")
    flags = flag(past, parameters)
    rows = list(
        Screening.objects.current().order_by(
            "treatment_id", "therapy_session__starts_at", "therapy_session_id"
        )
    )
    for begin, end in pairwise([*past.starts, past.steps]):
        state = start(parameters)
        for place in range(begin, end):
            state, said = screen(state, Step(**rows[place].inputs), parameters)
            assert flags.opened[place] == (said.event == "opened")
            assert flags.settled[place] == (said.event == "settled_lower")
            assert flags.watch[place] == (said.level == 1)
            assert flags.marked[place] == (said.event == "opened" and said.level == 3)


def test_under_the_rule_in_force_the_report_counts_what_was_flagged(courses, alice):
    report = replayed(alice.practice_id)
    rows = Screening.objects.current()
    opened = rows.filter(event="opened").count()
    assert opened > 1
    assert report["series"] == 6
    assert report["rated"] == rows.filter(pomp__isnull=False).count()
    assert report["unrated"] == rows.filter(pomp__isnull=True).count() > 0
    assert report["counts"]["opened"] == [opened] * 3
    assert report["counts"]["watch"] == [rows.filter(level=1).count()] * 3
    assert sum(now for _, now, _ in report["months"]) == opened


def test_another_rule_gains_and_loses_openings(courses, alice):
    now, proposed, both = replayed(alice.practice_id, SLIDER, BLIND)["counts"]["opened"]
    assert (proposed, both) == (0, 0)
    now, proposed, both = replayed(alice.practice_id, SLIDER, KEEN)["counts"]["opened"]
    assert proposed > now >= both


def test_openings_that_somebody_called_no_rupture_are_counted(courses, alice, charlie):
    episode = RuptureEpisode.objects.get(treatment__therapist=charlie)
    record_outcome(
        episode=episode, outcome=episode.Outcome.NOT_A_RUPTURE, reason="A slip.", by=charlie
    )
    assert replayed(alice.practice_id)["counts"]["not_a_rupture"] == [1, 1, 1]
    blind = replayed(alice.practice_id, SLIDER, BLIND)["counts"]["not_a_rupture"]
    assert blind == [1, 0, 0]


def test_what_a_correction_superseded_is_not_replayed(courses, alice):
    Screening.objects.filter(therapy_session__treatment=courses[4]).update(
        superseded_at="2026-11-01T00:00Z"
    )
    assert replayed(alice.practice_id)["series"] == 5


def test_who_is_restricted_is_neither_replayed_nor_counted_until_that_is_lifted(courses, alice):
    client = courses[4].client
    for restricted_at, erased_at, series in ((NOON, None, 5), (NOON, NOON, 6), (None, None, 6)):
        client.restricted_at, client.erased_at = restricted_at, erased_at
        client.save()
        assert replayed(alice.practice_id)["series"] == series, "figures of who was erased stay"
        assert rated_so_far(alice.practice_id, "slider")["clients"] == series


def test_progress_only_rises_to_a_hundred(courses, alice):
    told: list[int] = []
    replayed(alice.practice_id, progress=told.append)
    assert told == sorted(set(told))
    assert told[-1] == 100


def test_a_practice_without_a_past_has_an_empty_report(practice):
    report = replayed(practice.id)
    assert (report["series"], report["rated"], report["months"]) == (0, 0, [])


def test_only_the_own_practice_is_read(courses, dora):
    assert load_past(dora.practice_id, "slider").steps == 0
