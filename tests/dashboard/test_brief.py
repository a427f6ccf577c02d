"""Before a session: one phone page per client, one sheet per day."""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta

import pytest
from django.db import connection
from django.http import HttpResponse
from django.test import Client as Browser
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from apps.accounts.models import Membership
from apps.alliance.models import AllianceRating
from apps.clients.models import Client, Treatment
from apps.core.models import AuditEntry
from apps.ruptures.repair import Sheet, StepEntry, save_worksheet
from apps.ruptures.services import acknowledge_episode
from tests.factories import TherapySessionFactory, TreatmentFactory

pytestmark = pytest.mark.django_db

Words = Callable[[HttpResponse], str]
AT_THREE = datetime(2026, 11, 19, 15, tzinfo=UTC)


@pytest.fixture
def falling(alice: Membership) -> Treatment:
    treatment = TreatmentFactory.create(therapist=alice, falling=True)
    TherapySessionFactory.create(treatment=treatment, starts_at=AT_THREE, attendance="")
    return treatment


def address(treatment: Treatment) -> str:
    return reverse("brief", args=[treatment.client_id])


def test_the_brief_shows_rating_range_and_what_to_open_with(
    falling: Treatment, as_alice: Browser, words: Words
) -> None:
    page = words(as_alice.get(address(falling)))
    assert f"K. M. {falling.client.code} Today, 15:00 · session 10" in page
    assert "Rated 70; usually 80–98, from 8 earlier ratings." in page
    assert "70 usually 80–98" in page
    assert "“Last time may have felt different for you. I’d like to understand it.”" in page
    assert "To print or save as PDF, use Print in the menu of your browser." in page, "no script"


def test_it_shows_the_clients_words(falling: Treatment, as_alice: Browser, words: Words) -> None:
    rating = AllianceRating.objects.latest("answered_at")
    rating.comment, rating.causes = "I felt rushed.", ["misunderstanding"]
    rating.save()
    page = words(as_alice.get(address(falling)))
    assert "What the client said about 18 Nov “I felt rushed.”" in page
    assert "Ticked: “We misunderstood each other”" in page
    assert "Can we go back to it?" in page, "words that fit what the client ticked"


def test_it_shows_what_was_promised(
    falling: Treatment, alice: Membership, as_alice: Browser, words: Words
) -> None:
    episode = falling.episodes.get()
    acknowledge_episode(episode=episode, by=alice)
    save_worksheet(
        episode=episode,
        sheet=Sheet(
            causes=("boundary",),
            next_action="Come back to the sister\n\n Leave ten minutes ",
            steps={"open": StepEntry(done_on=date(2026, 11, 19))},
        ),
        opened_version=0,
        by=alice,
    )
    page = words(as_alice.get(address(falling)))
    assert (
        "From your plan Acknowledged 19 Nov (done) Open the conversation, 19 Nov (done) "
        "Come back to the sister Leave ten minutes" in page
    )
    assert "Talk to your supervisor first." in page
    assert "After talking to your supervisor" not in page


def test_once_ratings_are_back_it_asks_how_it_was_and_for_an_outcome(
    alice: Membership, as_alice: Browser, words: Words
) -> None:
    pomps = [90, 90, 80, 90, 90, 90, 80, 90, 70, 90, 90, 90]
    treatment = TreatmentFactory.create(therapist=alice, pomps=pomps)
    page = words(as_alice.get(address(treatment)))
    assert "Back in the usual range since" in page
    assert "How has it been between us since we talked about it?" in page
    assert "Record an outcome" in page


def test_without_a_flag_it_does_not_say_that_all_is_well(
    alice: Membership, as_alice: Browser, words: Words
) -> None:
    treatment = TreatmentFactory.create(therapist=alice, pomps=[90, 90, 80, 90])
    page = words(as_alice.get(address(treatment)))
    assert "No session planned" in page
    assert "Rated 90 on 18 Nov; usually" in page
    assert "No flag does not mean no rupture: ask." in page


def test_consent_that_runs_out_is_said(falling: Treatment, as_alice: Browser, words: Words) -> None:
    Client.objects.update(discussed_on=timezone.localdate() - timedelta(days=175))
    assert "Consent is due to be asked again by 24 Nov." in words(as_alice.get(address(falling)))


def test_a_new_client_has_a_brief_too(alice: Membership, as_alice: Browser, words: Words) -> None:
    treatment = TreatmentFactory.create(therapist=alice)
    assert "No rating yet." in words(as_alice.get(address(treatment)))


def test_only_the_treating_therapist_reads_it(
    falling: Treatment, as_sam: Browser, as_mona: Browser, as_charlie: Browser, as_dora: Browser
) -> None:
    assert as_sam.get(address(falling)).status_code == 403
    assert as_mona.get(address(falling)).status_code == 403
    assert as_charlie.get(address(falling)).status_code == 404
    assert as_dora.get(address(falling)).status_code == 404


def test_one_look_leaves_one_audit_entry(falling: Treatment, as_alice: Browser) -> None:
    before = AuditEntry.objects.count()
    as_alice.get(address(falling))
    assert AuditEntry.objects.count() == before + 1


def test_it_opens_in_one_click_from_todays_strip(falling: Treatment, as_alice: Browser) -> None:
    assert f'href="{address(falling)}"' in as_alice.get(reverse("caseload")).content.decode()


def test_the_day_sheet_has_a_line_for_each_session_of_the_day(
    falling: Treatment, alice: Membership, as_alice: Browser, words: Words
) -> None:
    other = TreatmentFactory.create(therapist=alice, pomps=[90, 90, 80, 90])
    TherapySessionFactory.create(
        treatment=other, starts_at=AT_THREE + timedelta(hours=1), attendance=""
    )
    TherapySessionFactory.create(
        treatment=other, starts_at=AT_THREE + timedelta(days=1), attendance=""
    )
    page = words(as_alice.get(reverse("day_sheet")))
    assert "Thursday 19 November 2026 · what to pick up, one line per session" in page
    first, second = page.partition("15:00 ")[2].split("16:00 ", maxsplit=1)
    assert falling.client.code in first
    assert "Rated 70; usually 80–98" in first
    assert "“Last time may have felt different" in first
    assert other.client.code in second
    assert "Nothing to pick up from the form." in second
    tomorrow = words(as_alice.get(reverse("day_sheet"), {"day": "2026-11-20"}))
    assert falling.client.code not in tomorrow
    assert other.client.code in tomorrow


@pytest.mark.parametrize("day", ["2026-13-45", "tomorrow", "", "9999-12-31", "0001-01-01"])
def test_a_day_that_is_none_means_today(
    falling: Treatment, as_alice: Browser, words: Words, day: str
) -> None:
    assert falling.client.code in words(as_alice.get(reverse("day_sheet"), {"day": day}))


def test_a_day_without_sessions_says_so(as_alice: Browser, words: Words) -> None:
    assert "No session is planned for this day" in words(as_alice.get(reverse("day_sheet")))


def test_a_day_sheet_asks_as_often_for_twelve_sessions_as_for_two(
    alice: Membership, as_alice: Browser, falling_caseload: Callable[..., None]
) -> None:
    def queries() -> int:
        with CaptureQueriesContext(connection) as seen:
            as_alice.get(reverse("day_sheet"))
        return len(seen)

    falling_caseload([alice] * 2)
    few = queries()
    falling_caseload([alice] * 10)
    assert queries() == few


def test_colleagues_have_their_own_day(
    falling: Treatment, as_charlie: Browser, as_sam: Browser, words: Words
) -> None:
    assert falling.client.code not in words(as_charlie.get(reverse("day_sheet")))
    assert as_sam.get(reverse("day_sheet")).status_code == 403
