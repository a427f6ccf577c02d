"""Which rule is in force, and what happens when it changes in the middle of a course."""

from dataclasses import asdict, replace
from datetime import timedelta

import pytest
import time_machine
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.utils import timezone

from apps.accounts.models import Membership, Practice
from apps.core.models import AuditEntry
from apps.exchange.rights import lift_restriction, restrict
from apps.feedback.corrections import correct_session
from apps.ruptures.detection import RULE_VERSION, SLIDER, Step, replay
from apps.ruptures.models import RuleChange
from apps.ruptures.rules import (
    decide_change,
    differences,
    propose_change,
    read_parameters,
    rule_in_force,
)
from apps.therapy_sessions.models import TherapySession
from tests.factories import TherapySessionFactory, TreatmentFactory
from tests.ruptures.test_screening import FALL, add_rating, screen_from

pytestmark = pytest.mark.django_db
STRICTER = replace(SLIDER, possible=0.99, marked=0.995)
KEENER = replace(SLIDER, possible=0.02, close=0.01)
CONFIRMED, KEPT = RuleChange.Decision.CONFIRMED, RuleChange.Decision.KEPT


def confirm(practice: Practice, parameters, by: Membership) -> RuleChange:
    change = propose_change(
        practice=practice, detection_form="slider", parameters=parameters, by=by
    )
    RuleChange.objects.filter(id=change.id).update(report={})
    change.refresh_from_db()
    decide_change(change=change, decision=CONFIRMED, reason="Talked over.", by=by)
    return change


def test_without_a_change_the_shipped_rule_is_in_force(practice):
    rule = rule_in_force(practice.id, "slider")
    assert (rule.version, rule.parameters) == (RULE_VERSION, SLIDER)


def test_a_confirmed_change_is_in_force_from_then_on_for_its_form(practice, mona):
    before = timezone.now() - timedelta(seconds=1)
    change = confirm(practice, STRICTER, mona)
    rule = rule_in_force(practice.id, "slider")
    assert (rule.version, rule.parameters) == (f"{RULE_VERSION}+local.1", STRICTER)
    assert rule_in_force(practice.id, "slider", at=before).version == RULE_VERSION
    assert rule_in_force(practice.id, "form5").version == RULE_VERSION
    entries = AuditEntry.objects.filter(object_id=change.id).order_by("at")
    assert [entry.action for entry in entries] == ["propose rule change", "confirm rule change"]
    assert {entry.actor_id for entry in entries} == {mona.id}


def test_the_rule_of_another_practice_is_its_own(practice, mona, dora):
    confirm(practice, STRICTER, mona)
    assert rule_in_force(dora.practice_id, "slider").version == RULE_VERSION


def test_what_is_kept_is_not_in_force_and_what_is_decided_stays(practice, mona):
    change = propose_change(
        practice=practice, detection_form="slider", parameters=STRICTER, by=mona
    )
    decide_change(change=change, decision=KEPT, reason="", by=mona)
    decide_change(change=change, decision=CONFIRMED, reason="After all.", by=mona)
    assert rule_in_force(practice.id, "slider").version == RULE_VERSION


def test_nothing_is_confirmed_before_it_was_replayed(practice, mona):
    change = propose_change(
        practice=practice, detection_form="slider", parameters=STRICTER, by=mona
    )
    with (
        pytest.raises(IntegrityError, match="rule_change_confirmed_by_a_person_after_replay"),
        transaction.atomic(),
    ):
        decide_change(change=change, decision=CONFIRMED, reason="Quick.", by=mona)


def test_one_change_at_a_time_waits_for_a_decision(practice, mona):
    propose_change(practice=practice, detection_form="slider", parameters=STRICTER, by=mona)
    with pytest.raises(ValidationError, match="Decide first about the change"):
        propose_change(practice=practice, detection_form="slider", parameters=KEENER, by=mona)


class TestFigures:
    def test_a_few_are_put_in_the_place_of_the_shipped_ones(self):
        read = read_parameters("slider", {"mean_first": 84, "no_shows": [0, 0.5, 0.8]})
        assert read == replace(SLIDER, mean_first=84.0, no_shows=(0.0, 0.5, 0.8))
        assert differences(SLIDER, read) == [
            ("mean_first", 87.0, 84.0),
            ("no_shows", (0.0, 0.6, 0.9), (0.0, 0.5, 0.8)),
        ]

    def test_all_of_them_survive_the_table(self):
        assert read_parameters("slider", asdict(STRICTER)) == STRICTER

    @pytest.mark.parametrize(
        ("figures", "message"),
        [
            ({"hazzard": 0.1}, "There is no figure 'hazzard'; there are: name, mean_first"),
            ({"hazard": "much"}, "hazard is 'much'"),
            ({"hazard": True}, "hazard is True"),
            ({"hazard": 1.5}, "a share between 0 and 1, such as 0.05"),
            ({"spread_within": 0}, "a number above 0, such as 5.5"),
            ({"mean_first": float("nan")}, "mean_first is nan"),
            ({"mean_first": float("inf")}, "mean_first is inf"),
            ({"growth_steps": 2.5}, "growth_steps is 2.5"),
            ({"no_shows": [1]}, "as many numbers"),
            ({"no_shows": 1}, "no_shows is 1; expected as many numbers, such as [0.0, 0.6, 0.9]."),
            ({"name": "form5"}, "not to be changed"),
        ],
    )
    def test_what_is_none_is_refused_by_name(self, figures, message):
        with pytest.raises(ValidationError) as refused:
            read_parameters("slider", figures)
        assert message in refused.value.messages[0]


class TestInTheMiddleOfACourse:
    def test_what_was_flagged_stays_and_the_next_step_goes_by_the_new_rule(self, alice, mona):
        treatment = TreatmentFactory.create(therapist=alice, pomps=FALL)
        confirm(alice.practice, STRICTER, mona)
        session = TherapySessionFactory.create(treatment=treatment)
        with time_machine.travel(timezone.now() + timedelta(minutes=1)):
            add_rating(session, 70)
            [made] = screen_from(session)
        assert made.rule_version == f"{RULE_VERSION}+local.1"
        steps = [Step(pomp=pomp, gap_days=7 if n else None) for n, pomp in enumerate(FALL)]
        state, _ = replay(steps, STRICTER)
        assert made.state_before == state.to_json()
        assert treatment.screenings.current().filter(rule_version=RULE_VERSION).count() == 9
        assert treatment.episodes.open().exists()

    def test_what_only_the_new_rule_would_have_opened_back_then_is_forgotten(self, alice, mona):
        mild = [90, 90, 80, 90, 90, 90, 80]
        treatment = TreatmentFactory.create(therapist=alice, pomps=mild)
        assert not treatment.episodes.exists()
        confirm(alice.practice, KEENER, mona)
        steps = [Step(pomp=pomp, gap_days=7 if n else None) for n, pomp in enumerate(mild)]
        assert replay(steps, KEENER)[0].open
        session = TherapySessionFactory.create(treatment=treatment)
        add_rating(session, 70)
        [made] = screen_from(session)
        assert made.state_before["open"] is False
        assert made.event == "opened"
        assert treatment.episodes.open().get().opened_by == session

    def test_the_same_rule_goes_on_from_the_state_as_stored(self, alice, mona):
        confirm(alice.practice, STRICTER, mona)
        treatment = TreatmentFactory.create(therapist=alice, pomps=FALL)
        session = TherapySessionFactory.create(treatment=treatment)
        [made] = screen_from(session)
        last = treatment.screenings.current().order_by("-therapy_session__starts_at")[1]
        assert made.state_before == last.state_after

    @pytest.mark.parametrize("figures", [STRICTER, KEENER])
    @pytest.mark.parametrize(
        "touched", ["restricted", "corrected", "to and fro", "found before", "answered since"]
    )
    def test_what_was_screened_keeps_its_rule_whatever_touches_the_course(
        self, alice, mona, figures, touched
    ):
        """Neither does a flag of before go, nor does anything open in hindsight."""
        pomps = FALL if figures == STRICTER else [90, 90, 80, 90, 90, 90, 80]
        treatment = TreatmentFactory.create(therapist=alice, pomps=pomps)
        flagged = list(treatment.episodes.values_list("opened_by", "outcome"))
        sessions = list(treatment.therapy_sessions.order_by("starts_at"))
        first, last = sessions[0], sessions[-1]
        confirm(alice.practice, figures, mona)
        since = TherapySessionFactory.create(treatment=treatment)
        screen_from(since)

        def correct(session: TherapySession, attendance: str = "attended") -> None:
            correct_session(
                session=session, starts_at=session.starts_at, attendance=attendance, by=alice
            )

        if touched == "restricted":
            restrict(client=treatment.client, by=alice)
            lift_restriction(client=treatment.client, by=alice)
        elif touched == "corrected":
            correct(first)
        elif touched == "to and fro":
            last.ratings.all().delete()
            correct(last, "no_show")
            add_rating(last, pomps[-1])
            correct(last)
        elif touched == "found before":
            screen_from(
                TherapySessionFactory.create(
                    treatment=treatment, starts_at=last.starts_at - timedelta(days=1)
                )
            )
        else:
            add_rating(since, pomps[-2])
            screen_from(since)
        current = treatment.screenings.current().order_by("therapy_session__starts_at")
        assert [row.rule_version for row in current] == [
            *[RULE_VERSION] * (len(current) - 1),
            f"{RULE_VERSION}+local.1",
        ]
        open_or_ended = treatment.episodes.exclude(opened_by=since)
        assert list(open_or_ended.values_list("opened_by", "outcome")) == flagged
        if touched in ("restricted", "corrected"):
            assert treatment.screenings.count() == len(current), "nothing changed"
