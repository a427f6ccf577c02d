"""The manager's page about alert load and rule changes."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.http import HttpResponse
from django.test import Client as Browser
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from apps.accounts.models import Membership, Practice
from apps.core.models import AuditEntry
from apps.dashboard import rule_views
from apps.dashboard.bars import bar_chart
from apps.dashboard.selectors import practice as practice_selector
from apps.dashboard.selectors.alert_load import AlertLoad, Budget, alert_load
from apps.ruptures.detection import RULE_VERSION, SLIDER
from apps.ruptures.models import RuleChange, RuptureEpisode
from apps.ruptures.rules import propose_change, rule_in_force
from apps.ruptures.services import record_outcome
from apps.ruptures.tasks import replay_rule_change
from tests.conftest import work_in
from tests.factories import PASSWORD, TreatmentFactory

pytestmark = pytest.mark.django_db
URL = "/practice/rules/"
DECIDE, NORMS = f"{URL}decide/", f"{URL}norms/"
BLIND = replace(SLIDER, mean_first=84.0, possible=0.999, marked=0.9999)

Words = Callable[[HttpResponse], str]


@pytest.fixture
def falling(alice: Membership) -> Any:
    return TreatmentFactory.create(therapist=alice, falling=True)


@pytest.fixture
def replayed(falling: Any, mona: Membership) -> RuleChange:
    change = propose_change(
        practice=mona.practice, detection_form="slider", parameters=BLIND, by=mona
    )
    work_in(None)
    replay_rule_change(str(mona.practice_id), str(change.id))
    work_in(mona.practice_id)
    return change


def decide(browser: Browser, change: RuleChange, decision: str, reason: str = "") -> Any:
    browser.post("/sign-in/again/", {"password": PASSWORD})
    sent = {"change": change.id, "decision": decision, "reason": reason}
    return browser.post(DECIDE, sent)


def test_only_the_manager_may_look_or_decide(
    as_alice: Browser, as_sam: Browser, as_mona: Browser
) -> None:
    for browser in (as_alice, as_sam):
        assert browser.get(URL).status_code == 403
        assert browser.post(NORMS).status_code == 403
        assert browser.post(DECIDE).status_code == 403
    assert as_mona.get(URL).status_code == 200
    assert as_mona.post(URL).status_code == 405
    assert as_mona.get(DECIDE).status_code == 405
    assert as_mona.get(NORMS).status_code == 405


def test_the_practice_page_leads_there(as_mona: Browser) -> None:
    assert f'href="{URL}"' in as_mona.get("/practice/").content.decode()


def test_counts_are_there_and_neither_clients_nor_therapists(
    replayed: RuleChange, falling: Any, as_mona: Browser, words: Words
) -> None:
    page = words(as_mona.get(URL))
    assert "Rated sessions screened 9 9 9" in page
    assert "Episodes opened 1 0 0 of these, marked 1 0 0" in page
    assert "0 openings are new, 1 would be lost." in page
    assert "Mean of first ratings 87 → 84" in page
    assert f"In use: {RULE_VERSION}." in page
    for hidden in (falling.client.code, falling.client.initials, "Alice Moreau"):
        assert hidden not in page


def test_rates_are_shown_from_ten_clients_on_and_never_one_colleagues(
    replayed: RuleChange, alice: Membership, charlie: Membership, as_mona: Browser, words: Words
) -> None:
    def shows_rates() -> bool:
        page = words(as_mona.get(URL))
        rates = "Openings in 100 rated", "in a therapist’s week", "in 100 rated sessions 11.1"
        [shown] = {rate in page for rate in rates}
        return shown

    assert "1 Openings 9 Rated sessions" in words(as_mona.get(URL))
    for therapist, clients, may_show in (
        (alice, 9, False),
        (charlie, 2, False),
        (charlie, 1, True),
    ):
        for _ in range(clients):
            TreatmentFactory.create(therapist=therapist, pomps=[90])
        assert shows_rates() == may_show


def test_a_replay_on_its_way_says_how_far_it_is(
    mona: Membership, as_mona: Browser, words: Words
) -> None:
    change = propose_change(
        practice=mona.practice, detection_form="slider", parameters=BLIND, by=mona
    )
    RuleChange.objects.update(progress=40)
    page = words(as_mona.get(URL))
    assert f"Replaying {change.version} 40 of 100 parts are done." in page
    decide(as_mona, change, "confirmed", "Quick.")
    assert rule_in_force(mona.practice_id, "slider").version == RULE_VERSION


def test_to_use_it_takes_a_reason_and_is_dated_and_noted(
    replayed: RuleChange, as_mona: Browser, mona: Membership, words: Words
) -> None:
    page = words(decide(as_mona, replayed, "confirmed"))
    assert "Say in a few words why the rule should change." in page
    assert rule_in_force(mona.practice_id, "slider").version == RULE_VERSION
    response = decide(as_mona, replayed, "confirmed", "Talked over with the lead.")
    assert response["Location"] == URL
    assert rule_in_force(mona.practice_id, "slider").parameters == BLIND
    entry = AuditEntry.objects.get(action="confirm rule change")
    assert entry.actor_id == mona.id
    page = words(as_mona.get(URL))
    assert f"In use: {replayed.version}." in page
    assert "In use since then" in page
    assert "Talked over with the lead." in page


def test_to_keep_the_rule_takes_none(replayed: RuleChange, as_mona: Browser) -> None:
    assert decide(as_mona, replayed, "kept").status_code == 302
    assert rule_in_force(replayed.practice_id, "slider").version == RULE_VERSION


def test_what_is_decided_or_another_practices_is_not_decided_again(
    replayed: RuleChange, as_mona: Browser, as_dora: Browser, dora: Membership, words: Words
) -> None:
    decide(as_mona, replayed, "kept")
    late = decide(as_mona, replayed, "confirmed", "After all.")
    assert late.status_code == 409
    assert "After all." in words(late), "what was typed is given back"
    replayed.refresh_from_db()
    assert replayed.decision == "kept"


class TestLocalNorms:
    def test_too_few_ratings_start_nothing(
        self, falling: Any, as_mona: Browser, words: Words
    ) -> None:
        page = words(as_mona.get(URL))
        assert "9 ratings of 1 clients so far; it takes 1000 of 200." in page
        assert "Estimate and replay" not in page
        as_mona.post(NORMS)
        assert not RuleChange.objects.exists()

    def test_enough_start_a_replay_once(
        self, falling: Any, as_mona: Browser, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(rule_views, "is_enough", lambda counted: True)
        as_mona.post(NORMS)
        as_mona.post(NORMS)
        change = RuleChange.objects.get()
        assert (change.parameters, change.decision) == (None, "")

    def test_one_that_waits_for_a_decision_comes_first(
        self,
        replayed: RuleChange,
        as_mona: Browser,
        words: Words,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setattr(rule_views, "is_enough", lambda counted: True)
        page = words(as_mona.post(NORMS, follow=True))
        assert "Decide first about the change that is proposed already." in page


def test_more_clients_cost_as_many_queries(
    replayed: RuleChange, alice: Membership, as_mona: Browser, django_assert_num_queries: Any
) -> None:
    with CaptureQueriesContext(connection) as few:
        as_mona.get(URL)
    for _ in range(5):
        TreatmentFactory.create(therapist=alice, falling=True)
    with django_assert_num_queries(len(few)):
        as_mona.get(URL)


def load(**counted: int) -> AlertLoad:
    given = {
        "rated": 1000, "opened": 60, "therapist_weeks": 200, "judged": 60, "not_a_rupture": 10,
        "open_up_to_a_week": 0, "open_up_to_four_weeks": 0, "open_longer": 0, "shows_rates": True,
    }  # fmt: skip
    return AlertLoad(**given | counted)


class TestTheBudget:
    @pytest.mark.parametrize(
        ("counted", "budget"),
        [
            ({"judged": 19}, Budget.TOO_FEW),
            ({"rated": 299}, Budget.TOO_FEW),
            ({"not_a_rupture": 0}, Budget.WITHIN),
            ({"not_a_rupture": 20}, Budget.WITHIN),
            ({"not_a_rupture": 30}, Budget.IN_DOUBT),
            ({"not_a_rupture": 55}, Budget.EXCEEDED),
        ],
    )
    def test_is_judged_by_an_interval(self, counted: dict[str, int], budget: Budget) -> None:
        assert load(**counted).budget == budget

    def test_openings_without_an_outcome_are_taken_to_be_like_the_others(self) -> None:
        half = load(opened=120, not_a_rupture=20)
        estimate, low, high = half.false_per_100
        assert estimate == pytest.approx(100 * 20 / 500)
        assert low < 4 < high

    def test_too_few_are_said_to_be_too_few(self) -> None:
        said = load(judged=1, not_a_rupture=1).verdict
        assert said.startswith("Too few to tell: 1 opening has an outcome, from 1000 rated")

    def test_in_doubt_is_said_with_the_interval(self) -> None:
        said = load(not_a_rupture=30).verdict
        assert said == (
            "The budget of 4 false openings is in doubt. In 100 rated sessions about 3.0 openings"
            " were not a rupture, as far as therapists recorded it; anything from 2.0 to 4.3 fits"
            " the counts."
        )

    def test_where_few_or_one_stand_behind_it_the_verdict_has_no_rate(self) -> None:
        said = load(not_a_rupture=30, shows_rates=False).verdict
        assert said == "The budget of 4 false openings is in doubt."

    def test_in_doubt_the_practice_page_says_so(
        self, as_mona: Browser, words: Words, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        assert "flagged for nothing" not in words(as_mona.get("/practice/"))
        monkeypatch.setattr(practice_selector, "alert_load", lambda *a, **k: load(not_a_rupture=30))
        page = words(as_mona.get("/practice/"))
        assert "More may be flagged for nothing than was planned" in page


def test_the_ledger_counts_a_year_of_the_whole_practice(
    practice: Practice, alice: Membership, charlie: Membership, dora: Membership
) -> None:
    for therapist in (alice, alice, charlie):
        TreatmentFactory.create(therapist=therapist, falling=True)
    work_in(dora.practice_id)
    TreatmentFactory.create(therapist=dora, falling=True)
    work_in(practice.id)
    episode = RuptureEpisode.objects.filter(treatment__therapist=charlie).get()
    record_outcome(
        episode=episode, outcome=episode.Outcome.NOT_A_RUPTURE, reason="A slip.", by=charlie
    )
    now = timezone.now()
    mine = RuptureEpisode.objects.filter(treatment__therapist=alice).order_by("id")
    RuptureEpisode.objects.filter(id=mine[0].id).update(opened_at=now - timedelta(days=10))
    RuptureEpisode.objects.filter(id=mine[1].id).update(opened_at=now - timedelta(days=400))
    counted = alert_load(practice, viewer=alice, at=now)
    assert counted == load(
        rated=27, opened=2, therapist_weeks=18, judged=1, not_a_rupture=1,
        open_up_to_four_weeks=1, open_longer=1, shows_rates=False,
    )  # fmt: skip
    assert (counted.per_100_rated, counted.per_therapist_week) == ("7.4", "0.1")


class TestBars:
    def test_stand_on_the_axis_and_reach_up_to_their_value(self) -> None:
        chart = bar_chart("", [("Jan", 40, 10), ("Feb", 0, 20)])
        first, second = chart.pairs
        assert [value for _, value in chart.grid] == [0, 20, 40]
        assert (first.now.y, first.now.height) == (30, 120)
        assert first.proposed.height == 30
        assert (second.now.height, second.proposed.y) == (0, 90)
        assert first.now.x < first.middle < first.proposed.x < second.now.x

    def test_nothing_to_show_is_an_empty_chart(self) -> None:
        assert bar_chart("", []).pairs == ()
