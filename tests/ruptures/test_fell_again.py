"""A fall that opens a possible rupture again: waited for, acknowledged and told as the first."""

from collections.abc import Iterator
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
from tests.ruptures.test_notices import told
from tests.ruptures.test_screening import UNMARKED_FALL, add_rating, rated_now, screen_from

pytestmark = pytest.mark.django_db


def test_a_fall_after_ratings_had_come_back_waits_to_be_acknowledged_as_the_first(alice, sam):
    treatment = TreatmentFactory.create(therapist=alice, pomps=UNMARKED_FALL)
    episode = treatment.episodes.get()
    acknowledge_episode(episode=episode, by=alice)
    with time_machine.travel(timezone.now(), tick=False) as clock:
        for pomp in (90, 90, 90, 70):
            clock.shift(timedelta(days=7))
            screen_from(rated_now(treatment, pomp))
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


@pytest.fixture
def fell_again(alice: Membership, sam: Membership) -> Iterator[TherapySession]:
    """The session of a second fall, unmarked, three months after the first was acknowledged; the
    supervisor had seen the first, as it had waited."""
    treatment = TreatmentFactory.create(therapist=alice, pomps=UNMARKED_FALL)
    with time_machine.travel(timezone.now() + timedelta(hours=72), tick=False) as clock:
        note_waiting(alice.practice, at=timezone.now())
        acknowledge_episode(episode=treatment.episodes.get(), by=alice)
        for pomp in (90, 90, 90, 70):
            clock.shift(timedelta(days=7))
            session = rated_now(treatment, pomp)
            screen_from(session)
        yield session


@pytest.fixture
def came_back(alice: Membership, sam: Membership) -> Iterator[time_machine.Traveller]:
    """A clock three months after a first, unmarked fall that has waited, ratings being back."""
    treatment = TreatmentFactory.create(therapist=alice, pomps=UNMARKED_FALL)
    with time_machine.travel(timezone.now() + timedelta(hours=72), tick=False) as clock:
        note_waiting(alice.practice, at=timezone.now())
        for _week in range(6):
            clock.shift(timedelta(days=7))
            screen_from(rated_now(treatment, 90))
        yield clock


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
    came_back.shift(timedelta(days=7))
    screen_from(rated_now(episode.treatment, 0))
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


def test_a_fall_of_before_the_one_that_is_open_is_marked_and_told_as_it_comes_to_be_known(
    alice, sam
):
    """No session that is entered late, or whose day is corrected, lies where nobody looks."""
    treatment = TreatmentFactory.create(therapist=alice, pomps=[80, 90, 80, 90, 80, 90, 90, 90])
    with time_machine.travel(timezone.now() + timedelta(days=1), tick=False) as clock:
        before = timezone.now() + timedelta(days=1)
        for pomp in (90, 80, 90, 90, 90):
            clock.shift(timedelta(days=7))
            screen_from(rated_now(treatment, pomp))
        clock.shift(timedelta(days=7))
        last = TherapySessionFactory.create(treatment=treatment, tension=4, tension_resolved=0)
        screen_from(last)
        acknowledge_episode(episode=treatment.episodes.get(), by=alice)
        assert not told(sam)
        clock.shift(timedelta(hours=1))
        late = TherapySessionFactory.create(
            treatment=treatment, starts_at=before, logged_at=timezone.now()
        )
        add_rating(late, 10, tension=4, tension_resolved=0)
        screen_from(late)
        episode = treatment.episodes.get()
        assert Screening.objects.current().get(therapy_session=last).event == "opened"
        assert (episode.opened_by, episode.marked_at) == (late, timezone.now())
        assert (episode.seen_at, episode.fell_again_at) == (None, timezone.now())
        assert len(told(sam)) == 1


def test_a_fall_of_between_two_others_that_is_known_last_is_told_and_looked_at(came_back, alice):
    episode = RuptureEpisode.objects.get()
    of_between = timezone.now() + timedelta(days=1)
    for pomp in (90, 90, 90, 90, 90, 90, 70):
        came_back.shift(timedelta(days=7))
        screen_from(rated_now(episode.treatment, pomp))
    acknowledge_episode(episode=episode, by=alice)
    episode.refresh_from_db()
    page_of_before = {"fall": episode.fall}
    came_back.shift(timedelta(hours=1))
    late = TherapySessionFactory.create(
        treatment=episode.treatment,
        starts_at=of_between,
        logged_at=timezone.now(),
        tension=4,
        tension_resolved=0,
    )
    screen_from(late)
    assert Screening.objects.current().get(therapy_session=late).event == "opened"
    assert Notice.objects.filter(member=alice, kind=notices_of_ruptures.OPENED).count() == 3
    signed_in(alice).post(reverse("acknowledge_episode", args=[episode.id]), page_of_before)
    episode.refresh_from_db()
    assert not episode.seen_at


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


def test_a_fall_that_is_put_right_and_back_was_acknowledged(came_back, alice):
    session = slip(came_back, alice)
    for attendance in ("no_show", "attended"):
        came_back.shift(timedelta(minutes=1))
        session.attendance = attendance
        session.save()
        screen_from(session)
    assert RuptureEpisode.objects.get().seen_at


@pytest.mark.parametrize("between", [False, True])
def test_a_marked_fall_that_is_known_later_is_told_and_looked_at_though_the_first_goes_on_in_it(
    alice, sam, between
):
    """Whether or not ratings had come back between the two: nothing of it was acknowledged."""
    treatment = TreatmentFactory.create(therapist=alice, pomps=[80, 90, 80, 90, 80, 90, 90, 90])
    with time_machine.travel(timezone.now() + timedelta(days=1), tick=False) as clock:
        before = TherapySessionFactory.create(treatment=treatment)
        screen_from(before)
        for _week in range(4 if between else 0):
            clock.shift(timedelta(days=7))
            screen_from(rated_now(treatment, 90))
        clock.shift(timedelta(days=7))
        screen_from(rated_now(treatment, 50, tension=4, tension_resolved=0))
        episode = treatment.episodes.get()
        acknowledge_episode(episode=episode, by=alice)
        page_of_before = episode.fall
        assert len(told(sam)) == 1
        clock.shift(timedelta(days=1))
        add_rating(before, 0, tension=4, tension_resolved=0)
        screen_from(before)
        episode.refresh_from_db()
        assert (episode.opened_by, episode.seen_at) == (before, None)
        assert episode.fall != page_of_before
        of_alice = Notice.objects.filter(member=alice)
        assert of_alice.filter(kind=notices_of_ruptures.OPENED).count() == 2
        assert of_alice.filter(kind=notices_of_ruptures.MARKED).count() == 2
        assert len(told(sam)) == 2
        clock.shift(timedelta(hours=1))
        acknowledge_episode(episode=episode, by=alice)
        screen_from(rated_now(treatment, 40))
        episode.refresh_from_db()
        assert episode.seen_at
        assert of_alice.count() == 4, "each is told once"


def test_a_flag_that_begins_before_a_settled_one_takes_nothing_over_from_it(alice, sam):
    """What an outcome is about stays with that outcome."""
    treatment = TreatmentFactory.create(therapist=alice, pomps=[80, 90, 80, 90, 80, 90, 90, 90])
    with time_machine.travel(timezone.now() + timedelta(days=1), tick=False) as clock:
        before = TherapySessionFactory.create(treatment=treatment)
        screen_from(before)
        for pomp in (90, 90, 90, 90):
            clock.shift(timedelta(days=7))
            screen_from(rated_now(treatment, pomp))
        clock.shift(timedelta(days=7))
        screen_from(rated_now(treatment, 20, tension=4, tension_resolved=0))
        settled = treatment.episodes.get()
        assert settled.marked_at
        record_outcome(episode=settled, outcome=RuptureEpisode.Outcome.REPAIRED, by=alice)
        for pomp in (90, 90, 90, 90):
            clock.shift(timedelta(days=7))
            screen_from(rated_now(treatment, pomp))
        clock.shift(timedelta(days=7))
        own = {"tension": 4, "tension_resolved": 0}
        screen_from(TherapySessionFactory.create(treatment=treatment, **own))
        episode = RuptureEpisode.objects.open().get()
        acknowledge_episode(episode=episode, by=alice)
        clock.shift(timedelta(days=1))
        Notice.objects.filter(member=sam).delete()
        before.tension, before.tension_resolved = 4, 0
        before.save()
        screen_from(before)
        episode.refresh_from_db()
        assert (episode.opened_by, episode.marked_at) == (before, None)
        assert not told(sam)


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


def seen_by_supervisors(sam: Membership) -> list[tuple[str, str]]:
    told_so_far = Notice.objects.filter(member=sam).order_by("created_at", "id")
    return list(told_so_far.values_list("kind", "mark"))


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
        assert len(seen_by_supervisors(sam)) == number
        came_back.shift(timedelta(hours=72))
        note_waiting(alice.practice, at=timezone.now())
        assert len(seen_by_supervisors(sam)) == number + 1
        acknowledge_episode(episode=RuptureEpisode.objects.get(), by=alice)


def test_a_fall_of_before_a_marked_one_that_was_acknowledged_waits_and_is_told(alice, sam):
    """Found later, it was not told by that mark."""
    treatment = TreatmentFactory.create(therapist=alice, pomps=[80, 90, 80, 90, 80, 90, 90, 90])
    with time_machine.travel(timezone.now() + timedelta(days=1), tick=False) as clock:
        own = {"tension": 4, "tension_resolved": 0}
        screen_from(TherapySessionFactory.create(treatment=treatment, **own))
        for pomp in (90, 90, 90, 90):
            clock.shift(timedelta(days=7))
            screen_from(rated_now(treatment, pomp))
        acknowledge_episode(episode=treatment.episodes.get(), by=alice)
        clock.shift(timedelta(days=7))
        found = TherapySessionFactory.create(treatment=treatment)
        screen_from(found)
        for pomp in (90, 90, 90, 90):
            clock.shift(timedelta(days=7))
            screen_from(rated_now(treatment, pomp))
        clock.shift(timedelta(days=7))
        screen_from(rated_now(treatment, 0, tension=4, tension_resolved=0))
        acknowledge_episode(episode=treatment.episodes.get(), by=alice)
        before = seen_by_supervisors(sam)
        clock.shift(timedelta(days=1))
        found.tension, found.tension_resolved = 4, 0
        found.save()
        screen_from(found)
        assert Screening.objects.current().get(therapy_session=found).level == 2
        assert seen_by_supervisors(sam) == before
        clock.shift(timedelta(hours=72))
        note_waiting(alice.practice, at=timezone.now())
        assert [kind for kind, _mark in seen_by_supervisors(sam)[len(before) :]] == [
            notices_of_ruptures.WAITED
        ]


def test_a_fall_of_what_was_once_part_of_a_settled_one_is_told_and_looked_at(alice, sam):
    treatment = TreatmentFactory.create(therapist=alice, pomps=[80, 90, 80, 90, 80, 90, 90, 90])
    with time_machine.travel(timezone.now() + timedelta(days=1), tick=False) as clock:
        screen_from(rated_now(treatment, 50, tension=4, tension_resolved=0))
        clock.shift(timedelta(days=7))
        found = TherapySessionFactory.create(treatment=treatment)
        screen_from(found)
        clock.shift(timedelta(hours=20))
        repaired = RuptureEpisode.Outcome.REPAIRED
        record_outcome(episode=treatment.episodes.get(), outcome=repaired, by=alice)
        for pomp in (90, 90, 90, 90, 90):
            clock.shift(timedelta(days=7))
            screen_from(rated_now(treatment, pomp))
        clock.shift(timedelta(days=7))
        screen_from(rated_now(treatment, 0, tension=4, tension_resolved=0))
        episode = RuptureEpisode.objects.open().get()
        acknowledge_episode(episode=episode, by=alice)
        Notice.objects.all().delete()
        clock.shift(timedelta(days=1))
        add_rating(found, 0, tension=4, tension_resolved=0)
        screen_from(found)
        again = RuptureEpisode.objects.open().get()
        assert (again.opened_by, again.seen_at) == (found, None)
        assert again.fall != episode.fall
        assert [kind for kind, _mark in seen_by_supervisors(sam)] == [notices_of_ruptures.MARKED]
        assert Notice.objects.filter(member=alice, kind=notices_of_ruptures.OPENED).exists()


def test_of_several_falls_of_a_history_the_newest_alone_is_told(alice, sam):
    pomps = [90, 90, 80, 90, 90, 90, 80, 90, 70, 90, 90, 90, 90, 30, 90, 90, 90, 90, 30]
    treatment = TreatmentFactory.create(therapist=alice, pomps=pomps)
    with time_machine.travel(timezone.now() + timedelta(days=1), tick=False):
        screen_from(rated_now(treatment, 40))
    for kind in (notices_of_ruptures.OPENED, notices_of_ruptures.MARKED):
        assert Notice.objects.filter(member=alice, kind=kind).count() == 1
    assert len(seen_by_supervisors(sam)) == 1
