"""The caseload page: what needs attention, today, all clients."""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest
from django.db import connection
from django.http import HttpResponse
from django.test import Client as Browser
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from apps.accounts.models import Membership, Role
from apps.clients.models import Client
from apps.core import tenancy
from apps.core.models import OutboxMessage
from apps.feedback.services import practice_questionnaire, request_feedback
from apps.ruptures.services import record_outcome
from apps.therapy_sessions.models import TherapySession
from tests.factories import (
    ClientFactory,
    MembershipFactory,
    PracticeFactory,
    TherapySessionFactory,
    TreatmentFactory,
)

pytestmark = pytest.mark.django_db
URL = "/caseload/"
NOT_SAID = (
    "rupture detected", "risk", "probability", "failing", "non-compliant", " OK ", " safe ", "%",
)  # fmt: skip
STEADY = [90, 80, 90, 90, 80, 90]

Words = Callable[[HttpResponse], str]


@pytest.mark.parametrize(
    ("roles", "name"),
    [
        ([Role.THERAPIST], "caseload"),
        ([Role.SUPERVISOR, Role.THERAPIST], "caseload"),
        ([Role.SUPERVISOR], "supervision"),
        ([Role.MANAGER], "practice"),
    ],
)
def test_home_leads_to_the_first_page_that_is_theirs(
    sign_in: Callable[[Membership], Browser], roles: list[Role], name: str
) -> None:
    response = sign_in(MembershipFactory.create(roles=roles)).get("/")
    assert response.headers["Location"] == reverse(name)


def test_home_is_not_open_to_somebody_without_a_practice(
    sign_in: Callable[[Membership], Browser],
) -> None:
    member = MembershipFactory.create(is_active=False)
    assert sign_in(member).get("/").status_code == 403


def test_strangers_are_asked_to_sign_in() -> None:
    assert Browser().get(URL).headers["Location"].startswith(reverse("login"))


def test_a_supervisor_without_clients_of_their_own_may_not_see_a_caseload(
    as_sam: Browser, as_mona: Browser
) -> None:
    assert as_sam.get(URL).status_code == 403
    assert as_mona.get(URL).status_code == 403


def test_the_caseload_is_for_reading(as_alice: Browser) -> None:
    assert as_alice.delete(URL).status_code == 405


def test_the_first_steps_go_with_what_is_done_and_end_with_the_first_session(
    as_alice: Browser, alice: Membership, words: Words
) -> None:
    page = words(as_alice.get(URL))
    assert "Add your first client Initials" in page
    treatment = TreatmentFactory.create(therapist=alice)
    Client.objects.update(consent="", discussed_on=None)
    page = as_alice.get(URL)
    assert "Add your first client : done" in words(page)
    assert f'href="/clients/{treatment.client_id}/details/"' in page.content.decode()
    Client.objects.update(consent=Client.Consent.DECLINED, discussed_on="2026-11-18")
    assert "Talk about feedback : done" in words(as_alice.get(URL))
    TherapySessionFactory.create(treatment=treatment)
    assert "Talk about feedback" not in words(as_alice.get(URL))


def test_an_empty_caseload_says_how_to_begin(as_alice: Browser, words: Words) -> None:
    page = words(as_alice.get(URL))
    assert "Welcome to Rapport, Alice" in page
    assert "Add your first client" in page


def test_a_fall_is_worth_asking_about(alice: Membership, as_alice: Browser, words: Words) -> None:
    treatment = TreatmentFactory.create(therapist=alice, falling=True)
    response = as_alice.get(URL)
    page = words(response)
    assert "Rated 70; usually 80–98, from 8 earlier ratings." in page
    assert "Possible rupture · marked" in page
    assert "flags as of" in page
    assert reverse("acknowledge_episode", args=[treatment.episodes.get().id]) in str(
        response.content
    )


def test_nothing_is_said_that_should_not_be(
    alice: Membership, as_alice: Browser, words: Words
) -> None:
    TreatmentFactory.create(therapist=alice, falling=True)
    TreatmentFactory.create(therapist=alice, pomps=[100] * 6)
    page = words(as_alice.get(URL))
    assert not [word for word in NOT_SAID if word.lower() in page.lower()]


def test_clients_of_others_and_ended_treatments_are_not_there(
    alice: Membership, charlie: Membership, as_alice: Browser, words: Words
) -> None:
    mine = TreatmentFactory.create(therapist=alice, pomps=STEADY)
    theirs = TreatmentFactory.create(therapist=charlie, falling=True)
    ended = TreatmentFactory.create(
        therapist=alice, falling=True, ends_on=timezone.localdate() - timedelta(days=1)
    )
    page = words(as_alice.get(URL))
    assert mine.client.code in page
    assert theirs.client.code not in page
    assert ended.client.code not in page


@pytest.mark.parametrize(
    ("pomps", "pill"),
    [
        (STEADY, "No flag"),
        ([90, 80], "Baseline forming"),
        ([100] * 5, "Little room to show change"),
        ([], "Not screened"),
    ],
)
def test_each_client_has_one_status(
    alice: Membership, as_alice: Browser, words: Words, pomps: list[int | None], pill: str
) -> None:
    TreatmentFactory.create(therapist=alice, pomps=pomps)
    table = words(as_alice.get(URL)).partition("Next session Open")[2]
    assert pill in table


def test_watch_stands_without_an_episode_and_cannot_be_acknowledged(
    alice: Membership, as_alice: Browser, words: Words
) -> None:
    treatment = TreatmentFactory.create(therapist=alice, pomps=[*STEADY, 80])
    treatment.screenings.filter(
        therapy_session=treatment.therapy_sessions.latest("starts_at")
    ).update(level=1)
    response = as_alice.get(URL)
    assert "Watch" in words(response)
    assert "Acknowledge" not in words(response)


def test_a_recorded_repair_shows_for_four_weeks(
    alice: Membership, as_alice: Browser, words: Words
) -> None:
    treatment = TreatmentFactory.create(therapist=alice, falling=True)
    episode = treatment.episodes.get()
    record_outcome(episode=episode, outcome=episode.Outcome.REPAIRED, by=alice)
    assert "Repaired" in words(as_alice.get(URL))
    treatment.screenings.update(level=0)
    treatment.episodes.update(
        outcome_at=timezone.now() - timedelta(days=29),
        opened_at=timezone.now() - timedelta(days=40),
    )
    assert "Repaired" not in words(as_alice.get(URL)).partition("All clients")[2]


def test_amber_numbers_are_for_open_episodes_alone(alice: Membership, as_alice: Browser) -> None:
    treatment = TreatmentFactory.create(therapist=alice, falling=True)
    assert "rp-rating--below" in as_alice.get(URL).content.decode()
    episode = treatment.episodes.get()
    record_outcome(
        episode=episode, outcome=episode.Outcome.NOT_A_RUPTURE, reason="Ill that day.", by=alice
    )
    assert "--below" not in as_alice.get(URL).content.decode()


def test_the_strongest_come_first_and_four_at_most(
    alice: Membership, as_alice: Browser, words: Words
) -> None:
    treatments = [TreatmentFactory.create(therapist=alice, falling=True) for _ in range(5)]
    now = timezone.now()
    for days, treatment in enumerate(treatments, start=1):
        treatment.episodes.update(marked_at=None, opened_at=now - timedelta(days=days))
    treatments[0].episodes.update(marked_at=now)
    page = words(as_alice.get(URL))
    cards = page.partition("Today")[0]
    positions = [cards.find(treatments[n].client.code) for n in (0, 4, 3, 2)]
    assert positions == sorted(positions)
    assert -1 not in positions
    assert treatments[1].client.code not in cards
    assert "Needs your attention 5" in page


def test_all_flags_leads_to_every_flagged_client(
    alice: Membership, as_alice: Browser, words: Words
) -> None:
    flagged = [TreatmentFactory.create(therapist=alice, falling=True) for _ in range(5)]
    steady = TreatmentFactory.create(therapist=alice, pomps=STEADY)
    assert b'href="?status=flags#all-clients"' in as_alice.get(URL).content
    page = words(as_alice.get(URL, {"status": "flags"})).partition("All clients")[2]
    assert all(treatment.client.code in page for treatment in flagged)
    assert steady.client.code not in page


def test_clients_are_found_by_initials_or_code(
    alice: Membership, as_alice: Browser, words: Words
) -> None:
    client = ClientFactory.create(practice=alice.practice, code="FE-7001", initials="Z. Q.")
    TreatmentFactory.create(therapist=alice, client=client, pomps=STEADY)
    other = TreatmentFactory.create(therapist=alice, pomps=STEADY)
    for query in ("zq", "Z. Q.", "7001", "fe-7001"):
        found = as_alice.post(URL, {"q": query}, follow=True)
        assert query not in str(found.redirect_chain), "a browser remembers addresses"
        table = words(found).partition("All clients")[2]
        assert "FE-7001" in table
        assert other.client.code not in table
    assert other.client.code in words(as_alice.get(URL)), "a search lasts as long as it is shown"
    nobody = as_alice.post(URL, {"q": "nobody"}, follow=True)
    assert "No client fits these filters" in words(nobody)


def test_filters_keep_each_other(alice: Membership, as_alice: Browser) -> None:
    TreatmentFactory.create(therapist=alice, pomps=STEADY)
    chosen = {"q": "k", "status": "none", "feedback": "answered"}
    page = as_alice.post(URL, chosen, follow=True).content.decode()
    assert 'href="?found=1&amp;status=none&amp;feedback=answered"' in page
    assert 'name="status" value="none"' in page
    assert 'value="k"' in page
    assert re.search(r'<option value="answered"\s+selected>', page)


def test_unknown_filters_are_no_filters(alice: Membership, as_alice: Browser) -> None:
    treatment = TreatmentFactory.create(therapist=alice, pomps=STEADY)
    response = as_alice.get(URL, {"status": "x", "feedback": "y", "page": "z"})
    assert treatment.client.code in response.content.decode()


def test_the_feedback_filter_goes_by_the_newest_session(
    alice: Membership, as_alice: Browser, words: Words
) -> None:
    answered = TreatmentFactory.create(therapist=alice, pomps=STEADY)
    unasked = TreatmentFactory.create(therapist=alice, pomps=[90, None])
    table = words(as_alice.get(URL, {"feedback": "not_asked"})).partition("All clients")[2]
    assert unasked.client.code in table
    assert answered.client.code not in table


def test_days_inside_a_sentence_are_written_small(
    alice: Membership, as_alice: Browser, words: Words
) -> None:
    treatment = TreatmentFactory.create(therapist=alice, falling=True)
    TherapySessionFactory.create(
        treatment=treatment, attendance="", starts_at=datetime(2026, 11, 20, 9, tzinfo=UTC)
    )
    cards, _, table = words(as_alice.get(URL)).partition("All clients")
    assert "Next session tomorrow, 09:00" in cards
    assert "Tomorrow 09:00" in table


def test_a_reason_in_own_words_stands_instead_of_other(
    alice: Membership, as_alice: Browser, words: Words
) -> None:
    treatment = TreatmentFactory.create(therapist=alice, pomps=STEADY)
    TherapySessionFactory.create(
        treatment=treatment, not_asked_reason="other", not_asked_note="Ran out of time"
    )
    page = words(as_alice.get(URL))
    assert "Not asked Ran out of time" in page
    assert "in a few words" not in page


def test_twelve_clients_make_a_page(
    alice: Membership, as_alice: Browser, words: Words, falling_caseload: Callable[..., None]
) -> None:
    falling_caseload([alice] * 13)
    assert "1–12 of 13" in words(as_alice.get(URL))
    assert "13–13 of 13" in words(as_alice.get(URL, {"page": 2}))


def test_a_late_rating_leaves_a_gap_that_names_the_older_one(
    alice: Membership, as_alice: Browser, words: Words
) -> None:
    TreatmentFactory.create(therapist=alice, pomps=[90, 80, 90, 80, None])
    assert "11 Nov · usually" in words(as_alice.get(URL))


def test_todays_sessions_can_be_logged(alice: Membership, as_alice: Browser, words: Words) -> None:
    treatment = TreatmentFactory.create(therapist=alice, pomps=STEADY)
    begun = TherapySessionFactory.create(
        treatment=treatment,
        attendance="",
        starts_at=datetime(2026, 11, 19, 11, 29, tzinfo=UTC),
    )
    later = TherapySessionFactory.create(
        treatment=treatment, attendance="", starts_at=datetime(2026, 11, 19, 15, tzinfo=UTC)
    )
    tomorrow = TherapySessionFactory.create(
        treatment=treatment, attendance="", starts_at=datetime(2026, 11, 20, 9, tzinfo=UTC)
    )
    response = as_alice.get(URL)
    for session in (begun, later):
        assert f"{reverse('log_session')}?session={session.id}" in response.content.decode()
    assert str(tomorrow.id) not in response.content.decode()
    assert "2 sessions · 0 logged" in words(response)
    assert "11:29 · ended 5 min ago" in words(response)
    assert "15:00 · session 7" in words(response)


@pytest.mark.parametrize(
    ("state", "said"),
    [
        ("pending", "Logged · form goes out 13:24"),
        ("sent", "Logged · form sent 12:20"),
        ("failed", "Logged · form not delivered"),
    ],
)
def test_a_logged_session_says_where_its_form_is(
    alice: Membership, as_alice: Browser, words: Words, state: str, said: str
) -> None:
    session = TherapySessionFactory.create(
        treatment__therapist=alice, starts_at=datetime(2026, 11, 19, 10, 34, tzinfo=UTC)
    )
    request_feedback(
        therapy_session=session,
        questionnaire=practice_questionnaire(alice.practice),
        channel_kind="email",
        by=alice,
    )
    sent_at = datetime(2026, 11, 19, 12, 20, tzinfo=UTC) if state == "sent" else None
    OutboxMessage.objects.update(state=state, sent_at=sent_at)
    assert said in words(as_alice.get(URL))


def test_a_session_that_did_not_take_place_says_so(
    alice: Membership, as_alice: Browser, words: Words
) -> None:
    TherapySessionFactory.create(
        treatment__therapist=alice,
        attendance=TherapySession.Attendance.NO_SHOW,
        starts_at=datetime(2026, 11, 19, 9, tzinfo=UTC),
    )
    assert "No-show" in words(as_alice.get(URL))


@pytest.mark.parametrize(("seconds", "is_told"), [(119, False), (121, True)])
def test_delayed_messages_are_told_after_two_minutes(
    alice: Membership, as_alice: Browser, words: Words, seconds: int, is_told: bool
) -> None:
    session = TherapySessionFactory.create(treatment__therapist=alice)
    asked = request_feedback(
        therapy_session=session,
        questionnaire=practice_questionnaire(alice.practice),
        channel_kind="email",
        by=alice,
    )
    OutboxMessage.objects.all().delete()
    _wait(alice.practice_id, seconds=seconds, subject_id=asked.id)
    _wait(alice.practice_id, seconds=9000)
    _wait(PracticeFactory.create().id, seconds=9000)
    page = words(as_alice.get(URL))
    assert ("Messages are delayed since 12:21; nothing is lost." in page) is is_told
    assert ("delayed" in page) is is_told


def _wait(practice_id: UUID, *, seconds: int, subject_id: UUID | None = None) -> None:
    with tenancy.practice(practice_id):
        OutboxMessage.objects.create(
            practice_id=practice_id,
            kind="feedback_request",
            subject_id=subject_id or uuid4(),
            not_before=timezone.now() + timedelta(minutes=9),
            due_at=timezone.now() - timedelta(seconds=seconds),
        )


def test_three_hundred_clients_cost_as_many_queries_as_three(
    alice: Membership,
    charlie: Membership,
    sign_in: Callable[[Membership], Browser],
    falling_caseload: Callable[..., None],
) -> None:
    falling_caseload([alice] * 3)
    falling_caseload([charlie] * 300)
    counts = []
    for member, expected in ((alice, b"1\xe2\x80\x933 of 3"), (charlie, b"1\xe2\x80\x9312 of 300")):
        browser = sign_in(member)
        with CaptureQueriesContext(
            connection,
        ) as queries:
            assert expected in browser.get(URL).content
        counts.append(len(queries))
    assert counts[0] == counts[1] > 0
