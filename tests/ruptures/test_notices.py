"""Who is told what about an episode in the app, each once."""

from collections.abc import Iterator
from datetime import timedelta

import pytest
import time_machine
from django.urls import reverse
from django.utils import timezone
from django.utils.formats import date_format

from apps.accounts import notices
from apps.accounts.models import Membership, Notice
from apps.clients.models import Treatment
from apps.ruptures import notices as notices_of_ruptures
from apps.ruptures.models import RuptureEpisode, Screening
from apps.ruptures.repair import set_sharing
from apps.ruptures.services import acknowledge_episode, record_outcome
from apps.ruptures.transitions import note_waiting
from apps.therapy_sessions.models import TherapySession
from tests.conftest import signed_in
from tests.factories import TherapySessionFactory, TreatmentFactory
from tests.ruptures.test_screening import FALL, UNMARKED_FALL, add_rating, rated_now, screen_from

pytestmark = pytest.mark.django_db


def told(member: Membership) -> list[tuple[str, str]]:
    return sorted((each.said.text, each.said.url) for each in notices.unread(member))


@pytest.fixture
def treatment(alice: Membership, sam: Membership) -> Treatment:
    """A fall that was rated just now, screened as it came in; sam supervises alice."""
    treatment = TreatmentFactory.create(therapist=alice, pomps=FALL[:-1])
    session = TherapySessionFactory.create(treatment=treatment)
    screen_from(session)
    add_rating(session, 70)
    screen_from(session)
    return treatment


def test_a_marked_opening_is_told_to_therapist_and_supervisor_once(treatment, alice, sam):
    episode = treatment.episodes.get()
    assert episode.marked_at
    code = treatment.client.code
    page = f"/clients/{treatment.client_id}/"
    assert told(alice) == [
        (f"{code}: possible rupture, marked.", page),
        (f"{code}: possible rupture, worth asking about.", page),
    ]
    assert told(sam) == [
        (f"{code}: possible rupture, marked.", f"/supervision/{episode.id}/"),
    ]
    session = treatment.therapy_sessions.latest("starts_at")
    session.ratings.update(tension=3)
    screen_from(session)
    assert Notice.objects.count() == 3


def test_a_possible_one_is_the_therapists_until_it_has_waited(treatment, alice, sam):
    Notice.objects.filter(kind="episode_marked").delete()
    treatment.episodes.update(marked_at=None)
    assert told(sam) == []
    with time_machine.travel(timezone.now() + timedelta(hours=72), tick=False):
        note_waiting(alice.practice, at=timezone.now())
        note_waiting(alice.practice, at=timezone.now())
        assert [text for text, _ in told(sam)] == [
            f"{treatment.client.code}: possible rupture, waiting for its therapist."
        ]
    assert Notice.objects.filter(member=sam).count() == 1


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
        assert Notice.objects.filter(member=alice, kind="episode_opened").count() == 2
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


def test_no_correction_of_an_earlier_session_makes_a_mark_younger(treatment):
    last = treatment.therapy_sessions.latest("starts_at")
    last.ratings.update(tension=4)
    screen_from(last)
    marked_at = treatment.episodes.get().marked_at
    assert marked_at
    with time_machine.travel(timezone.now() + timedelta(days=9), tick=False):
        earlier = treatment.therapy_sessions.order_by("starts_at")[3]
        earlier.ratings.update(pomp=85)
        assert screen_from(earlier)
    assert treatment.episodes.get().marked_at == marked_at


def test_no_correction_begins_the_waiting_time_of_a_second_fall_anew(fell_again):
    before = fell_again.treatment.episodes.get()
    with time_machine.travel(timezone.now() + timedelta(hours=70), tick=False):
        fell_again.ratings.update(pomp=75)
        screen_from(fell_again)
    episode = fell_again.treatment.episodes.get()
    assert (episode.seen_at, episode.fell_again_at) == (None, before.fell_again_at)


def test_nor_does_one_to_and_fro(fell_again):
    before = fell_again.treatment.episodes.get()
    with time_machine.travel(timezone.now() + timedelta(hours=70), tick=False):
        for pomp in (90, 70):
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


@pytest.mark.parametrize("is_acknowledged", [True, False])
def test_a_second_fall_that_is_marked_is_told_anew_and_the_queue_says_since_when_it_waits(
    treatment, alice, sam, is_acknowledged
):
    first = treatment.episodes.get()
    with time_machine.travel(timezone.now() + timedelta(hours=1), tick=False) as clock:
        if is_acknowledged:
            acknowledge_episode(episode=first, by=alice)
        for pomp in (90, 90, 90):
            clock.shift(timedelta(days=7))
            screen_from(rated_now(treatment, pomp))
        Notice.objects.update(read_at=timezone.now())
        assert told(sam) == []
        clock.shift(timedelta(days=7))
        screen_from(rated_now(treatment, 70, tension=4))
        marked = f"{treatment.client.code}: possible rupture, marked."
        assert [text for text, _ in told(sam)] == [marked]
        assert marked in [text for text, _ in told(alice)]
        screen_from(treatment.therapy_sessions.latest("starts_at"))
        note_waiting(alice.practice, at=timezone.now())
        assert len(told(sam)) == 1, "once"
        again = treatment.episodes.get()
        assert again.id == first.id
        assert again.marked_at == (timezone.now() if is_acknowledged else first.marked_at)
        day = date_format(timezone.localdate(again.marked_at), "j M")
        page = signed_in(sam).get("/supervision/").content.decode()
        assert f"Marked on {day}" in page


def test_a_marked_fall_is_told_once_though_its_rating_came_later_and_it_was_acknowledged(
    treatment, alice, sam
):
    acknowledge_episode(episode=treatment.episodes.get(), by=alice)
    with time_machine.travel(timezone.now() + timedelta(hours=1), tick=False) as clock:
        for pomp in (90, 90, 90, 80):
            clock.shift(timedelta(days=7))
            screen_from(rated_now(treatment, pomp))
        Notice.objects.update(read_at=timezone.now())
        for _ in range(2):
            clock.shift(timedelta(days=7))
            TherapySessionFactory.create(treatment=treatment, attendance="no_show")
        clock.shift(timedelta(days=7))
        session = TherapySessionFactory.create(treatment=treatment, tension=4, tension_resolved=0)
        [logged] = screen_from(session)
        assert (logged.level, logged.event) == (3, "opened")
        clock.shift(timedelta(hours=3))
        add_rating(session, 0, tension=4)
        screen_from(session)
        assert len(told(sam)) == 1
        clock.shift(timedelta(hours=80))
        note_waiting(alice.practice, at=timezone.now())
        acknowledge_episode(episode=treatment.episodes.get(), by=alice)
        screen_from(rated_now(treatment, 10))
        assert len(told(sam)) == 1, "and not that it waits"


def test_what_a_correction_took_back_is_said_to_be_withdrawn_not_deleted(treatment, alice, sam):
    session = treatment.therapy_sessions.latest("starts_at")
    session.ratings.update(pomp=90)
    screen_from(session)
    assert treatment.episodes.get().outcome == RuptureEpisode.Outcome.SUPERSEDED
    assert {text for text, _ in told(alice)} == {
        f"{treatment.client.code}: a possible rupture was withdrawn after a correction."
    }
    said = "a possible rupture that you could see was withdrawn after a correction."
    assert told(sam) == [(f"{treatment.client.code}: {said}", "")]
    assert Notice.objects.count() == 4


@pytest.mark.parametrize("seen", ["shared", "waited", "marked"])
def test_what_a_correction_took_away_and_another_brings_back_is_the_same_and_told_anew(
    alice, sam, seen
):
    """Or who corrects twice has a flag that its supervisor could see to themselves."""
    treatment = TreatmentFactory.create(therapist=alice, pomps=FALL[:-1])
    session = TherapySessionFactory.create(treatment=treatment, tension=2, tension_resolved=0)
    add_rating(session, 70 if seen == "marked" else 80)
    screen_from(session)
    episode = treatment.episodes.get()
    assert bool(episode.marked_at) == (seen == "marked")
    set_sharing(episode=episode, share=seen == "shared", share_notes=False, by=alice)
    visible = RuptureEpisode.objects.for_supervisor(sam)
    with time_machine.travel(timezone.now() + timedelta(hours=80 * (seen == "waited"))):
        note_waiting(alice.practice, at=timezone.now())
        for said, shown_to_sam in (("withdrawn", False), ("possible rupture, ", True)) * 2:
            Notice.objects.filter(member=sam).update(read_at=timezone.now())
            session.attendance = "attended" if shown_to_sam else "no_show"
            session.save()
            screen_from(session)
            assert visible.filter(id=episode.id).exists() == shown_to_sam
            [(text, _url)] = told(sam)
            assert said in text
    assert treatment.episodes.get() == episode


def test_it_is_back_as_it_was_also_where_it_had_moved_to_a_neighbour_before(alice, sam):
    treatment = TreatmentFactory.create(therapist=alice, pomps=FALL[:-1])
    one, two = (
        TherapySessionFactory.create(treatment=treatment, tension=3, tension_resolved=0)
        for _ in range(2)
    )
    screen_from(one)
    screen_from(two)
    episode = treatment.episodes.get()
    assert episode.opened_by == one
    set_sharing(episode=episode, share=True, share_notes=False, by=alice)
    for session, attendance in ((one, "no_show"), (two, "no_show"), (one, "attended")):
        session.attendance = attendance
        session.save()
        screen_from(session)
    assert treatment.episodes.get() == episode
    episode.refresh_from_db()
    assert (episode.outcome, episode.opened_by) == ("", one)
    assert RuptureEpisode.objects.for_supervisor(sam).get() == episode


def test_what_opened_meanwhile_is_shown_as_what_it_takes_the_place_of_was(alice, sam):
    treatment = TreatmentFactory.create(therapist=alice, pomps=FALL[:-1])
    one = TherapySessionFactory.create(treatment=treatment, tension=3, tension_resolved=0)
    screen_from(one)
    set_sharing(episode=treatment.episodes.get(), share=True, share_notes=False, by=alice)
    one.attendance = "no_show"
    one.save()
    screen_from(one)
    two = TherapySessionFactory.create(
        treatment=treatment, tension=3, tension_resolved=0, logged_at=timezone.now()
    )
    screen_from(two)
    assert not RuptureEpisode.objects.for_supervisor(sam).exists()
    one.attendance = "attended"
    one.save()
    screen_from(one)
    episode = RuptureEpisode.objects.for_supervisor(sam).get()
    assert episode.opened_by == one
    assert episode.shared_at


def test_a_mark_that_a_correction_took_away_is_told_to_who_saw_it(treatment, alice, sam):
    session = treatment.therapy_sessions.latest("starts_at")
    for times in (1, 2):
        session.ratings.update(pomp=80)
        session.tension = 3
        session.save()
        screen_from(session)
        episode = treatment.episodes.get()
        assert (episode.outcome, episode.marked_at) == ("", None)
        assert ["was taken back: it is no longer marked" in text for text, _ in told(sam)] == [
            True
        ] * times
        session.ratings.update(pomp=70)
        screen_from(session)
        assert treatment.episodes.get().marked_at
        said = [text.endswith("possible rupture, marked.") for text, _ in told(sam)]
        assert said == [True] * (times + 1), "it is there again, and told anew"


def test_what_is_shared_no_more_is_told_each_time_to_who_saw_it(treatment, alice, sam):
    treatment.episodes.update(marked_at=None)
    Notice.objects.all().delete()
    episode = treatment.episodes.get()
    for times in (1, 2):
        set_sharing(episode=episode, share=True, share_notes=True, by=alice)
        set_sharing(episode=episode, share=True, share_notes=False, by=alice)
        assert told(sam) == []
        set_sharing(episode=episode, share=False, share_notes=False, by=alice)
        assert ["no longer shared" in text for text, _ in told(sam)] == [True] * times
    assert told(alice) == []


def test_what_has_waited_is_told_also_where_nobody_has_noted_that_yet(treatment, alice, sam):
    treatment.episodes.update(marked_at=None)
    Notice.objects.all().delete()
    episode = treatment.episodes.get()
    with time_machine.travel(episode.opened_at + timedelta(hours=72), tick=False):
        assert RuptureEpisode.objects.for_supervisor(sam).exists()
        record_outcome(
            episode=episode, outcome=episode.Outcome.NOT_A_RUPTURE, reason="A slip.", by=alice
        )
        assert ["recorded as “Not a rupture”" in text for text, _ in told(sam)] == [True]


def test_of_what_was_the_therapists_alone_a_correction_tells_nobody_else(treatment, alice, sam):
    treatment.episodes.update(marked_at=None)
    Notice.objects.all().delete()
    session = treatment.therapy_sessions.latest("starts_at")
    session.ratings.update(pomp=90)
    screen_from(session)
    assert treatment.episodes.get().outcome == RuptureEpisode.Outcome.SUPERSEDED
    assert told(sam) == []


def test_what_has_ended_is_not_spoken_of_any_more(treatment, alice):
    episode = treatment.episodes.get()
    record_outcome(episode=episode, outcome=episode.Outcome.REPAIRED, by=alice)
    assert told(alice) == []


def test_how_a_flag_ended_with_its_treatment_is_told_to_who_saw_it(treatment, alice, sam):
    treatment.ends_on = timezone.localdate()
    treatment.save()
    episode = treatment.episodes.get()
    record_outcome(episode=episode, outcome=episode.Outcome.ENDED_UNREPAIRED, by=alice)
    assert ["was recorded as “Ended unrepaired”" in text for text, _ in told(sam)] == [True]


def test_a_colleague_is_told_nothing(treatment, charlie):
    assert told(charlie) == []


def test_of_history_nobody_is_told(alice):
    TreatmentFactory.create(therapist=alice, falling=True)
    assert not Notice.objects.exists()
