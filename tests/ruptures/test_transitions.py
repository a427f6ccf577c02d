"""What time alone does to an open episode, with the clock standing still."""

from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import time_machine
from celery.exceptions import SoftTimeLimitExceeded
from django.test import Client as Browser

from apps.accounts import notices
from apps.accounts.models import Membership
from apps.accounts.services import change_practice
from apps.clients.models import Treatment
from apps.core import tenancy
from apps.core.models import AuditEntry
from apps.core.tenancy import one_of_many
from apps.endings.services import hand_over
from apps.exchange import rights
from apps.ruptures import transitions
from apps.ruptures.models import RuptureEpisode
from apps.ruptures.notices import seers
from apps.ruptures.services import acknowledge_episode, share_episode
from apps.ruptures.tasks import move_episodes_on
from tests.conftest import work_in
from tests.factories import MembershipFactory, TherapySessionFactory, TreatmentFactory
from tests.ruptures.test_screening import add_rating, screen_from

pytestmark = pytest.mark.django_db
OPENED = datetime(2026, 11, 19, 13, tzinfo=ZoneInfo("Europe/London"))
Outcome = RuptureEpisode.Outcome


def at(moment: datetime) -> Any:
    return time_machine.travel(moment, tick=False)


@pytest.fixture
def treatment(alice: Membership) -> Treatment:
    """The fall was rated on the 18th; what was possible, not marked, opened at OPENED."""
    with at(OPENED):
        treatment = TreatmentFactory.create(therapist=alice, falling=True)
        treatment.episodes.update(opened_at=OPENED, marked_at=None)
    return treatment


def episode_at(moment: datetime, treatment: Treatment) -> RuptureEpisode:
    """The episode after the beat came by at `moment`, twice."""
    with at(moment):
        move_episodes_on()
        move_episodes_on()
    work_in(treatment.practice_id)
    return treatment.episodes.get()


def seen_by(sam: Membership, moment: datetime) -> bool:
    with at(moment):
        return RuptureEpisode.objects.for_supervisor(sam).exists()


class TestWaiting:
    def test_a_possible_rupture_is_the_therapists_until_it_has_waited(self, treatment, sam):
        just_before = OPENED + timedelta(hours=72, seconds=-1)
        assert not episode_at(just_before, treatment).waited_at
        assert not seen_by(sam, just_before)

    def test_then_the_supervisor_is_let_in_once(self, treatment, sam):
        reached = OPENED + timedelta(hours=72)
        assert episode_at(reached, treatment).waited_at == reached
        episode_at(reached + timedelta(hours=5), treatment)
        entry = AuditEntry.objects.get(action="let supervisor see episode")
        assert (entry.actor_id, entry.object_id) == (None, treatment.episodes.get().id)
        assert seen_by(sam, reached)

    @pytest.mark.parametrize(("minutes", "is_told"), [(-2, False), (2, True)])
    def test_what_had_not_waited_as_the_client_was_handed_over_is_nobodys(
        self, treatment, alice, charlie, mona, sam, minutes, is_told
    ):
        """Though the beat comes by later; what had is told of as it goes."""
        moment = OPENED + timedelta(hours=72, minutes=minutes)
        with at(moment):
            hand_over([treatment], to=charlie, by=mona)
        later = moment + timedelta(minutes=4)
        ended = episode_at(later, treatment)
        assert (bool(ended.waited_at), ended.outcome) == (is_told, Outcome.ENDED_UNREPAIRED)
        with at(later):
            said = [each.said.text for each in notices.unread(sam)]
        assert any("that you could see" in each for each in said) is is_told

    def test_nobody_waits_for_the_beat(self, treatment, sam):
        assert seen_by(sam, OPENED + timedelta(hours=72))

    def test_a_late_acknowledgement_hides_nothing(self, treatment, alice, sam):
        late = OPENED + timedelta(hours=80)
        with at(late):
            acknowledge_episode(episode=treatment.episodes.get(), by=alice)
        assert seen_by(sam, late + timedelta(days=1))
        episode = treatment.episodes.get()
        assert (episode.waited_at, episode.acknowledged_at) == (late, late)

    def test_acknowledged_in_time_it_stays_with_the_therapist(self, treatment, alice, sam):
        with at(OPENED + timedelta(hours=71)):
            acknowledge_episode(episode=treatment.episodes.get(), by=alice)
        later = OPENED + timedelta(days=20)
        assert not episode_at(later, treatment).waited_at
        assert not seen_by(sam, later)

    @pytest.mark.parametrize("hours", [1, 336])
    def test_the_practice_decides_how_long_for_what_opens_from_then_on(
        self, treatment, alice, sam, hours
    ):
        change_practice(
            practice=treatment.practice, name="Ruth", phone="020 7946 0018", email="",
            most_requests_in_30_days=5, supervisor_wait_hours=hours, by=alice,
        )  # fmt: skip
        reached = OPENED + timedelta(hours=72)
        just_before = reached - timedelta(seconds=1)
        assert not episode_at(just_before, treatment).waited_at
        assert not seen_by(sam, just_before)
        assert seen_by(sam, reached)
        assert episode_at(reached, treatment).waited_at
        with at(OPENED):
            later = TreatmentFactory.create(therapist=alice, falling=True)
        reached = later.episodes.get().opened_at + timedelta(hours=hours)
        assert not episode_at(reached - timedelta(seconds=1), later).waited_at
        assert episode_at(reached, later).waited_at

    def test_shared_or_marked_is_seen_at_once(self, treatment, alice, sam):
        assert not seen_by(sam, OPENED)
        with at(OPENED):
            share_episode(episode=treatment.episodes.get(), by=alice)
        assert seen_by(sam, OPENED)
        treatment.episodes.update(shared_at=None, marked_at=OPENED)
        assert seen_by(sam, OPENED)

    def test_watch_is_never_the_supervisors(self, treatment, sam):
        treatment.episodes.all().delete()
        assert not seen_by(sam, OPENED + timedelta(days=30))

    def test_another_practice_is_moved_on_by_its_own_clock(self, treatment, dora):
        work_in(dora.practice_id)
        with at(OPENED):
            other = TreatmentFactory.create(
                therapist=MembershipFactory.create(practice=dora.practice), falling=True
            )
        episode_at(OPENED + timedelta(days=4), treatment)
        work_in(dora.practice_id)
        assert other.episodes.get().waited_at

    @pytest.mark.parametrize("first", [True, False])
    def test_what_fails_in_one_practice_stops_no_other_and_nothing_else_there(
        self, treatment, dora, monkeypatch, first
    ):
        """Whichever comes first: where ends cannot be noted, waiting times are."""
        monkeypatch.setattr(tenancy, "one_of_many", one_of_many)
        work_in(dora.practice_id)
        with at(OPENED):
            TreatmentFactory.create(
                therapist=MembershipFactory.create(practice=dora.practice), falling=True
            )
        done = []

        def end(practice, **_: object) -> None:
            done.append(practice.id)
            if (len(done) == 1) is first:
                raise ZeroDivisionError

        monkeypatch.setattr(transitions, "end_unrepaired", end)
        with at(OPENED + timedelta(days=4)):
            move_episodes_on()
        assert set(done) == {treatment.practice_id, dora.practice_id}
        for practice_id in done:
            work_in(practice_id)
            assert RuptureEpisode.objects.get(practice=practice_id).waited_at

    def test_the_end_of_a_tasks_time_ends_it_for_all(self, treatment, monkeypatch):
        monkeypatch.setattr(tenancy, "one_of_many", one_of_many)

        def late(*_: object, **__: object) -> None:
            raise SoftTimeLimitExceeded

        monkeypatch.setattr(transitions, "note_waiting", late)
        with pytest.raises(SoftTimeLimitExceeded):
            move_episodes_on()


class TestEnds:
    def test_sixty_days_without_an_attended_session_end_it_unrepaired(self, treatment, as_alice):
        episode = treatment.episodes.get()
        last_seen = max(episode.opened_at, episode.opened_by.starts_at)
        assert not episode_at(last_seen + timedelta(days=60, seconds=-1), treatment).outcome
        ended = episode_at(last_seen + timedelta(days=60), treatment)
        assert ended.outcome == Outcome.ENDED_UNREPAIRED
        assert ended.outcome_reason == "No attended session for 60 days."
        assert AuditEntry.objects.filter(action="record outcome", actor_id=None).count() == 1

    def test_supervisors_who_could_see_it_are_told_how_it_ended(self, treatment, sam):
        share_episode(episode=treatment.episodes.get(), by=treatment.therapist)
        later = OPENED + timedelta(days=61)
        episode_at(later, treatment)
        with at(later):
            said = [each.said.text for each in notices.unread(sam)]
        assert ["recorded as “Ended unrepaired”" in text for text in said] == [True]

    def test_who_comes_back_and_falls_again_is_flagged_anew(self, treatment):
        with at(OPENED + timedelta(days=61)):
            move_episodes_on()
            work_in(treatment.practice_id)
            assert treatment.episodes.get().outcome == Outcome.ENDED_UNREPAIRED
        with at(OPENED + timedelta(days=70)):
            session = TherapySessionFactory.create(treatment=treatment)
            add_rating(session, 0, tension=4)
            screen_from(session)
            anew = RuptureEpisode.objects.open().get(treatment=treatment)
        assert (anew.opened_by, bool(anew.marked_at)) == (session, True)

    def test_whoever_came_since_keeps_it_open(self, treatment):
        TherapySessionFactory.create(treatment=treatment, starts_at=OPENED + timedelta(days=30))
        assert not episode_at(OPENED + timedelta(days=70), treatment).outcome

    def test_a_no_show_is_no_attended_session(self, treatment):
        TherapySessionFactory.create(
            treatment=treatment, starts_at=OPENED + timedelta(days=30), attendance="no_show"
        )
        assert episode_at(OPENED + timedelta(days=60), treatment).outcome

    def test_a_session_logged_very_late_gives_its_episode_time(self, treatment):
        """What opened today is not over today, however old the session is."""
        logged = OPENED + timedelta(days=90)
        treatment.episodes.update(opened_at=logged)
        assert not episode_at(logged, treatment).outcome

    def test_a_treatment_that_is_over_ends_it_on_its_last_day(self, treatment):
        last_day = OPENED + timedelta(days=3)
        Treatment.objects.update(ends_on=last_day.date())
        assert not episode_at(last_day - timedelta(days=1), treatment).outcome
        ended = episode_at(last_day, treatment)
        assert ended.outcome == Outcome.ENDED_UNREPAIRED
        assert ended.outcome_reason == "The treatment ended."

    def test_that_ratings_were_back_is_said_but_only_a_person_says_repaired(self, treatment):
        treatment.episodes.update(recovering_since=OPENED)
        ended = episode_at(OPENED + timedelta(days=61), treatment)
        assert ended.outcome == Outcome.ENDED_UNREPAIRED
        assert "It was recovering" in ended.outcome_reason


def test_the_therapist_reads_that_it_waited_though_they_have_acknowledged_it(
    treatment: Treatment, sam: Membership, as_alice: Browser, alice: Membership
) -> None:
    with at(OPENED + timedelta(hours=80)):
        acknowledge_episode(episode=treatment.episodes.get(), by=alice)
    page = as_alice.get(f"/clients/{treatment.client_id}/").content.decode()
    assert "It waited 72 hours unacknowledged, so Sam sees it too:" in page


class TestWhileRestricted:
    LATER = OPENED + timedelta(days=70)

    def restrict(self, treatment: Treatment, moment: datetime, by: Membership) -> None:
        with at(moment):
            rights.restrict(client=treatment.client, by=by)

    def test_time_lets_no_supervisor_in_and_ends_nothing_until_it_is_lifted(
        self, treatment, alice, sam
    ):
        self.restrict(treatment, OPENED + timedelta(hours=71), by=alice)
        for moment in (OPENED + timedelta(days=5), self.LATER):
            episode = episode_at(moment, treatment)
            assert (episode.waited_at, episode.outcome) == (None, "")
            assert not seen_by(sam, moment)
            with at(moment):
                assert not seers(episode)
                assert not notices.unread(sam)
        with at(self.LATER):
            rights.lift_restriction(client=treatment.client, by=alice)
        assert seen_by(sam, self.LATER)
        assert episode_at(self.LATER, treatment).outcome == Outcome.ENDED_UNREPAIRED

    def test_acknowledged_late_it_is_told_to_nobody(self, treatment, alice, sam):
        self.restrict(treatment, OPENED, by=alice)
        with at(OPENED + timedelta(days=5)):
            acknowledge_episode(episode=treatment.episodes.get(), by=alice)
            assert not notices.unread(sam)
            assert not RuptureEpisode.objects.for_supervisor(sam).exists()

    def test_what_the_supervisor_saw_before_they_go_on_seeing(self, treatment, alice, sam):
        """Also where no beat had noted it by then."""
        moment = OPENED + timedelta(hours=72)
        self.restrict(treatment, moment, by=alice)
        assert seen_by(sam, self.LATER)
        assert treatment.episodes.get().waited_at == moment

    def test_restricting_one_clients_notes_nothing_of_anothers(self, treatment, alice, charlie):
        """Or *Who looked* would tell at which moment somebody restricted another's."""
        other = TreatmentFactory.create(therapist=charlie, falling=True)
        other.episodes.update(opened_at=OPENED)
        self.restrict(treatment, OPENED + timedelta(hours=73), by=alice)
        assert other.episodes.get().waited_at is None

    @pytest.mark.parametrize("could_see", [True, False])
    def test_an_end_of_the_treatment_is_told_to_who_could_see_it(
        self, treatment, alice, sam, could_see
    ):
        self.restrict(treatment, OPENED + timedelta(days=5 * could_see), by=alice)
        Treatment.objects.update(ends_on=self.LATER.date())
        assert episode_at(self.LATER, treatment).outcome == Outcome.ENDED_UNREPAIRED
        with at(self.LATER):
            said = [each.said.text for each in notices.unread(sam)]
        assert any("that you could see" in each for each in said) is could_see

    def test_the_therapists_page_says_who_sees_it(self, treatment, alice, as_alice, sam):
        self.restrict(treatment, OPENED, by=alice)
        with at(OPENED + timedelta(minutes=5)):
            page = as_alice.get(f"/clients/{treatment.client_id}/").content.decode()
        assert "Only you see it while processing is restricted." in page
