"""One client of one's own: chart, sessions, the open episode."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from django.db import connection
from django.http import HttpResponse
from django.test import Client as Browser
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from apps.accounts.models import Membership, Role
from apps.clients.models import Client, Treatment
from apps.core.models import AuditEntry
from apps.feedback.services import practice_questionnaire
from apps.ruptures.services import acknowledge_episode, record_outcome, share_episode
from apps.therapy_sessions.models import TherapySession
from tests.factories import (
    SupervisionFactory,
    TherapySessionFactory,
    TreatmentFactory,
    comment_on,
)
from tests.ruptures.test_screening import add_rating, screen_from

pytestmark = pytest.mark.django_db
FALL = [90, 90, 80, 90, 90, 90, 80, 90, 70]

Words = Callable[[HttpResponse], str]


@pytest.fixture
def falling(alice: Membership) -> Treatment:
    return TreatmentFactory.create(therapist=alice, falling=True)


def address(treatment: Treatment) -> str:
    return reverse("client", args=[treatment.client_id])


def panel(page: str) -> str:
    """What stands in the side panel."""
    return page.partition("View as table")[2].rpartition("Sessions All")[0]


def test_the_page_shows_chart_reasons_and_sessions(
    falling: Treatment, as_alice: Browser, words: Words
) -> None:
    page = words(as_alice.get(address(falling)))
    assert f"K. M. {falling.client.code}" in page
    assert "Alliance over sessions" in page
    assert "Rated 70 on 18 Nov; usually 80–98." in page
    assert "Rated 70; usually 80–98, from 8 earlier ratings." in panel(page)
    assert "Speaks against Form returned, as usual." in panel(page)
    assert "did something wrong" in panel(page)
    assert "Session 9" in page


def test_the_next_session_is_moved_or_cancelled_from_the_page(
    falling: Treatment, as_alice: Browser
) -> None:
    link = "Move or cancel the next session"
    assert link not in as_alice.get(address(falling)).content.decode()
    later = timezone.now() + timedelta(days=2)
    TherapySessionFactory.create(treatment=falling, starts_at=later, attendance="")
    page = as_alice.get(address(falling))
    assert link in page.content.decode()
    assert as_alice.get(page.context["page"].move_url).status_code == 200


def test_one_look_leaves_one_audit_entry(
    falling: Treatment, alice: Membership, as_alice: Browser
) -> None:
    before = AuditEntry.objects.count()
    as_alice.get(address(falling))
    assert AuditEntry.objects.count() == before + 1
    entry = AuditEntry.objects.get(action="view client")
    assert (entry.actor_id, entry.client_ids) == (alice.id, [falling.client_id])


def test_a_stranger_finds_what_is_not_there(
    falling: Treatment, as_charlie: Browser, as_dora: Browser, words: Words
) -> None:
    before = AuditEntry.objects.count()
    missing = reverse("client", args=["00000000-0000-4000-8000-000000000000"])
    for browser in (as_charlie, as_dora):
        response = browser.get(address(falling))
        assert response.status_code == 404
        assert words(response) == words(browser.get(missing))
    assert AuditEntry.objects.count() == before


def test_an_ended_treatment_is_closed_to_its_therapist(
    falling: Treatment, as_alice: Browser
) -> None:
    Treatment.objects.update(ends_on=timezone.localdate() - timedelta(days=1))
    assert as_alice.get(address(falling)).status_code == 404


@pytest.mark.parametrize("roles", [[Role.SUPERVISOR], [Role.SUPERVISOR, Role.THERAPIST]])
def test_a_supervisor_may_not_open_a_supervisees_client(
    falling: Treatment, sam: Membership, as_sam: Browser, roles: list[Role]
) -> None:
    sam.roles = roles
    sam.save()
    assert as_sam.get(address(falling)).status_code == 403


def test_a_manager_may_not_open_a_client(falling: Treatment, as_mona: Browser) -> None:
    assert as_mona.get(address(falling)).status_code == 403


def test_the_page_is_for_reading(falling: Treatment, as_alice: Browser) -> None:
    assert as_alice.post(address(falling)).status_code == 405


def test_the_facts_say_what_is_agreed(
    falling: Treatment, sam: Membership, as_alice: Browser, words: Words
) -> None:
    TherapySessionFactory.create(
        treatment=falling, attendance="", starts_at=datetime(2026, 11, 26, 10, tzinfo=UTC)
    )
    page = words(as_alice.get(address(falling)))
    assert "CBT, since 2 Jul" in page
    assert "Rapport alliance form (not validated)" in page
    assert "Agreed 20 Oct · ask again by 18 Apr 2027" in page
    assert "Safe to contact Email" in page
    assert "Supervisor Sam Okafor" in page
    assert "Next session Thu 26 Nov, 10:00" in page


@pytest.mark.parametrize(
    ("consent", "said"),
    [
        (Client.Consent.IN_ROOM, "only in the room"),
        (Client.Consent.DECLINED, "would rather not"),
        ("", "no answer recorded"),
    ],
)
def test_the_facts_say_what_is_not_agreed(
    falling: Treatment, as_alice: Browser, words: Words, consent: str, said: str
) -> None:
    Client.objects.update(consent=consent)
    assert said in words(as_alice.get(address(falling)))


def test_without_a_talk_nothing_is_sent_and_the_facts_say_so(
    falling: Treatment, as_alice: Browser, words: Words
) -> None:
    Client.objects.update(consent="", discussed_on=None)
    falling.client.channels.update(safe_to_contact=False)
    page = words(as_alice.get(address(falling)))
    assert "Not discussed yet; nothing is sent" in page
    assert "No channel recorded as safe" in page


def test_logging_starts_with_the_planned_session_that_has_begun(
    falling: Treatment, as_alice: Browser
) -> None:
    assert f"?client={falling.client_id}" in as_alice.get(address(falling)).content.decode()
    begun = TherapySessionFactory.create(
        treatment=falling, attendance="", starts_at=timezone.now() - timedelta(hours=1)
    )
    assert f"?session={begun.id}" in as_alice.get(address(falling)).content.decode()


def test_the_clients_words_are_there_for_the_therapist(
    falling: Treatment, as_alice: Browser, words: Words
) -> None:
    rating = falling.therapy_sessions.latest("starts_at").ratings.get()
    rating.comment = "I felt <b>rushed</b>."
    rating.causes = ["misunderstanding"]
    rating.tension, rating.tension_resolved = 3, 2
    rating.save()
    response = as_alice.get(address(falling))
    page = words(response)
    assert "I felt &lt;b&gt;rushed&lt;/b&gt;." in response.content.decode()
    assert "The client ticked “We misunderstood each other”." in panel(page)
    assert "not used as a reason: The client left a comment." in panel(page)
    assert "Tension: strong, sorted out: partly." in page
    assert not as_alice.get(address(falling)).context["causes_form"].initial["causes"]


def test_the_timeline_can_be_narrowed(falling: Treatment, as_alice: Browser, words: Words) -> None:
    second = falling.therapy_sessions.order_by("starts_at")[1]
    comment_on(second, "Useful.")
    comments = words(as_alice.get(address(falling), {"show": "comments"}))
    assert "Useful." in comments
    assert "1 of 1 session" in comments
    flags = words(as_alice.get(address(falling), {"show": "flags"}))
    assert "Useful." not in flags
    assert "Possible rupture · marked" in flags


def test_earlier_sessions_are_one_step_away(
    falling: Treatment, as_alice: Browser, words: Words
) -> None:
    response = as_alice.get(address(falling))
    assert "7 of 9 sessions" in words(response)
    assert f'href="{address(falling)}?earlier=1#sessions"' in response.content.decode()
    everything = as_alice.get(address(falling), {"earlier": "1"})
    assert "9 of 9 sessions" in words(everything)
    flags = f'href="{address(falling)}?show=flags&amp;earlier=1#sessions"'
    assert flags in everything.content.decode()


def test_what_has_no_rating_says_why(alice: Membership, as_alice: Browser, words: Words) -> None:
    treatment = TreatmentFactory.create(therapist=alice, pomps=[90, 80, 90])
    for days, attendance in ((3, "late_cancellation"), (2, "therapist_cancelled")):
        TherapySessionFactory.create(
            treatment=treatment,
            attendance=attendance,
            starts_at=timezone.now() - timedelta(days=days, hours=5),
        )
    TherapySessionFactory.create(treatment=treatment, not_asked_reason="crisis")
    page = words(as_alice.get(address(treatment)))
    for said in ("Client cancelled late", "You cancelled", "Crisis or emergency in the session"):
        assert said in page.partition("Sessions All")[2]


def test_an_answer_in_part_is_no_silence(
    alice: Membership, as_alice: Browser, words: Words
) -> None:
    treatment = TreatmentFactory.create(therapist=alice, pomps=[90, 80, 90, 80])
    treatment.therapy_sessions.latest("starts_at").ratings.update(pomp=None)
    page = words(as_alice.get(address(treatment)))
    assert "Answered in part" in page.partition("Sessions All")[0]
    assert "No answer for session" not in page


def test_a_late_rating_is_shown_and_not_used(
    falling: Treatment, as_alice: Browser, words: Words
) -> None:
    last = falling.therapy_sessions.latest("starts_at")
    last.ratings.update(is_late=True)
    comment_on(last, "Sorry, late.")
    page = words(as_alice.get(address(falling)))
    assert "Sorry, late." in page
    assert "not used" in page


@pytest.mark.parametrize("asked", [False, True])
def test_a_late_rating_by_another_questionnaire_than_the_course_goes_on_with_is_shown_as_well(
    alice: Membership, as_alice: Browser, words: Words, asked: bool
) -> None:
    """The practice went over to a newer one after the session."""
    treatment = TreatmentFactory.create(therapist=alice, pomps=[90, 80, 90, 80])
    last = treatment.therapy_sessions.latest("starts_at")
    TherapySession.objects.filter(id=last.id).update(asked=asked)
    of_before = practice_questionnaire(alice.practice)
    of_before.pk, of_before.key, of_before._state.adding = uuid4(), "sent-before", True
    of_before.save()
    last.ratings.update(is_late=True, questionnaire=of_before)
    comment_on(last, "Sorry, late.")
    response = as_alice.get(address(treatment))
    page = words(response)
    assert "Sorry, late." in page
    assert "No answer for session" not in page
    assert response.context["page"].chart.rows[0].note == "Answered late"


def test_watch_is_something_to_keep_in_mind(
    alice: Membership, as_alice: Browser, words: Words
) -> None:
    treatment = TreatmentFactory.create(therapist=alice, pomps=FALL[:-1])
    newest = treatment.screenings.latest("therapy_session__starts_at")
    newest.level = 1
    newest.outputs["level"] = 1
    newest.save()
    page = words(as_alice.get(address(treatment)))
    assert "Something to keep in mind" in panel(page)
    assert "Acknowledge" not in page


@pytest.mark.parametrize(
    ("pomps", "said"),
    [
        ([90, 80, 90], "Nothing is flagged. No flag does not mean no rupture."),
        ([100] * 5, "little room to show change"),
        ([90], "The baseline is still forming"),
        ([], "No feedback has been asked for in this treatment"),
    ],
)
def test_without_an_episode_the_panel_says_what_that_means(
    alice: Membership, as_alice: Browser, words: Words, pomps: list[int | None], said: str
) -> None:
    treatment = TreatmentFactory.create(therapist=alice, pomps=pomps)
    assert said in words(as_alice.get(address(treatment)))


def test_ended_episodes_stay_to_be_read(
    falling: Treatment, alice: Membership, as_alice: Browser, words: Words
) -> None:
    episode = falling.episodes.get()
    record_outcome(
        episode=episode,
        outcome=episode.Outcome.NOT_A_RUPTURE,
        reason="She was ill.",
        by=alice,
    )
    page = words(as_alice.get(address(falling)))
    assert "Past episodes 18 Nov to 19 Nov Not a rupture She was ill." in page
    assert "You recorded: not a rupture." in page
    assert "Record outcome" not in page


def test_ratings_that_are_back_ask_for_an_outcome_first(
    alice: Membership, as_alice: Browser, words: Words
) -> None:
    treatment = TreatmentFactory.create(therapist=alice, pomps=[*FALL, 90, 90, 90])
    assert treatment.episodes.get().recovering_since
    page = panel(words(as_alice.get(address(treatment))))
    assert "no outcome recorded yet." in page
    assert page.find("Recovering: repaired?") < page.find("Why this was opened")


def test_what_recovers_by_what_was_said_of_tension_alone_is_not_said_to_be_back_in_range(
    alice: Membership, sam: Membership, as_alice: Browser, as_sam: Browser, words: Words
) -> None:
    """Nobody rated since: the client answered in part, and said that there was no tension."""
    treatment = TreatmentFactory.create(therapist=alice, falling=True)
    episode = treatment.episodes.get()
    share_episode(episode=episode, by=alice)
    for days in (7, 14, 21):
        session = TherapySessionFactory.create(
            treatment=treatment, starts_at=timezone.now() + timedelta(days=days)
        )
        rating = add_rating(session, 90, tension=0)
        rating.pomp = None
        rating.save()
        screen_from(session)
    episode.refresh_from_db()
    assert episode.recovering_since
    client = treatment.client_id
    for browser, page in (
        (as_alice, address(treatment)),
        (as_alice, reverse("caseload")),
        (as_alice, reverse("brief", args=[client])),
        (as_alice, reverse("repair", args=[episode.id])),
        (as_sam, reverse("supervision")),
        (as_sam, reverse("supervised_episode", args=[episode.id])),
    ):
        said = words(browser.get(page))
        assert "Back in the usual range" not in said, page
        assert "by what the client said of tension, without a rating" in said, page
    add_rating(session := TherapySessionFactory.create(
        treatment=treatment, starts_at=timezone.now() + timedelta(days=28)
    ), 90)  # fmt: skip
    screen_from(session)
    assert "Back in the usual range" in words(as_alice.get(reverse("caseload")))


def test_who_sees_the_episode_is_said(
    falling: Treatment, alice: Membership, sam: Membership, as_alice: Browser, words: Words
) -> None:
    def said() -> str:
        return panel(words(as_alice.get(address(falling))))

    episode = falling.episodes.get()
    assert "It is marked, so Sam sees it too:" in said()
    falling.episodes.update(marked_at=None)
    assert "Unacknowledged for 72 hours, Sam sees it too." in said()
    falling.episodes.update(opened_at=timezone.now() - timedelta(hours=73))
    assert "It waited 72 hours unacknowledged, so Sam sees it too:" in said()
    episode.refresh_from_db()
    acknowledge_episode(episode=episode, by=alice)
    # What the supervisor has seen, a late acknowledgement does not take back.
    assert "It waited 72 hours unacknowledged, so Sam sees it too:" in said()
    falling.episodes.update(waited_at=None)
    assert "Only you see it." in said()
    assert "Share with Sam" in said()
    share_episode(episode=episode, by=alice)
    assert "You shared it, so Sam sees it too:" in said()
    assert "Share with Sam" not in said()


def test_without_a_supervisor_there_is_nobody_to_share_with(
    falling: Treatment, as_alice: Browser, words: Words
) -> None:
    page = words(as_alice.get(address(falling)))
    assert "Only you see it." in page
    assert "Share with" not in page


def test_an_ended_supervision_is_no_supervision(
    falling: Treatment, alice: Membership, charlie: Membership, as_alice: Browser, words: Words
) -> None:
    SupervisionFactory.create(
        supervisor=charlie,
        supervisee=alice,
        ends_on=timezone.localdate() - timedelta(days=1),
    )
    assert "Supervisor None recorded" in words(as_alice.get(address(falling)))


def test_a_longer_treatment_costs_no_more_queries(alice: Membership, as_alice: Browser) -> None:
    counts = []
    for pomps in (FALL, FALL[:8] * 4 + [70]):
        treatment = TreatmentFactory.create(therapist=alice, pomps=pomps)
        with CaptureQueriesContext(connection) as queries:
            as_alice.get(address(treatment))
        counts.append(len(queries))
    assert counts[0] == counts[1] > 0


def test_sessions_planned_and_not_logged_are_no_sessions_yet(
    falling: Treatment, as_alice: Browser, words: Words
) -> None:
    TherapySessionFactory.create(treatment=falling, attendance="")
    assert TherapySession.objects.filter(treatment=falling).count() == 10
    assert "7 of 9 sessions" in words(as_alice.get(address(falling)))
