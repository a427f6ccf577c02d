"""`manage.py import_ratings`: what is history and what comes now, and in whose treatment."""

from datetime import UTC, date, datetime, timedelta

import pytest
import time_machine
from django.core.management import CommandError
from django.utils import timezone

from apps.accounts.models import Notice, Role
from apps.clients.handing_over import pass_on
from apps.clients.models import Client, Treatment
from apps.endings.services import close_treatment, reopen_treatment
from apps.exchange.rights import lift_restriction, restrict
from apps.feedback.models import FeedbackRequest
from apps.feedback.services import practice_questionnaire
from apps.ruptures.models import RuptureEpisode
from apps.ruptures.services import share_episode
from apps.ruptures.transitions import move_episodes_on
from apps.therapy_sessions.models import TherapySession
from tests.conftest import work_in
from tests.exchange.importing import BY_NAME, csv
from tests.factories import MembershipFactory, SupervisionFactory, TherapySessionFactory
from tests.ruptures.test_screening import screen_from

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("as_owner")]


@pytest.mark.parametrize("missed", [0, 1])
def test_what_a_file_tells_of_long_ago_is_history_whoever_was_missed_in_it(
    load, alice, sam, missed
):
    """A no-show is a session of its own, and has no row."""
    first_week, header = "2024-01-01", f"{BY_NAME},no_shows"
    rows = [f"A,{n},{90 - n % 2 * 10},Alice Moreau,{missed * (n == 3)}" for n in range(1, 10)]
    for more in ([], [f"A,{n},20,Alice Moreau,0" for n in range(10, 14)]):
        rows += more
        load(
            csv(header, *rows),
            questionnaire="rapport-alliance-form",
            first_week=first_week,
        )
    episode = RuptureEpisode.objects.get()
    assert (episode.opened_at.year, episode.marked_at.year) == (2024, 2024)
    assert not Notice.objects.exists()


@pytest.mark.parametrize(
    ("first_week", "more", "ended_on"),
    [("2026-01-05", [], date(2026, 5, 15)), ("2026-08-31", ["A,12,80,T2"], date(2026, 11, 9))],
)
def test_what_was_over_before_it_came_here_ended_then_and_nobody_is_told(
    load, alice, sam, first_week, more, ended_on
):
    """Sixty days after the client had come last, or as another went on."""
    rows = [f"A,{n},{90 - n % 2 * 10},Alice Moreau" for n in range(1, 10)]
    rows += ["A,10,20,Alice Moreau", "A,11,20,Alice Moreau", *more]
    with time_machine.travel(datetime(2026, 11, 27, 12, tzinfo=UTC), tick=False):
        how = {"questionnaire": "rapport-alliance-form", "first_week": first_week}
        load(csv(BY_NAME, *rows), **how)
        move_episodes_on()
        work_in(alice.practice_id)
        episode = RuptureEpisode.objects.get()
        assert episode.outcome == episode.Outcome.ENDED_UNREPAIRED
        assert timezone.localdate(episode.outcome_at) == ended_on
        assert not Notice.objects.exists()
        restrict(client=episode.treatment.client, by=alice)
        lift_restriction(client=episode.treatment.client, by=alice)
        assert RuptureEpisode.objects.get() == episode, "nothing of it opens anew"
        assert not Notice.objects.exists()


@pytest.mark.parametrize("logs_here", [False, True])
def test_what_a_file_adds_while_processing_is_restricted_is_told_as_if_it_were_not(
    load, alice, sam, logs_here
):
    """As history where files alone tell of the course, of whichever day the lifting is."""
    how = {"questionnaire": "rapport-alliance-form", "first_week": "2026-09-07"}
    good = [f"A,{n},{90 - n % 2 * 10},Alice Moreau" for n in range(1, 10)]
    with time_machine.travel(datetime(2026, 11, 27, 12, tzinfo=UTC), tick=False):
        load(csv(BY_NAME, *good), **how)
        if logs_here:
            TherapySession.objects.update(corrected_at=timezone.now())
        client = Client.objects.get()
        restrict(client=client, by=alice)
        load(csv(BY_NAME, *good, "A,10,20,Alice Moreau", "A,11,20,Alice Moreau"), **how)
        assert not RuptureEpisode.objects.exists()
        lift_restriction(client=client, by=alice)
        episode = RuptureEpisode.objects.get()
        opened_at = timezone.now() if logs_here else episode.opened_by.ends_at
        assert episode.opened_at == opened_at
        assert Notice.objects.exists() is logs_here


def test_what_a_supervisor_was_told_of_does_not_end_by_a_file_without_a_word(load, sam):
    rows = [f"A,{n},{90 - n % 2 * 10},T1" for n in range(1, 10)]
    rows += ["A,10,20,T1", "A,11,20,T1"]
    how = {"questionnaire": "rapport-alliance-form", "first_week": "2026-09-07"}
    with time_machine.travel(datetime(2026, 11, 27, 12, tzinfo=UTC), tick=False):
        load(csv(BY_NAME, *rows), **how)
        treatment = Treatment.objects.get()
        SupervisionFactory.create(supervisor=sam, supervisee=treatment.therapist)
        move_episodes_on()
        work_in(sam.practice_id)
        assert [each.kind for each in Notice.objects.filter(member=sam)] == ["episode_marked"]
        load(csv(BY_NAME, *rows, "A,12,80,T2"), **how)
        move_episodes_on()
        work_in(sam.practice_id)
        assert RuptureEpisode.objects.get().outcome
        told = Notice.objects.filter(member=sam).order_by("created_at", "id")
        assert "episode_withdrawn" in told.values_list("kind", flat=True)


def test_what_is_added_to_a_course_that_goes_on_here_is_told_as_what_comes_now(load, alice, sam):
    good = [f"A,{n},{80 + n % 2 * 10},Alice Moreau" for n in range(1, 10)]
    load(csv(BY_NAME, *good), questionnaire="rapport-alliance-form")
    treatment = Treatment.objects.get()
    now = timezone.now()
    own = {"tension": 4, "tension_resolved": 0, "starts_at": now - timedelta(hours=1)}
    own["logged_at"] = now
    screen_from(TherapySessionFactory.create(treatment=treatment, **own))
    episode = RuptureEpisode.objects.get()
    share_episode(episode=episode, by=alice)
    more = [f"A,{n},20,Alice Moreau" for n in range(10, 14)]
    load(csv(BY_NAME, *good, *more), questionnaire="rapport-alliance-form")
    episode.refresh_from_db()
    assert episode.opened_by != treatment.therapy_sessions.latest("starts_at")
    assert Notice.objects.filter(member=sam, subject_id=episode.id).exists()


def test_a_fall_is_told_to_who_supervises_on_the_practices_day(load, alice, practice):
    """In the morning of the 27th in Auckland it is still the 26th by the machine's clock."""
    practice.time_zone = "Pacific/Auckland"
    practice.save()
    good = [f"A,{n},{90 - n % 2 * 10},Alice Moreau" for n in range(1, 10)]
    how = {"questionnaire": "rapport-alliance-form", "first_week": "2026-09-07"}
    with time_machine.travel(datetime(2026, 11, 26, 20, tzinfo=UTC), tick=False):
        nora = MembershipFactory.create(practice=practice, name="Nora", roles=[Role.SUPERVISOR])
        starts_on = date(2026, 11, 27)
        SupervisionFactory.create(supervisor=nora, supervisee=alice, starts_on=starts_on)
        load(csv(BY_NAME, *good), **how)
        TherapySession.objects.update(corrected_at=timezone.now())  # it goes on here
        load(csv(BY_NAME, *good, "A,10,20,Alice Moreau", "A,11,20,Alice Moreau"), **how)
    told = Notice.objects.filter(member=nora).values_list("kind", flat=True)
    assert "episode_marked" in told


def test_what_is_added_to_a_course_that_has_ended_here_is_history(load, alice, sam):
    good = [f"A,{n},{80 + n % 2 * 10},Alice Moreau" for n in range(1, 10)]
    load(csv(BY_NAME, *good), questionnaire="rapport-alliance-form")
    TherapySession.objects.update(corrected_at=timezone.now())
    Treatment.objects.update(ends_on=timezone.localdate())
    more = [f"A,{n},20,Alice Moreau" for n in range(10, 14)]
    load(csv(BY_NAME, *good, *more), questionnaire="rapport-alliance-form")
    move_episodes_on()
    work_in(alice.practice_id)
    assert RuptureEpisode.objects.get().outcome
    assert not Notice.objects.exists()


@pytest.mark.parametrize("by_hand_over", [False, True])
def test_a_longer_file_goes_on_in_the_treatment_that_was_begun_again(
    load, alice, charlie, mona, by_hand_over
):
    """Or a fall would be told to nobody. What was held before the end stays in the first."""

    def rows(weeks, pomp):
        days = (timezone.localdate() - timedelta(weeks=13 - week) for week in weeks)
        return [f"A,{day},{pomp},Alice Moreau" for day in days]

    header, form = BY_NAME.replace("session", "held_at"), "rapport-alliance-form"
    good = rows(range(1, 9), 90)
    load(csv(header, *good), questionnaire=form)
    before = Treatment.objects.get()
    with time_machine.travel(timezone.now() - timedelta(days=25)):
        if by_hand_over:
            on = timezone.localdate() - timedelta(days=1)
            theirs = pass_on(before, to=charlie, on=on, by=mona)
            goes_on = pass_on(theirs, to=alice, on=timezone.localdate(), by=mona)
        else:
            ending = close_treatment(treatment=before, how="agreed", review="", by=alice)
            goes_on = reopen_treatment(ending=ending, by=alice)
        begun = timezone.now()
    TherapySessionFactory.create(
        treatment=goes_on, starts_at=begun + timedelta(hours=1), logged_at=timezone.now()
    )
    for _again in range(2):
        more = [*rows([9], 90), *rows(range(10, 13), 20)]
        load(csv(header, *good, *more), questionnaire=form)
    assert before.therapy_sessions.count() == 9
    assert goes_on.therapy_sessions.count() == 1 + 3


@pytest.mark.parametrize("how", ["corrected", "asked about"])
def test_a_course_goes_on_here_also_where_a_session_of_a_file_was_corrected_or_asked_about(
    load, alice, practice, how
):
    good = [f"A,{n},{80 + n % 2 * 10},Alice Moreau" for n in range(1, 10)]
    load(csv(BY_NAME, *good), questionnaire="rapport-alliance-form")
    session = TherapySession.objects.latest("starts_at")
    if how == "corrected":
        TherapySession.objects.filter(id=session.id).update(corrected_at=timezone.now())
    else:
        FeedbackRequest.objects.create(
            practice=practice, therapy_session=session, due_at=timezone.now(),
            expires_at=timezone.now(), questionnaire=practice_questionnaire(practice),
        )  # fmt: skip
    load(
        csv(BY_NAME, *good, *(f"A,{n},20,Alice Moreau" for n in range(10, 12))),
        questionnaire="rapport-alliance-form",
    )
    assert Notice.objects.filter(member=alice).exists()


def test_nothing_is_stored_in_a_treatment_that_begins_on_a_day_to_come(
    load, practice, charlie, mona
):
    load(csv(BY_NAME, "A,1,80,Alice Moreau"))
    day = timezone.localdate() + timedelta(days=14)
    pass_on(Treatment.objects.get(), to=charlie, on=day, by=mona)
    with pytest.raises(CommandError, match="hand the client over first"):
        load(csv(BY_NAME, "A,1,80,Alice Moreau", "A,2,80,Charlie Nowak"))
