"""What a practice can learn from: counts with intervals, and nobody's."""

from collections.abc import Callable, Iterable
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection
from django.http import HttpResponse
from django.test import Client as Browser
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from apps.accounts.models import Membership
from apps.clients.models import Treatment
from apps.dashboard.selectors.practice_overview import Figure, Quarter, practice_overview
from apps.ruptures.models import RepairStep, RuptureEpisode, Screening
from apps.ruptures.repair import Sheet, StepEntry, save_worksheet
from apps.ruptures.services import record_outcome
from tests.dashboard.conftest import _copied
from tests.factories import TreatmentFactory

pytestmark = pytest.mark.django_db
URL = "/practice/overview/"
TODAY = date(2026, 11, 19)
SUMMER = datetime(2026, 8, 12, 10, tzinfo=UTC)
Words = Callable[[HttpResponse], str]
Outcome = RuptureEpisode.Outcome


@pytest.fixture
def in_summer(alice: Membership, charlie: Membership) -> Callable[..., list[RuptureEpisode]]:
    """Treatments of alice and charlie in turn, each with an episode that opened in August 2026.

    Of their nine rated sessions the last was in that quarter's August, one each.
    """

    def in_summer(count: int, therapists: Iterable[Membership] = ()) -> list[RuptureEpisode]:
        whose = list(therapists) or [alice, charlie]
        first = TreatmentFactory.create(therapist=whose[0], falling=True)
        screening = first.screenings.get(event="opened")
        session = screening.therapy_session
        episodes = []
        for n in range(count):
            client = _copied(first.client, code=f"X-{uuid4().hex[:8]}")
            client.save()
            treatment = _copied(first, client=client, therapist=whose[n % len(whose)])
            treatment.save()
            held = _copied(session, treatment=treatment, starts_at=SUMMER, asked=True)
            held.save()
            _copied(screening, treatment=treatment, therapy_session=held).save()
            episode = _copied(
                first.episodes.get(), treatment=treatment, opened_by=held, opened_at=SUMMER
            )
            episode.save()
            episodes.append(episode)
        RuptureEpisode.objects.filter(treatment=first).delete()
        Screening.objects.filter(treatment=first).delete()
        return episodes

    return in_summer


def summer(viewer: Membership) -> Quarter:
    with timezone.override("Europe/London"):
        return practice_overview(viewer, today=TODAY)[0]


def talk(episode: RuptureEpisode, *, after_days: int) -> None:
    done_on = SUMMER.date() + timedelta(days=after_days)
    sheet = Sheet(steps={RepairStep.OPEN: StepEntry(done_on=done_on)})
    save_worksheet(episode=episode, sheet=sheet, opened_version=0, by=episode.treatment.therapist)


def end(episode: RuptureEpisode, outcome: str) -> None:
    at = SUMMER + timedelta(days=21)
    record_outcome(episode=episode, outcome=Outcome(outcome), reason="A slip.", at=at, by=None)


def test_only_the_manager_may_look(as_alice: Browser, as_sam: Browser, as_mona: Browser) -> None:
    assert as_alice.get(URL).status_code == 403
    assert as_sam.get(URL).status_code == 403
    assert as_mona.get(URL).status_code == 200
    assert as_mona.post(URL).status_code == 405
    assert f'href="{URL}"' in as_mona.get("/practice/").content.decode()


def test_each_figure_stands_with_its_counts_and_what_else_they_fit(
    in_summer: Any, mona: Membership, as_mona: Browser, words: Words
) -> None:
    episodes = in_summer(12)
    Screening.objects.filter(treatment=episodes[0].treatment).update(pomp=None)
    for n, episode in enumerate(episodes[:9]):
        talk(episode, after_days=n)
    talk(episodes[9], after_days=15)
    for episode in episodes[:8]:
        end(episode, Outcome.REPAIRED)
    for outcome, episode in zip(
        (Outcome.SETTLED_LOWER, Outcome.MOVED, Outcome.NOT_A_RUPTURE, Outcome.SUPERSEDED),
        episodes[8:],
        strict=True,
    ):
        end(episode, outcome)
    assert summer(mona) == Quarter(
        name="Jul–Sep 2026",
        answered=Figure("92 in 100", "11 of 12", "65 to 99"),
        openings=Figure("100.0 in 100", "11 in 11", "49.9 to 178.9"),
        talked_about=Figure("5 days", "9 of 11 in two weeks", "1 day to over two weeks"),
        repaired=Figure("80 in 100", "8 of 10", "49 to 94"),
    )
    page = words(as_mona.get(URL))
    assert "Jul–Sep 2026 Forms answered 92 in 100 11 of 12 fits 65 to 99" in page
    for hidden in ("Alice", "Charlie", *(each.treatment.client.code for each in episodes)):
        assert hidden not in page


def test_below_ten_clients_nothing_is_shown_however_many_the_sessions(
    in_summer: Any, mona: Membership, as_mona: Browser, words: Words
) -> None:
    episodes = in_summer(10)
    Treatment.objects.filter(id=episodes[0].treatment_id).update(
        client=episodes[1].treatment.client,
        follows=episodes[1].treatment,
        ends_on=timezone.localdate(),
    )
    for episode in episodes:
        end(episode, Outcome.REPAIRED)
    quarter = summer(mona)
    assert {quarter.answered, quarter.openings, quarter.talked_about, quarter.repaired} == {
        Figure()
    }
    assert "10" not in words(as_mona.get(URL)).split("Jul–Sep 2026")[1].split("Apr–Jun")[0]


def test_what_is_one_colleagues_alone_is_not_shown_to_anybody_else(
    in_summer: Any, alice: Membership, charlie: Membership, mona: Membership
) -> None:
    in_summer(12, [alice])
    assert summer(mona).answered == Figure()
    # In a practice of one, manager and therapist are the same person.
    assert summer(alice).answered.counts == "12 of 12"
    # Who knows their own share of a sum of two knows the other's.
    in_summer(12, [charlie])
    assert summer(mona).answered.counts == "24 of 24"
    assert summer(alice).answered == Figure()


def test_what_is_all_but_two_clients_one_colleagues_is_not_shown(
    in_summer: Any, alice: Membership, charlie: Membership, mona: Membership
) -> None:
    for episode in in_summer(20, [alice]) + in_summer(2, [charlie]):
        end(episode, Outcome.REPAIRED)
    quarter = summer(mona)
    assert {quarter.answered, quarter.openings, quarter.talked_about, quarter.repaired} == {
        Figure()
    }
    for episode in in_summer(1, [charlie]):
        end(episode, Outcome.REPAIRED)
    quarter = summer(mona)
    assert {quarter.answered.counts, quarter.repaired.counts} == {"23 of 23"}
    assert quarter.talked_about.counts == "0 of 23 in two weeks"


def test_quarters_do_not_overlap_and_come_once_they_are_two_weeks_over(mona: Membership) -> None:
    def names(today: date) -> list[str]:
        return [quarter.name for quarter in practice_overview(mona, today=today)]

    before = names(date(2027, 1, 14))
    assert before == ["Jul–Sep 2026", "Apr–Jun 2026", "Jan–Mar 2026", "Oct–Dec 2025"]
    assert names(date(2027, 1, 15)) == ["Oct–Dec 2026", *before[:3]]


def test_a_quarter_that_is_over_does_not_change_with_what_happens_later(
    in_summer: Any, mona: Membership, alice: Membership
) -> None:
    episodes = in_summer(11)
    before = summer(mona)
    talk(episodes[0], after_days=60)
    end(episodes[0], Outcome.REPAIRED)
    RuptureEpisode.objects.filter(id=episodes[0].id).update(
        outcome_at=datetime(2026, 11, 1, tzinfo=UTC)
    )
    TreatmentFactory.create(therapist=alice, pomps=[80, 80])
    assert summer(mona) == before


def test_a_quarter_begins_at_the_practices_midnight(in_summer: Any, mona: Membership) -> None:
    episodes = in_summer(11)
    # 00:30 on 1 July in London.
    RuptureEpisode.objects.filter(id=episodes[0].id).update(
        opened_at=datetime(2026, 6, 30, 23, 30, tzinfo=UTC)
    )
    assert summer(mona).openings.counts == "11 in 11"
    RuptureEpisode.objects.filter(id=episodes[0].id).update(
        opened_at=datetime(2026, 6, 30, 22, 30, tzinfo=UTC)
    )
    assert summer(mona).openings.counts == "10 in 11"


def test_more_clients_cost_as_many_queries(
    in_summer: Any, as_mona: Browser, django_assert_num_queries: Any
) -> None:
    in_summer(2)
    with CaptureQueriesContext(connection) as few:
        as_mona.get(URL)
    in_summer(20)
    with django_assert_num_queries(len(few)):
        as_mona.get(URL)
