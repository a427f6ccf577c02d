"""Who is told what about an episode in the app, each once."""

from datetime import timedelta

import pytest
import time_machine
from django.db.models import F
from django.utils import timezone
from django.utils.formats import date_format

from apps.accounts import notices
from apps.accounts.models import Membership, Notice, Role
from apps.clients.models import Treatment
from apps.feedback.services import practice_questionnaire, record_from_paper
from apps.ruptures.models import RuptureEpisode
from apps.ruptures.notices import gone_from
from apps.ruptures.repair import set_sharing
from apps.ruptures.services import acknowledge_episode, record_outcome
from apps.ruptures.transitions import end_unrepaired, note_waiting
from tests.conftest import signed_in
from tests.factories import (
    MembershipFactory,
    SupervisionFactory,
    TherapySessionFactory,
    TreatmentFactory,
)
from tests.ruptures.test_screening import (
    FALL,
    UNMARKED_FALL,
    add_rating,
    rated_now,
    screen_from,
    weeks,
)

pytestmark = pytest.mark.django_db


def told(member: Membership) -> list[tuple[str, str]]:
    return sorted((each.said.text, each.said.url) for each in notices.unread(member))


def noted(sam: Membership) -> list[tuple[str, str]]:
    told_so_far = Notice.objects.filter(member=sam).order_by("created_at", "id")
    return list(told_so_far.values_list("kind", "mark"))


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


def test_a_possible_one_is_the_therapists_until_it_has_waited(alice, sam):
    treatment = TreatmentFactory.create(therapist=alice, pomps=UNMARKED_FALL)
    assert told(sam) == []
    with time_machine.travel(timezone.now() + timedelta(hours=72), tick=False):
        note_waiting(alice.practice, at=timezone.now())
        note_waiting(alice.practice, at=timezone.now())
        assert [text for text, _ in told(sam)] == [
            f"{treatment.client.code}: possible rupture, waiting for its therapist."
        ]
    assert Notice.objects.filter(member=sam).count() == 1


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


@pytest.mark.parametrize("is_acknowledged", [True, False])
def test_a_second_fall_that_is_marked_is_told_anew_and_the_queue_says_since_when_it_waits(
    treatment, alice, sam, is_acknowledged
):
    first = treatment.episodes.get()
    with time_machine.travel(timezone.now() + timedelta(hours=1), tick=False) as clock:
        if is_acknowledged:
            acknowledge_episode(episode=first, by=alice)
        weeks(clock, treatment, 90, 90, 90)
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
        weeks(clock, treatment, 90, 90, 90, 80)
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


@pytest.mark.parametrize("by_a_correction", [False, True])
def test_what_becomes_of_a_flag_that_is_shared_no_more_is_told_to_nobody(
    treatment, alice, sam, by_a_correction
):
    treatment.episodes.update(marked_at=None)
    Notice.objects.all().delete()
    episode = treatment.episodes.get()
    set_sharing(episode=episode, share=True, share_notes=False, by=alice)
    set_sharing(episode=episode, share=False, share_notes=False, by=alice)
    before = told(sam)
    if by_a_correction:
        session = treatment.therapy_sessions.latest("starts_at")
        session.ratings.update(pomp=90)
        screen_from(session)
    else:
        record_outcome(episode=episode, outcome=episode.Outcome.REPAIRED, by=alice)
    assert treatment.episodes.get().outcome == ("superseded" if by_a_correction else "repaired")
    assert ["no longer shared" in text for text, _ in before] == [True]
    assert told(sam) == before


def test_how_a_flag_ended_that_was_shared_again_is_told(treatment, alice, sam):
    treatment.episodes.update(marked_at=None)
    episode = treatment.episodes.get()
    for share in (True, False, True):
        set_sharing(episode=episode, share=share, share_notes=False, by=alice)
    Notice.objects.filter(member=sam).update(read_at=timezone.now())
    record_outcome(episode=episode, outcome=episode.Outcome.REPAIRED, by=alice)
    assert ["recorded as “Repaired and continuing”" in text for text, _ in told(sam)] == [True]


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


def test_paper_that_is_entered_as_the_treatment_ends_opens_history_that_nobody_is_told_of(
    alice, sam
):
    treatment = TreatmentFactory.create(therapist=alice, pomps=FALL[:-1])
    two_days_ago = timezone.now() - timedelta(days=2)
    treatment.therapy_sessions.update(starts_at=F("starts_at") - timedelta(days=7))
    session = TherapySessionFactory.create(treatment=treatment, starts_at=two_days_ago)
    treatment.ends_on = timezone.localdate()
    treatment.save()
    questionnaire = practice_questionnaire(alice.practice)
    record_from_paper(
        therapy_session=session,
        questionnaire=questionnaire,
        answers=dict.fromkeys([item["id"] for item in questionnaire.items], 0),
        answered_at=two_days_ago + timedelta(hours=2),
        by=alice,
    )
    assert treatment.episodes.get().outcome == RuptureEpisode.Outcome.ENDED_UNREPAIRED
    assert not Notice.objects.exists()


def test_of_a_flag_that_ends_with_its_treatment_those_who_supervised_by_then_alone_are_told(
    treatment, alice, sam
):
    dora = MembershipFactory.create(practice=alice.practice, roles=[Role.SUPERVISOR])
    today = timezone.localdate()
    treatment.ends_on = today
    treatment.save()
    with time_machine.travel(timezone.now() + timedelta(days=1)):
        SupervisionFactory.create(
            supervisor=dora, supervisee=alice, starts_on=today + timedelta(days=1)
        )
        end_unrepaired(alice.practice, at=timezone.now())
        [(text, _)] = told(sam)
        assert "was recorded as “Ended unrepaired”" in text
        assert told(dora) == []
        since = timezone.now() - timedelta(days=1)
        assert [gone_from(each, since=since).count() for each in (sam, dora)] == [1, 0]
