"""From stored rows to the filter's input, told as what happens in a clinic."""

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from django.utils import timezone

from apps.accounts.models import Membership
from apps.alliance.models import AllianceRating, Questionnaire
from apps.alliance.services import build_rating
from apps.clients.handing_over import pass_on
from apps.clients.models import Treatment
from apps.feedback.services import practice_questionnaire
from apps.ruptures.detection import SLIDER, Step, start
from apps.ruptures.services import screen_treatment
from apps.ruptures.steps import series_since
from apps.therapy_sessions.models import TherapySession
from tests.factories import TherapySessionFactory, TreatmentFactory

pytestmark = pytest.mark.django_db
LONDON = ZoneInfo("Europe/London")
Attendance = TherapySession.Attendance


@pytest.fixture
def treatment(alice: Membership) -> Treatment:
    return TreatmentFactory.create(therapist=alice)


@pytest.fixture
def form(treatment: Treatment) -> Questionnaire:
    return practice_questionnaire(treatment.practice)


def session(treatment: Treatment, week: int, **also: object) -> TherapySession:
    starts_at = datetime(2026, 3, 2, 10, tzinfo=LONDON) + timedelta(weeks=week)
    return TherapySessionFactory.create(treatment=treatment, starts_at=starts_at, **also)


def rated(
    treatment: Treatment, week: int, pomp: int, form: Questionnaire, **also: object
) -> TherapySession:
    held = session(treatment, week, asked=True)
    low, high = form.minimum, form.maximum
    answer = low + (high - low) * pomp // 100
    items = also.pop("items", [item["id"] for item in form.items])
    build_rating(
        therapy_session=held,
        questionnaire=form,
        answers=dict.fromkeys(items, answer),
        mode=AllianceRating.Mode.LINK,
        answered_at=held.ends_at + timedelta(hours=2),
        **also,
    ).save()
    return held


def other_version(form: Questionnaire) -> Questionnaire:
    other = Questionnaire.objects.get(pk=form.pk)
    other.pk, other.version = None, form.version + 1
    other._state.adding = True
    other.id = Questionnaire().id
    other.save()
    return other


def inputs(since: TherapySession, form: Questionnaire) -> list[Step]:
    return [each.step for each in series_since(since.treatment, form, since)]


def screen(since: TherapySession, form: Questionnaire):
    return screen_treatment(
        treatment=since.treatment, questionnaire=form, since=since, at=timezone.now()
    )


def test_everything_that_was_said_about_a_session_reaches_the_filter(treatment, form):
    first = rated(treatment, 0, 90, form, tension=3, tension_resolved=1)
    TherapySession.objects.filter(id=first.id).update(tension=2, tension_resolved=4)
    session(treatment, 1, attendance=Attendance.NO_SHOW)
    session(treatment, 2, attendance=Attendance.LATE_CANCELLATION)
    session(treatment, 3, asked=True)
    assert inputs(first, form) == [
        Step(pomp=90, tension=3, resolved=1, therapist_tension=2, therapist_resolved=4),
        Step(asked=True, no_shows=2, gap_days=21),
    ]


def test_a_mail_that_bounced_or_was_never_sent_is_no_silence(treatment, form):
    first = rated(treatment, 0, 90, form)
    session(treatment, 1, asked=False)
    silent = session(treatment, 2, asked=True)
    made = screen(first, form)
    assert [row.outputs["evidence"]["missing"] for row in made[:2]] == [0, 0]
    assert made[2].therapy_session == silent
    assert made[2].outputs["evidence"]["missing"] > 0.3
    assert made[2].state_before["missed"] == 0


def test_a_form_answered_in_part_is_neither_a_rating_nor_silence(treatment, form):
    first = rated(treatment, 0, 90, form)
    rated(treatment, 1, 90, form, items=["heard"], tension=2)
    step = inputs(first, form)[1]
    assert (step.pomp, step.asked, step.tension) == (None, False, 2)


def test_an_absence_of_the_therapist_is_none_of_the_client(treatment, form):
    first = rated(treatment, 0, 90, form)
    session(treatment, 1, attendance=Attendance.THERAPIST_CANCELLED)
    rated(treatment, 2, 90, form)
    assert inputs(first, form)[1].no_shows == 0


def test_a_holiday_of_the_therapist_is_no_evidence_it_only_leaves_us_less_sure(treatment, form):
    first = rated(treatment, 0, 90, form)
    for week in range(1, 7):
        session(treatment, week, attendance=Attendance.THERAPIST_CANCELLED)
    back = rated(treatment, 7, 80, form)
    other = TreatmentFactory.create(therapist=treatment.therapist)
    began = rated(other, 6, 90, form)
    rated(other, 7, 80, form)
    after_holiday, after_a_week = screen(first, form)[1], screen(began, form)[1]
    assert after_holiday.therapy_session == back
    assert after_holiday.inputs["gap_days"] == 49
    evidence, usual = after_holiday.outputs["evidence"], after_a_week.outputs["evidence"]
    assert (evidence["no_show"], evidence["missing"]) == (0, usual["missing"])
    assert after_holiday.low < after_a_week.low
    assert after_holiday.outputs["posterior"] <= after_a_week.outputs["posterior"]


def test_a_planned_session_is_nobodys_absence(treatment, form):
    first = rated(treatment, 0, 90, form)
    session(treatment, 1, attendance="", logged_at=None)
    session(treatment, 2)
    assert [step.no_shows for step in inputs(first, form)] == [0, 0]


def test_six_weeks_are_42_days_also_across_the_change_to_summer_time(treatment, form):
    first = rated(treatment, 0, 90, form)
    session(treatment, 6)
    assert inputs(first, form)[1].gap_days == 42


def test_a_late_answer_is_not_used_nor_is_the_tension_it_reports(treatment, form):
    first = rated(treatment, 0, 90, form)
    rated(treatment, 1, 10, form, is_late=True, tension=4)
    step = inputs(first, form)[1]
    assert (step.pomp, step.tension, step.asked) == (None, None, True)


def test_a_correction_replays_what_follows_and_marks_what_was_said_as_superseded(treatment, form):
    first = rated(treatment, 0, 90, form)
    for week in range(1, 4):
        rated(treatment, week, 90, form)
    screen(first, form)
    second = treatment.therapy_sessions.order_by("starts_at")[1]
    second.ratings.update(pomp=80)
    assert len(screen(second, form)) == 3
    rows = treatment.screenings
    assert rows.current().count() == 4
    assert rows.filter(superseded_at__isnull=False).count() == 3
    assert rows.current().get(therapy_session=second).pomp == 80


def test_a_session_that_did_not_take_place_after_all_takes_its_flag_with_it(treatment, form):
    first = rated(treatment, 0, 90, form)
    for week in range(1, 8):
        rated(treatment, week, 90, form)
    fall = rated(treatment, 8, 70, form)
    screen(first, form)
    assert treatment.episodes.open().get().opened_by == fall
    TherapySession.objects.filter(id=fall.id).update(attendance=Attendance.THERAPIST_CANCELLED)
    assert screen(fall, form) == []
    assert not treatment.screenings.current().filter(therapy_session=fall).exists()
    assert treatment.episodes.get().outcome == "superseded"


def test_an_absence_logged_late_reaches_the_session_after_it(treatment, form):
    first = rated(treatment, 0, 90, form)
    later = rated(treatment, 2, 90, form)
    screen(first, form)
    missed = session(treatment, 1, attendance=Attendance.NO_SHOW)
    [made] = screen(missed, form)
    assert (made.therapy_session, made.inputs["no_shows"]) == (later, 1)


def test_another_therapist_begins_anew(treatment, form, charlie, mona):
    rated(treatment, 0, 90, form)
    pass_on(treatment, to=charlie, on=datetime(2026, 3, 7, tzinfo=LONDON).date(), by=mona)
    new = Treatment.objects.get(client=treatment.client, therapist=charlie)
    [made] = screen(rated(new, 1, 60, form), form)
    assert made.state_before == start(SLIDER).to_json()
    assert made.inputs["gap_days"] is None


class TestAnotherVersionOfTheForm:
    def test_begins_a_new_series(self, treatment, form):
        screen(rated(treatment, 0, 90, form), form)
        newer = other_version(form)
        [made] = screen(rated(treatment, 1, 90, newer), newer)
        assert made.state_before == start(SLIDER).to_json()

    def test_ends_the_one_before_a_correction_holds_no_silence_against_later_sessions(
        self, treatment, form
    ):
        first = rated(treatment, 0, 90, form)
        newer = other_version(form)
        rated(treatment, 1, 90, newer)
        rated(treatment, 2, 90, newer)
        of_form = [row for row in screen(first, form) if row.questionnaire == form]
        assert [row.therapy_session for row in of_form] == [first]

    def test_is_passed_over_wherever_it_lies(self, treatment, form):
        """A session of before may be corrected to a day among the newer ones."""
        newer = other_version(form)
        [first] = screen(rated(treatment, 0, 90, newer), newer)
        rated(treatment, 1, 90, form)
        [made] = screen(rated(treatment, 2, 90, newer), newer)
        assert made.state_before == first.state_after

    def test_and_back_again_the_first_series_goes_on(self, treatment, form):
        """Else a session between others, corrected or entered from paper, would end it."""
        [first] = screen(rated(treatment, 0, 90, form), form)
        newer = other_version(form)
        screen(rated(treatment, 1, 90, newer), newer)
        [made] = screen(rated(treatment, 2, 90, form), form)
        assert made.state_before == first.state_after
