"""A proposed rule on its way to a decision: estimated, replayed, reported."""

from dataclasses import replace

import pytest

from apps.accounts.models import Membership
from apps.ruptures import replay as replay_module
from apps.ruptures.detection import RULE_VERSION, SLIDER
from apps.ruptures.models import RuleChange
from apps.ruptures.rule_replay import is_enough, propose_local_norms, rated_so_far
from apps.ruptures.rules import differences, propose_change, read_parameters, rule_in_force
from apps.ruptures.tasks import replay_rule_change
from tests.conftest import work_in
from tests.factories import TreatmentFactory
from tests.ruptures.test_screening import FALL

pytestmark = pytest.mark.django_db
BLIND = replace(SLIDER, possible=0.999, marked=0.9999)


def run(change: RuleChange) -> RuleChange:
    """As the worker does it: by ids alone, in no practice."""
    work_in(None)
    replay_rule_change(str(change.practice_id), str(change.id))
    work_in(change.practice_id)
    change.refresh_from_db()
    return change


@pytest.fixture
def courses(alice: Membership) -> None:
    for pomps in (FALL, [90, 80, 90, 80]):
        TreatmentFactory.create(therapist=alice, pomps=pomps)


def test_a_worker_replays_it_and_keeps_the_report(courses, mona):
    change = propose_change(
        practice=mona.practice, detection_form="slider", parameters=BLIND, by=mona
    )
    done = run(change)
    assert done.report["counts"]["opened"] == [1, 0, 0]
    assert done.report["now"] == RULE_VERSION
    assert (done.progress, done.decision) == (100, "")
    assert rule_in_force(mona.practice_id, "slider").version == RULE_VERSION


def test_run_a_second_time_it_changes_nothing(courses, mona, alice):
    change = run(
        propose_change(practice=mona.practice, detection_form="slider", parameters=BLIND, by=mona)
    )
    TreatmentFactory.create(therapist=alice, pomps=FALL)
    assert run(change).report["series"] == 2


def test_local_norms_are_estimated_proposed_and_not_applied(
    courses, mona, django_capture_on_commit_callbacks, monkeypatch
):
    rung: list[tuple[str, str]] = []
    monkeypatch.setattr(
        replay_rule_change, "apply_async", lambda args, **options: rung.append(args)
    )
    with django_capture_on_commit_callbacks(execute=True):
        change = propose_local_norms(practice=mona.practice, detection_form="slider", by=mona)
    assert rung == [(str(mona.practice_id), str(change.id))]
    assert change.parameters is None
    done = run(change)
    assert done.learned_from == {"clients": 2, "ratings": 13}
    assert done.parameters["mean_first"] == 90.0
    proposed = read_parameters("slider", done.parameters)
    changed = {name for name, _, _ in differences(SLIDER, proposed)}
    assert changed == {"mean_first", "spread_between", "spread_within"}
    assert rule_in_force(mona.practice_id, "slider").parameters == SLIDER


def test_asked_again_while_nothing_came_of_it_it_rings_once_more(
    mona, django_capture_on_commit_callbacks, monkeypatch
):
    def away(**_: object) -> None:
        raise replay_rule_change.OperationalError

    monkeypatch.setattr(replay_rule_change, "apply_async", away)
    with django_capture_on_commit_callbacks(execute=True):
        change = propose_local_norms(practice=mona.practice, detection_form="slider", by=mona)
    rung: list[object] = []
    monkeypatch.setattr(replay_rule_change, "apply_async", lambda **options: rung.append(options))
    with django_capture_on_commit_callbacks(execute=True):
        again = propose_local_norms(practice=mona.practice, detection_form="slider", by=mona)
    assert (again, len(rung)) == (change, 1)


def test_progress_is_kept_while_it_runs(courses, mona, monkeypatch):
    seen: list[int] = []
    whole = replay_module.replay_past

    def watched(past, now, proposed, progress):
        def tell(percent: int) -> None:
            progress(percent)
            work_in(mona.practice_id)
            seen.append(RuleChange.objects.get().progress)
            work_in(None)

        return whole(past, now, proposed, tell)

    monkeypatch.setattr(replay_module, "replay_past", watched)
    run(propose_change(practice=mona.practice, detection_form="slider", parameters=BLIND, by=mona))
    assert seen
    assert seen[-1] == 100


@pytest.mark.parametrize(
    ("clients", "ratings", "enough"),
    [(200, 1000, True), (199, 5000, False), (500, 999, False)],
)
def test_two_hundred_clients_and_a_thousand_ratings_are_enough(clients, ratings, enough):
    assert is_enough({"clients": clients, "ratings": ratings}) is enough


def test_only_ratings_by_forms_of_this_kind_are_counted(courses, mona):
    assert rated_so_far(mona.practice_id, "slider") == {"clients": 2, "ratings": 13}
    assert rated_so_far(mona.practice_id, "form5") == {"clients": 0, "ratings": 0}
