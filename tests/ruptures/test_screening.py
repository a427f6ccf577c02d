"""From stored rows to screenings and episodes."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from datetime import timedelta
from functools import partial
from uuid import uuid4

import pytest
import time_machine
from django.db import IntegrityError, transaction
from django.utils import timezone

from apps.accounts.models import Membership
from apps.alliance.models import AllianceRating, Questionnaire
from apps.alliance.services import build_rating
from apps.clients.models import Treatment
from apps.exchange.rights import lift_restriction, restrict
from apps.feedback.corrections import correct_session
from apps.feedback.services import practice_questionnaire, record_from_paper
from apps.ruptures import detection
from apps.ruptures.models import RuptureEpisode, Screening
from apps.ruptures.services import record_outcome, screen_treatment, share_episode
from apps.therapy_sessions.models import TherapySession
from tests.at_once import elsewhere, wait_for
from tests.factories import TherapySessionFactory, TreatmentFactory, rate

pytestmark = pytest.mark.django_db
FALL = [90, 90, 80, 90, 90, 90, 80, 90, 70]
UNMARKED_FALL = [*FALL[:-1], 80, 60]


def add_rating(
    session: TherapySession, pomp: int, ruler: Questionnaire | None = None, **also: object
) -> AllianceRating:
    questionnaire = ruler or practice_questionnaire(session.practice)
    rating = build_rating(
        therapy_session=session,
        questionnaire=questionnaire,
        answers={item["id"]: pomp // 10 for item in questionnaire.items},
        mode=AllianceRating.Mode.LINK,
        answered_at=also.pop("answered_at", timezone.now()),
        **also,
    )
    rating.save()
    session.asked = True
    session.save()
    return rating


def rated_now(treatment: Treatment, pomp: int, **also: object) -> TherapySession:
    session = TherapySessionFactory.create(treatment=treatment)
    add_rating(session, pomp, **also)
    return session


def screen_from(session: TherapySession) -> list[Screening]:
    return screen_treatment(
        treatment=session.treatment,
        questionnaire=practice_questionnaire(session.practice),
        since=session,
        at=timezone.now(),
    )


def weeks(clock: time_machine.Traveller, treatment: Treatment, *pomps: int) -> None:
    """One session a week from now on, each rated and screened as it takes place."""
    for pomp in pomps:
        clock.shift(timedelta(days=7))
        screen_from(rated_now(treatment, pomp))


def test_a_fall_opens_one_episode_with_the_figures_of_the_pure_filter(alice: Membership) -> None:
    treatment = TreatmentFactory.create(therapist=alice, pomps=FALL)
    stored = [row.outputs for row in treatment.screenings.order_by("therapy_session__starts_at")]
    steps = [detection.Step(pomp=pomp, gap_days=7 if n else None) for n, pomp in enumerate(FALL)]
    _, expected = detection.replay(steps, detection.SLIDER)
    assert stored == [screening.to_json() for screening in expected]
    episode = treatment.episodes.get()
    assert episode.opened_by == treatment.therapy_sessions.latest("starts_at")
    assert episode.marked_at == episode.opened_at
    assert not episode.outcome


def test_one_more_rating_costs_one_step(alice: Membership) -> None:
    treatment = TreatmentFactory.create(therapist=alice, pomps=FALL[:-1])
    session = TherapySessionFactory.create(treatment=treatment)
    assert len(screen_from(session)) == 1
    add_rating(session, 70)
    assert len(screen_from(session)) == 1
    assert treatment.screenings.current().count() == len(FALL)
    assert treatment.screenings.filter(superseded_at__isnull=False).count() == 1
    assert treatment.episodes.open().count() == 1


def test_screening_again_changes_nothing(alice: Membership) -> None:
    treatment = TreatmentFactory.create(therapist=alice, pomps=FALL)
    first = treatment.therapy_sessions.earliest("starts_at")
    assert screen_from(first) == []
    assert treatment.screenings.count() == len(FALL)


def test_going_on_from_a_stored_state_equals_a_replay(alice: Membership) -> None:
    online = TreatmentFactory.create(therapist=alice)
    for n, pomp in enumerate(FALL):
        session = TherapySessionFactory.create(
            treatment=online, starts_at=timezone.now() - timedelta(weeks=len(FALL) - n)
        )
        screen_from(session)
        add_rating(session, pomp)
        screen_from(session)
    whole = TreatmentFactory.create(therapist=alice, pomps=FALL)
    assert [
        row.outputs for row in online.screenings.current().order_by("therapy_session__starts_at")
    ] == [row.outputs for row in whole.screenings.order_by("therapy_session__starts_at")]


def test_a_correction_that_takes_the_fall_away_withdraws_the_episode(alice: Membership) -> None:
    treatment = TreatmentFactory.create(therapist=alice, pomps=FALL)
    session = treatment.therapy_sessions.latest("starts_at")
    session.ratings.update(pomp=90)
    screen_from(session)
    episode = treatment.episodes.get()
    assert episode.outcome == RuptureEpisode.Outcome.SUPERSEDED
    assert treatment.screenings.filter(superseded_at__isnull=False).get().event == "opened"


def test_a_correction_that_moves_the_fall_moves_the_episode(alice: Membership) -> None:
    treatment = TreatmentFactory.create(therapist=alice, pomps=FALL)
    earlier, later = treatment.therapy_sessions.order_by("-starts_at")[:2][::-1]
    earlier.ratings.update(pomp=70)
    screen_from(earlier)
    episode = treatment.episodes.get()
    assert episode.opened_by == earlier
    assert not episode.outcome
    assert later.screenings.current().get().event == "continues"


def test_a_repair_leaves_the_episode_open_until_a_person_ends_it(alice: Membership) -> None:
    treatment = TreatmentFactory.create(therapist=alice, pomps=[*FALL, 90, 90, 90])
    episode = treatment.episodes.get()
    assert episode.recovering_since
    assert not episode.outcome


def test_a_new_fall_while_recovering_goes_on_in_the_same_episode(alice: Membership) -> None:
    treatment = TreatmentFactory.create(therapist=alice, pomps=[*FALL, 90, 90, 90, 90, 70])
    episode = treatment.episodes.get()
    assert not episode.recovering_since
    events = treatment.screenings.order_by("therapy_session__starts_at").values_list(
        "event", flat=True
    )
    assert [event for event in events if event == "opened"] == ["opened", "opened"]


def test_not_a_rupture_is_an_input_of_the_next_step(alice: Membership) -> None:
    treatment = TreatmentFactory.create(therapist=alice, pomps=FALL)
    record_outcome(
        episode=treatment.episodes.get(),
        outcome=RuptureEpisode.Outcome.NOT_A_RUPTURE,
        reason="The client misread the scale.",
        by=alice,
    )
    session = TherapySessionFactory.create(treatment=treatment, starts_at=timezone.now())
    screening = screen_from(session)[0]
    assert screening.state_before["open"] is False
    assert screening.state_before["regimes"][1][0] == detection.SLIDER.hazard
    add_rating(session, 70)
    screen_from(session)
    assert treatment.episodes.open().get().opened_by == session


def test_a_verdict_on_a_pending_step_still_counts_when_its_rating_comes(alice: Membership) -> None:
    treatment = TreatmentFactory.create(therapist=alice, pomps=FALL)
    session = TherapySessionFactory.create(treatment=treatment)
    screen_from(session)
    record_outcome(
        episode=treatment.episodes.get(),
        outcome=RuptureEpisode.Outcome.NOT_A_RUPTURE,
        reason="The client misread the scale.",
        by=alice,
    )
    add_rating(session, 90, answered_at=timezone.now() + timedelta(seconds=1))
    screening = screen_from(session)[0]
    assert screening.state_before["open"] is False
    assert screening.event == ""


@pytest.mark.parametrize("outcome", ["repaired", "not_a_rupture"])
def test_an_answer_after_the_outcome_of_what_its_session_opened_is_a_new_fall(
    alice: Membership, outcome: str
) -> None:
    treatment = TreatmentFactory.create(therapist=alice, pomps=FALL[:-1])
    session = TherapySessionFactory.create(treatment=treatment, tension=4, tension_resolved=0)
    screen_from(session)
    first = treatment.episodes.get()
    reason = "We spoke of it at once."
    record_outcome(episode=first, outcome=RuptureEpisode.Outcome(outcome), reason=reason, by=alice)
    add_rating(session, 0)
    for _again in range(2):
        screen_from(session)
        second = treatment.episodes.open().get()
        assert second != first
        assert second.opened_by == session
        assert second.marked_at
    assert treatment.episodes.count() == 2


def test_a_session_of_before_a_fall_that_is_logged_after_its_outcome_takes_nothing_of_it(
    alice: Membership,
) -> None:
    """Or the filter would stand open again, without an episode, and no later fall open one."""
    treatment = TreatmentFactory.create(therapist=alice, pomps=FALL)
    first = treatment.episodes.get()
    record_outcome(episode=first, outcome=RuptureEpisode.Outcome.REPAIRED, by=alice)
    now, fell = timezone.now(), first.opened_by
    late = TherapySessionFactory.create(
        treatment=treatment, starts_at=fell.starts_at - timedelta(days=1), logged_at=now
    )
    screen_from(late)
    assert screen_from(fell) == [], "from whichever session it goes on"
    again = TherapySessionFactory.create(treatment=treatment, starts_at=now, logged_at=now)
    add_rating(again, 20)
    screen_from(again)
    TherapySession.objects.filter(id=late.id).update(tension=1)
    screen_from(TherapySession.objects.get(id=late.id))
    assert treatment.episodes.open().get().opened_by == again
    assert not treatment.episodes.filter(outcome="superseded").exists()


@pytest.mark.parametrize(
    ("outcome", "falls_to"), [("repaired", 0), ("not_a_rupture", 0), ("settled_lower", 40)]
)
@pytest.mark.parametrize("goes_on", [False, True])
def test_what_was_known_by_an_outcome_is_no_new_fall_where_a_session_of_between_is_logged_later(
    alice: Membership, outcome: str, falls_to: int, *, goes_on: bool
) -> None:
    treatment = TreatmentFactory.create(therapist=alice, pomps=[*FALL, 60])
    fell, last = treatment.therapy_sessions.order_by("-starts_at")[:2][::-1]
    episode = treatment.episodes.get()
    assert episode.opened_by == fell
    outcome_, reason = RuptureEpisode.Outcome(outcome), "We spoke of it at once."
    record_outcome(episode=episode, outcome=outcome_, reason=reason, by=alice)
    if goes_on:
        screen_from(rated_now(treatment, 90))
    late = TherapySessionFactory.create(
        treatment=treatment,
        starts_at=fell.starts_at + timedelta(days=1),
        logged_at=timezone.now(),
    )
    screen_from(late)
    opened = Screening.objects.current().get(therapy_session=last)
    assert opened.event == "opened", "the outcome is taken in before what was logged after it"
    assert treatment.episodes.get() == episode
    again = rated_now(treatment, falls_to)
    screen_from(again)
    assert treatment.episodes.open().get().opened_by == again
    for session in treatment.therapy_sessions.all():
        assert screen_from(session) == [], "from whichever session it goes on"
    assert treatment.episodes.count() == 2


def test_answers_entered_from_paper_after_the_outcome_are_known_from_then_on(
    alice: Membership,
) -> None:
    treatment = TreatmentFactory.create(therapist=alice, pomps=FALL[:-1])
    session = TherapySessionFactory.create(treatment=treatment, tension=4, tension_resolved=0)
    screen_from(session)
    first = treatment.episodes.get()
    record_outcome(episode=first, outcome=RuptureEpisode.Outcome.REPAIRED, by=alice)
    questionnaire = practice_questionnaire(session.practice)
    record_from_paper(
        therapy_session=session,
        questionnaire=questionnaire,
        answers={item["id"]: 0 for item in questionnaire.items},
        answered_at=session.ends_at,
        by=alice,
    )
    assert treatment.episodes.open().get().opened_by == session


def test_history_that_is_read_behind_a_session_which_opened_a_fall_already_is_taken(
    alice: Membership,
) -> None:
    """Of history each step is dated by its answer: before the live one that it stands in for."""
    treatment = TreatmentFactory.create(therapist=alice)
    live = TherapySessionFactory.create(treatment=treatment)
    screen_from(live)
    add_rating(live, 0)
    screen_from(live)
    starts = [timezone.now() - timedelta(weeks=weeks) for weeks in range(8, 1, -1)]
    for starts_at, pomp in zip(starts, FALL[:7], strict=True):
        add_rating(
            TherapySessionFactory.create(treatment=treatment, starts_at=starts_at),
            pomp,
            answered_at=starts_at,
        )
    screen_treatment(
        treatment=treatment,
        questionnaire=practice_questionnaire(treatment.practice),
        since=treatment.therapy_sessions.earliest("starts_at"),
        at=None,
    )
    assert treatment.episodes.open().get().opened_by == live


def test_silence_alone_never_opens_an_episode(alice: Membership) -> None:
    treatment = TreatmentFactory.create(therapist=alice, pomps=FALL[:-1])
    for weeks in range(1, 8):
        session = TherapySessionFactory.create(
            treatment=treatment, starts_at=timezone.now() + timedelta(weeks=weeks), asked=True
        )
        screen_from(session)
    assert not treatment.episodes.exists()


def test_a_session_that_was_not_attended_is_no_step(alice: Membership) -> None:
    treatment = TreatmentFactory.create(therapist=alice, pomps=FALL[:-1])
    missed = TherapySessionFactory.create(
        treatment=treatment, attendance=TherapySession.Attendance.NO_SHOW
    )
    assert screen_from(missed) == []
    later = TherapySessionFactory.create(treatment=treatment, starts_at=timezone.now())
    assert screen_from(later)[0].inputs["no_shows"] == 1


def test_stored_inputs_give_the_stored_outputs_again(alice: Membership) -> None:
    treatment = TreatmentFactory.create(therapist=alice, pomps=FALL)
    for row in treatment.screenings.all():
        state, screening = detection.screen(
            detection.State.from_json(row.state_before),
            detection.Step(**row.inputs),
            detection.SLIDER,
        )
        assert (state.to_json(), screening.to_json()) == (row.state_after, row.outputs)
        assert asdict(detection.Step(**row.inputs)) == row.inputs


def test_the_database_holds_one_open_episode_per_treatment(alice: Membership) -> None:
    treatment = TreatmentFactory.create(therapist=alice, pomps=FALL)
    episode = treatment.episodes.get()
    episode.pk = None
    episode._state.adding = True
    episode.id = treatment.id
    with (
        pytest.raises(IntegrityError, match="episode_one_open_per_treatment"),
        transaction.atomic(),
    ):
        episode.save()


def test_another_questionnaire_starts_a_new_series(alice: Membership) -> None:
    treatment = TreatmentFactory.create(therapist=alice, pomps=FALL)
    ours = practice_questionnaire(alice.practice)
    other = type(ours).objects.create(
        practice=alice.practice,
        key="another",
        version=1,
        title="Another",
        licence={},
        detection_form="form5",
        minimum=1,
        maximum=5,
        items=[{"id": "one", "subscale": "bond", "text": ""}],
    )
    session = TherapySessionFactory.create(treatment=treatment)
    screening = screen_treatment(
        treatment=treatment, questionnaire=other, since=session, at=timezone.now()
    )[0]
    assert screening.state_before == detection.start(detection.FORM5).to_json()


@pytest.fixture
def course(alice: Membership) -> tuple[Treatment, Questionnaire]:
    """A treatment rated with another questionnaire up to a fall that is not marked, and then by the
    practice's own up to one that is; not screened yet."""
    earlier = practice_questionnaire(alice.practice)
    earlier.pk, earlier.key = None, "sent-before"
    earlier._state.adding = True
    earlier.id = uuid4()
    earlier.save()
    treatment = TreatmentFactory.create(therapist=alice)
    begin = timezone.now() - timedelta(weeks=19)
    for week, pomp in enumerate([*UNMARKED_FALL, *FALL]):
        session = TherapySessionFactory.create(
            treatment=treatment, starts_at=begin + timedelta(weeks=week)
        )
        answered_at = session.starts_at + timedelta(hours=3)
        add_rating(
            session, pomp, earlier if week < len(UNMARKED_FALL) else None, answered_at=answered_at
        )
    return treatment, earlier


def course_of(treatment: Treatment, ruler: Questionnaire) -> list[Screening]:
    current = treatment.screenings.current().filter(questionnaire=ruler)
    return list(current.order_by("therapy_session__starts_at"))


def test_what_came_while_restricted_is_screened_by_each_questionnaire(
    course: tuple[Treatment, Questionnaire], alice: Membership
) -> None:
    treatment, earlier = course
    restrict(client=treatment.client, by=alice)
    lift_restriction(client=treatment.client, by=alice)
    ours = practice_questionnaire(alice.practice)
    for ruler, pomps, days in ((earlier, UNMARKED_FALL, None), (ours, FALL, 7)):
        steps = [
            detection.Step(pomp=pomp, gap_days=7 if n else days) for n, pomp in enumerate(pomps)
        ]
        _, expected = detection.replay(steps, detection.SLIDER)
        outputs = [row.outputs for row in course_of(treatment, ruler)]
        assert outputs == [each.to_json() for each in expected]


def test_a_fall_by_another_questionnaire_marks_what_is_open(
    course: tuple[Treatment, Questionnaire],
) -> None:
    treatment, earlier = course
    sessions = treatment.therapy_sessions.order_by("starts_at")
    screen_from(sessions[0])
    episode = treatment.episodes.get()
    assert (episode.questionnaire, episode.opened_by) == (earlier, sessions[9])
    assert (
        episode.marked_at
        == course_of(treatment, practice_questionnaire(treatment.practice))[-1].screened_at
    )


@pytest.mark.parametrize("change", ["no fall any more", "rated by the newer one"])
def test_where_one_questionnaire_opens_no_more_the_opening_of_another_stands_in_for_it(
    course: tuple[Treatment, Questionnaire], change: str
) -> None:
    treatment, _ = course
    sessions = treatment.therapy_sessions.order_by("starts_at")
    screen_from(sessions[0])
    opened = treatment.episodes.get()
    assert opened.opened_by == sessions[9]
    ours = practice_questionnaire(treatment.practice)
    changes = {} if change == "no fall any more" else {"questionnaire": ours}
    sessions[9].ratings.update(**{"pomp": 90} | changes)
    screen_from(sessions[9])
    moved = treatment.episodes.get()
    last = sessions.last()
    assert (moved.id, moved.outcome) == (opened.id, "")
    assert (moved.opened_by, moved.questionnaire) == (last, ours)
    assert moved.marked_at


def test_an_outcome_is_about_what_another_questionnaire_found_as_well(
    course: tuple[Treatment, Questionnaire], alice: Membership
) -> None:
    treatment, _ = course
    screen_from(treatment.therapy_sessions.earliest("starts_at"))
    record_outcome(
        episode=treatment.episodes.get(), outcome=RuptureEpisode.Outcome.REPAIRED, by=alice
    )
    for pomp in (60, 60):
        session = TherapySessionFactory.create(treatment=treatment, starts_at=timezone.now())
        add_rating(session, pomp)
        screen_from(session)
    again = treatment.episodes.get(outcome="")
    assert again.questionnaire == practice_questionnaire(alice.practice)


def test_a_step_that_nobody_rated_stays_in_the_series_that_it_was_screened_in(
    course: tuple[Treatment, Questionnaire], alice: Membership
) -> None:
    earlier = course[1]
    treatment = TreatmentFactory.create(therapist=alice)
    now = timezone.now()
    sessions = [
        TherapySessionFactory.create(treatment=treatment, starts_at=now - timedelta(days=days))
        for days in (21, 14, 7)
    ]
    screen_treatment(treatment=treatment, questionnaire=earlier, since=sessions[0], at=now)
    restrict(client=treatment.client, by=alice)
    lift_restriction(client=treatment.client, by=alice)
    current = treatment.screenings.current()
    assert {(row.therapy_session, row.questionnaire) for row in current} == {
        (session, earlier) for session in sessions
    }
    correct_session(
        session=sessions[2], starts_at=sessions[2].starts_at, attendance="no_show", by=alice
    )
    assert {row.therapy_session for row in current.all()} == set(sessions[:2])


def test_a_step_that_is_rated_by_the_newer_questionnaire_leaves_the_series_of_before(
    course: tuple[Treatment, Questionnaire], alice: Membership
) -> None:
    session = TherapySessionFactory.create(treatment__therapist=alice)
    treatment = session.treatment
    screen_treatment(treatment=treatment, questionnaire=course[1], since=session, at=timezone.now())
    add_rating(session, 90)
    screen_from(session)
    [current] = treatment.screenings.current()
    assert current.questionnaire == practice_questionnaire(alice.practice)


def test_a_correction_of_before_reaches_the_series_that_it_lies_in(
    course: tuple[Treatment, Questionnaire], alice: Membership
) -> None:
    treatment, earlier = course
    sessions = list(treatment.therapy_sessions.order_by("starts_at"))
    between = TherapySessionFactory.create(
        treatment=treatment, starts_at=sessions[4].starts_at + timedelta(days=1)
    )
    screen_from(sessions[0])
    assert len(course_of(treatment, earlier)) == len(UNMARKED_FALL) + 1
    correct_session(
        session=between,
        starts_at=between.starts_at,
        minutes=50,
        attendance=TherapySession.Attendance.NO_SHOW,
        by=alice,
    )
    assert [row.inputs["no_shows"] for row in course_of(treatment, earlier)] == [
        *[0] * 5,
        1,
        *[0] * 4,
    ]


def test_late_ratings_are_not_used(alice: Membership) -> None:
    treatment = TreatmentFactory.create(therapist=alice)
    session = rate(treatment, [90])[0]
    late = TherapySessionFactory.create(treatment=treatment)
    add_rating(late, 30, is_late=True)
    assert screen_from(late)[0].pomp is None
    assert session.screenings.current().get().pomp == 90


@pytest.mark.django_db(transaction=True)
def test_what_a_therapist_does_with_an_episode_while_an_answer_is_screened_stays(
    alice: Membership,
) -> None:
    treatment = TreatmentFactory.create(therapist=alice, falling=True)
    answer = partial(rate, treatment, [70])
    with ThreadPoolExecutor(1) as pool:
        with transaction.atomic():
            share_episode(episode=treatment.episodes.get(), by=alice)
            other = pool.submit(elsewhere, answer, practice_id=alice.practice_id)
            wait_for(other)
        other.result(timeout=30)
    episode = treatment.episodes.get()
    assert episode.shared_at
    assert Screening.objects.filter(treatment=treatment, superseded_at=None).count() == 10
