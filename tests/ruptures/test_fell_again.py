"""A fall that opens a possible rupture again: waited for, acknowledged and told as the first."""

from datetime import timedelta

import pytest
import time_machine
from django.db.models import F
from django.urls import reverse
from django.utils import timezone

from apps.accounts.models import Membership, Notice
from apps.ruptures import notices as notices_of_ruptures
from apps.ruptures.models import RuptureEpisode, Screening
from apps.ruptures.services import acknowledge_episode, record_outcome
from apps.ruptures.transitions import note_waiting
from apps.therapy_sessions.models import TherapySession
from tests.conftest import signed_in
from tests.factories import TherapySessionFactory, TreatmentFactory
from tests.ruptures.test_notices import noted, told
from tests.ruptures.test_screening import UNMARKED_FALL, add_rating, rated_now, screen_from, weeks

pytestmark = pytest.mark.django_db


def test_a_fall_after_ratings_had_come_back_waits_to_be_acknowledged_as_the_first(alice, sam):
    treatment = TreatmentFactory.create(therapist=alice, pomps=UNMARKED_FALL)
    episode = treatment.episodes.get()
    acknowledge_episode(episode=episode, by=alice)
    with time_machine.travel(timezone.now(), tick=False) as clock:
        weeks(clock, treatment, 90, 90, 90, 70)
        episode.refresh_from_db()
        assert (episode.seen_at, episode.marked_at) == (None, None)
        assert Notice.objects.filter(member=alice, kind="episode_opened").count() == 1
        clock.shift(timedelta(hours=71))
        note_waiting(alice.practice, at=timezone.now())
        assert not RuptureEpisode.objects.for_supervisor(sam).exists()
        clock.shift(timedelta(hours=1))
        assert RuptureEpisode.objects.for_supervisor(sam).get() == episode
        note_waiting(alice.practice, at=timezone.now())
        assert len(told(sam)) == 1
        episode.refresh_from_db()
        acknowledge_episode(episode=episode, by=alice)
        screen_from(rated_now(treatment, 70))
        episode.refresh_from_db()
        assert episode.seen_at, "nothing opened it again"


def test_a_second_fall_that_was_acknowledged_as_the_log_opened_it_is_told_once(came_back, alice):
    episode = RuptureEpisode.objects.get()
    acknowledge_episode(episode=episode, by=alice)
    came_back.shift(timedelta(days=7))
    session = TherapySessionFactory.create(
        treatment=episode.treatment, tension=4, tension_resolved=0
    )
    screen_from(session)
    episode.refresh_from_db()
    assert not episode.seen_at
    came_back.shift(timedelta(minutes=5))
    acknowledge_episode(episode=episode, by=alice)
    came_back.shift(timedelta(hours=3))
    add_rating(session, 70)
    screen_from(session)
    assert Screening.objects.current().get(therapy_session=session).event == "opened"
    episode.refresh_from_db()
    assert episode.seen_at
    assert Notice.objects.filter(member=alice, kind=notices_of_ruptures.OPENED).count() == 2


def test_no_acknowledgement_covers_a_fall_that_the_end_of_a_form_opened_after_it(came_back, alice):
    episode = RuptureEpisode.objects.get()
    came_back.shift(timedelta(days=7))
    session = TherapySessionFactory.create(
        treatment=episode.treatment, tension=2, tension_resolved=0
    )
    screen_from(session)
    assert Screening.objects.current().get(therapy_session=session).event != "opened"
    came_back.shift(timedelta(hours=20))
    acknowledge_episode(episode=episode, by=alice)
    came_back.shift(timedelta(hours=76))
    session.asked = True
    session.save()
    screen_from(session)
    assert Screening.objects.current().get(therapy_session=session).event == "opened"
    episode.refresh_from_db()
    assert not episode.seen_at
    assert episode.fell_again_at == timezone.now()


def test_who_never_acknowledged_the_first_fall_looks_at_the_second_before_they_do(came_back, alice):
    episode = RuptureEpisode.objects.get()
    page_of_before = {"fall": episode.fall, "outcome": "repaired"}
    weeks(came_back, episode.treatment, 0)
    assert Notice.objects.filter(member=alice, kind=notices_of_ruptures.OPENED).count() == 2
    for page in ("acknowledge_episode", "record_outcome"):
        signed_in(alice).post(reverse(page, args=[episode.id]), page_of_before)
        episode.refresh_from_db()
        assert (episode.acknowledged_at, episode.outcome) == (None, "")


def test_who_acknowledges_after_the_waiting_time_and_before_the_beat_lets_the_supervisor_be_told(
    alice, sam
):
    treatment = TreatmentFactory.create(therapist=alice, pomps=UNMARKED_FALL)
    with time_machine.travel(timezone.now() + timedelta(hours=72, minutes=1), tick=False):
        acknowledge_episode(episode=treatment.episodes.get(), by=alice)
        assert note_waiting(alice.practice, at=timezone.now()) == 0
        assert Notice.objects.get(member=sam).kind == notices_of_ruptures.WAITED


def test_a_fall_that_a_correction_took_back_is_acknowledged_by_nobody_in_advance(came_back, alice):
    episode = RuptureEpisode.objects.get()
    came_back.shift(timedelta(days=7))
    slip = {"tension": 4, "tension_resolved": 0}
    session = TherapySessionFactory.create(treatment=episode.treatment, **slip)
    screen_from(session)
    came_back.shift(timedelta(minutes=2))
    session.tension = session.tension_resolved = None
    session.save()
    screen_from(session)
    acknowledge_episode(episode=episode, by=alice)
    came_back.shift(timedelta(hours=20))
    add_rating(session, 70)
    screen_from(session)
    episode.refresh_from_db()
    assert (episode.seen_at, episode.fell_again_at) == (None, timezone.now())
    assert Notice.objects.filter(member=alice, kind=notices_of_ruptures.OPENED).count() == 3


@pytest.mark.parametrize("how", ["silence", "own tension", "attendance"])
def test_what_opens_only_after_an_outcome_of_a_fall_that_was_over_is_a_new_one(
    came_back, alice, how
):
    """Also where nothing dates what is known of the session anew."""
    first = RuptureEpisode.objects.get()
    came_back.shift(timedelta(days=7))
    said = {"tension": 2, "tension_resolved": 0} if how == "silence" else {}
    attendance = "no_show" if how == "attendance" else "attended"
    session = TherapySessionFactory.create(treatment=first.treatment, attendance=attendance, **said)
    screen_from(session)
    came_back.shift(timedelta(hours=20))
    record_outcome(episode=first, outcome=RuptureEpisode.Outcome.REPAIRED, by=alice)
    came_back.shift(timedelta(hours=76))
    if how == "silence":
        session.asked = True
    else:
        session.attendance, session.tension, session.tension_resolved = "attended", 4, 0
    session.save()
    screen_from(session)
    assert RuptureEpisode.objects.open().get().opened_by == session
    assert Notice.objects.filter(member=alice, kind=notices_of_ruptures.OPENED).count() == 2


def test_where_the_second_fall_is_corrected_away_the_acknowledgement_of_the_first_holds(fell_again):
    before = fell_again.treatment.episodes.get()
    assert not before.seen_at
    fell_again.ratings.update(pomp=90)
    screen_from(fell_again)
    episode = fell_again.treatment.episodes.get()
    assert (episode.seen_at, episode.fell_again_at) == (before.acknowledged_at, None)


def test_no_correction_begins_the_waiting_time_of_a_second_fall_anew(fell_again):
    before = fell_again.treatment.episodes.get()
    with time_machine.travel(timezone.now() + timedelta(hours=70), tick=False):
        fell_again.ratings.update(pomp=75)
        screen_from(fell_again)
    episode = fell_again.treatment.episodes.get()
    assert (episode.seen_at, episode.fell_again_at) == (None, before.fell_again_at)


def test_nor_does_one_to_and_fro(fell_again):
    before = fell_again.treatment.episodes.get()
    with time_machine.travel(timezone.now() + timedelta(hours=70), tick=False) as clock:
        for pomp in (90, 70):
            clock.shift(timedelta(minutes=1))
            fell_again.ratings.update(pomp=pomp)
            screen_from(fell_again)
    episode = fell_again.treatment.episodes.get()
    assert (episode.seen_at, episode.fell_again_at) == (None, before.fell_again_at)
    assert episode.last_fell_at == before.last_fell_at


def test_what_was_not_open_as_somebody_acknowledged_waits_anew_once_it_is_back(fell_again, alice):
    """Though all of it was known by then."""
    with time_machine.travel(timezone.now() + timedelta(hours=20), tick=False) as clock:
        fell_again.ratings.update(pomp=90)
        screen_from(fell_again)
        RuptureEpisode.objects.update(acknowledged_at=None)
        episode = fell_again.treatment.episodes.get()
        acknowledge_episode(episode=episode, by=alice)
        clock.shift(timedelta(hours=1))
        fell_again.ratings.update(pomp=70)
        screen_from(fell_again)
        episode.refresh_from_db()
        assert (episode.seen_at, episode.fell_again_at) == (None, timezone.now())


def test_who_saw_the_first_fall_is_told_when_the_second_has_waited(fell_again, alice, sam):
    def page() -> str:
        return signed_in(sam).get("/supervision/").content.decode()

    assert "Waited 72 hours; fell again on" in page()
    Notice.objects.filter(member=sam).update(read_at=timezone.now())
    note_waiting(alice.practice, at=timezone.now())
    assert told(sam) == []
    with time_machine.travel(timezone.now() + timedelta(hours=72), tick=False):
        for _ in range(2):
            note_waiting(alice.practice, at=timezone.now())
        assert len(told(sam)) == 1
        assert "fell again" not in page()
        assert "Waited 72 hours" in page()


def slip(clock: time_machine.Traveller, alice: Membership) -> TherapySession:
    """Tension that is typed by mistake, after ratings had come back, and acknowledged."""
    episode = RuptureEpisode.objects.get()
    clock.shift(timedelta(days=7))
    session = TherapySessionFactory.create(
        treatment=episode.treatment, tension=4, tension_resolved=0
    )
    screen_from(session)
    clock.shift(timedelta(minutes=1))
    episode.refresh_from_db()
    acknowledge_episode(episode=episode, by=alice)
    clock.shift(timedelta(minutes=1))
    return session


@pytest.mark.parametrize("how", ["silence", "attendance"])
def test_a_slip_that_is_put_right_acknowledges_nothing_that_the_client_says_later(
    came_back, alice, how
):
    session = slip(came_back, alice)
    if how == "silence":
        session.tension, session.tension_resolved = 2, 0
    else:
        session.attendance, session.tension, session.tension_resolved = "no_show", None, None
    session.save()
    screen_from(session)
    assert RuptureEpisode.objects.get().seen_at
    came_back.shift(timedelta(hours=96))
    session.attendance = "attended"
    session.asked = how == "silence"
    session.save()
    if how == "attendance":
        add_rating(session, 70)
    screen_from(session)
    assert Screening.objects.current().get(therapy_session=session).event == "opened"
    episode = RuptureEpisode.objects.get()
    assert (episode.seen_at, episode.fell_again_at) == (None, timezone.now())


def to_and_fro(clock: time_machine.Traveller, session: TherapySession) -> None:
    """Corrected, and put back as it was."""
    was = session.tension, session.tension_resolved
    for session.tension, session.tension_resolved in ((None, None), was):
        clock.shift(timedelta(minutes=1))
        session.save()
        screen_from(session)


def test_nor_does_one_that_was_put_right_and_back_before_the_client_answered(came_back, alice):
    """The answer goes on with what the therapist had noticed themselves, and acknowledged."""
    session = slip(came_back, alice)
    to_and_fro(came_back, session)
    before = noted(alice)
    came_back.shift(timedelta(hours=3))
    add_rating(session, 80, tension=0)
    screen_from(session)
    assert Screening.objects.current().get(therapy_session=session).event == "opened"
    assert RuptureEpisode.objects.get().seen_at
    assert noted(alice) == before


def test_a_fall_that_is_put_right_and_back_was_acknowledged(came_back, alice):
    session = slip(came_back, alice)
    for attendance in ("no_show", "attended"):
        came_back.shift(timedelta(minutes=1))
        session.attendance = attendance
        session.save()
        screen_from(session)
    assert RuptureEpisode.objects.get().seen_at


def test_where_a_second_fall_that_had_waited_goes_the_first_has_waited_no_more_than_it_did(
    alice, sam
):
    treatment = TreatmentFactory.create(therapist=alice, pomps=UNMARKED_FALL)
    acknowledge_episode(episode=treatment.episodes.get(), by=alice)
    with time_machine.travel(timezone.now(), tick=False) as clock:
        for pomp in (90, 90, 90, 70):
            clock.shift(timedelta(days=7))
            session = rated_now(treatment, pomp)
            screen_from(session)
        clock.shift(timedelta(hours=72))
        note_waiting(alice.practice, at=timezone.now())
        assert len(told(sam)) == 1
        session.ratings.update(pomp=90)
        screen_from(session)
        assert treatment.episodes.get().seen_at
        assert len(told(sam)) == 1


@pytest.mark.parametrize("acknowledged", [False, True])
def test_what_stands_in_for_a_fall_that_went_is_told_and_acknowledged_with_it(
    came_back, alice, acknowledged
):
    """It was part of what somebody saw."""
    record_outcome(
        episode=RuptureEpisode.objects.get(), outcome=RuptureEpisode.Outcome.REPAIRED, by=alice
    )
    treatment = RuptureEpisode.objects.get().treatment
    came_back.shift(timedelta(days=7))
    went = TherapySessionFactory.create(treatment=treatment, tension=4, tension_resolved=0)
    screen_from(went)
    came_back.shift(timedelta(days=7))
    stays = rated_now(treatment, 50, tension=4, tension_resolved=0)
    screen_from(stays)
    episode = RuptureEpisode.objects.open().get()
    assert episode.opened_by == went
    if acknowledged:
        acknowledge_episode(episode=episode, by=alice)
    before = RuptureEpisode.objects.open().get()
    notices_of_before = list(Notice.objects.order_by("id").values())
    came_back.shift(timedelta(hours=1))
    went.attendance, went.tension, went.tension_resolved = "no_show", None, None
    went.save()
    screen_from(went)
    episode = RuptureEpisode.objects.open().get()
    assert episode.opened_by == stays
    assert (episode.seen_at, episode.fell_at, episode.fall) == (
        before.seen_at,
        before.fell_at,
        before.fall,
    )
    assert list(Notice.objects.order_by("id").values()) == notices_of_before


@pytest.mark.parametrize("how", ["own tension", "attendance"])
def test_no_correction_to_and_fro_begins_a_fall_anew_that_the_client_has_confirmed(
    came_back, alice, sam, how
):
    acknowledge_episode(episode=RuptureEpisode.objects.get(), by=alice)
    came_back.shift(timedelta(days=7))
    own = {"tension": 4, "tension_resolved": 0}
    treatment = RuptureEpisode.objects.get().treatment
    session = TherapySessionFactory.create(treatment=treatment, **own)
    screen_from(session)
    came_back.shift(timedelta(hours=60))
    add_rating(session, 75, tension=2, tension_resolved=1)
    screen_from(session)
    before, notices_of_before = RuptureEpisode.objects.get(), Notice.objects.count()
    slips = [{"tension": None, "tension_resolved": None}, own]
    if how == "attendance":
        slips = [{"attendance": "no_show"}, {"attendance": "attended"}]
    for slip_or_not in slips:
        came_back.shift(timedelta(minutes=1))
        TherapySession.objects.filter(id=session.id).update(**slip_or_not)
        session.refresh_from_db()
        screen_from(session)
    episode = RuptureEpisode.objects.get()
    assert Screening.objects.current().get(therapy_session=session).event == "opened"
    assert (episode.fell_again_at, episode.fall) == (before.fell_again_at, before.fall)
    assert Notice.objects.filter(kind=notices_of_ruptures.OPENED, member=alice).count() == 2
    assert Notice.objects.count() == notices_of_before


def test_of_a_fall_after_one_that_had_waited_supervisors_are_told_when_it_has(
    came_back, alice, sam
):
    treatment = RuptureEpisode.objects.get().treatment
    at_once = F("opened_at") + timedelta(hours=1)
    RuptureEpisode.objects.update(waited_at=None, acknowledged_at=at_once)
    Notice.objects.all().delete()
    for number, pomps in enumerate(([70], [90, 90, 90, 90, 70])):
        for pomp in pomps:
            came_back.shift(timedelta(days=7))
            screen_from(rated_now(treatment, pomp))
        assert not RuptureEpisode.objects.get().marked_at
        assert len(noted(sam)) == number
        came_back.shift(timedelta(hours=72))
        note_waiting(alice.practice, at=timezone.now())
        assert len(noted(sam)) == number + 1
        acknowledge_episode(episode=RuptureEpisode.objects.get(), by=alice)
