"""What a supervisor sees, from when, and what never."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.db import connection
from django.http import HttpResponse
from django.test import Client as Browser
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from apps.accounts.models import Membership, Role, Supervision
from apps.alliance.models import AllianceRating
from apps.clients.models import Treatment
from apps.core import tenancy
from apps.core.models import AuditEntry
from apps.ruptures.models import RuptureEpisode
from apps.ruptures.repair import set_causes
from apps.ruptures.services import acknowledge_episode, record_outcome, share_episode
from tests.factories import MembershipFactory, SupervisionFactory, TreatmentFactory, comment_on

pytestmark = pytest.mark.django_db
URL = "/supervision/"
FALL = [90, 90, 80, 90, 90, 90, 80, 90, 70]

Words = Callable[[HttpResponse], str]


@pytest.fixture
def falling(alice: Membership) -> Treatment:
    return TreatmentFactory.create(therapist=alice, falling=True)


@pytest.fixture
def quiet(falling: Treatment) -> RuptureEpisode:
    """An open episode that is neither marked, shared nor waiting long."""
    falling.episodes.update(marked_at=None, opened_at=timezone.now() - timedelta(hours=71))
    return falling.episodes.get()


def queue(page: str) -> str:
    return page.partition("Waiting for a conversation")[2].partition("A to Z.")[0]


def address(episode: RuptureEpisode) -> str:
    return reverse("supervised_episode", args=[episode.id])


def test_only_supervisors_may_look(as_alice: Browser, as_mona: Browser, as_sam: Browser) -> None:
    assert as_alice.get(URL).status_code == 403
    assert as_mona.get(URL).status_code == 403
    assert as_sam.get(URL).status_code == 200
    assert as_sam.post(URL).status_code == 405


def test_a_marked_episode_is_there_at_once(
    falling: Treatment, as_sam: Browser, words: Words
) -> None:
    page = words(as_sam.get(URL))
    assert falling.client.code in queue(page)
    assert "Rated 70; usually 80–98, from 8 earlier ratings." in queue(page)
    assert "Alice Moreau Marked on 18 Nov" in queue(page)


def test_a_quiet_episode_is_a_code_among_codes(
    quiet: RuptureEpisode, as_sam: Browser, words: Words
) -> None:
    page = words(as_sam.get(URL))
    code = quiet.treatment.client.code
    assert code not in queue(page)
    assert f"Other current clients, codes only {code}" in page
    assert as_sam.get(address(quiet)).status_code == 404


def test_sharing_makes_none_younger_nor_leaves_it_out_where_one_looks_for_marked_ones(
    falling: Treatment, alice: Membership, as_sam: Browser, words: Words
) -> None:
    episode = falling.episodes.get()
    long_ago = timezone.now() - timedelta(days=15)
    falling.episodes.update(opened_at=long_ago, marked_at=long_ago)
    share_episode(episode=episode, by=alice)
    page = queue(words(as_sam.get(URL)))
    assert "15 days" in page
    assert "Shared by Alice" in page
    for why in ("marked", "shared"):
        assert falling.client.code in queue(words(as_sam.get(URL, {"why": why})))


def test_how_the_fall_itself_was_entered_is_not_said_of_the_ratings_that_are_back(
    alice: Membership, as_sam: Browser, words: Words
) -> None:
    treatment = TreatmentFactory.create(therapist=alice, pomps=[*FALL, 90, 90, 90])
    AllianceRating.objects.update(mode="link")
    AllianceRating.objects.filter(therapy_session=treatment.episodes.get().opened_by).update(
        mode="paper"
    )
    page = queue(words(as_sam.get(URL)))
    assert "Back in the usual range" in page
    assert "entered from paper" not in page
    table = words(as_sam.get(address(treatment.episodes.get())))
    assert "Possible rupture opened, marked · Entered from paper" in table


@pytest.mark.parametrize("mode", ["link", "paper", "room"])
def test_that_ratings_are_back_is_said_with_how_many_the_therapist_handled(
    alice: Membership, as_sam: Browser, words: Words, mode: str
) -> None:
    """Else two invented sheets of paper end a flag."""
    treatment = TreatmentFactory.create(therapist=alice, pomps=[*FALL, 90, 90, 90])
    episode = treatment.episodes.get()
    newest = treatment.therapy_sessions.latest("starts_at")
    newest.ratings.update(mode=mode)
    AllianceRating.objects.exclude(therapy_session=newest).update(mode="link")
    said = "Since it opened, one rating was entered from paper or answered in the room."
    assert "Back in the usual range" in queue(words(as_sam.get(URL)))
    assert (said in queue(words(as_sam.get(URL)))) is (mode != "link")
    page = words(as_sam.get(address(episode)))
    assert (said in page) is (mode != "link")
    assert ("Entered from paper" in page) is (mode == "paper")
    assert ("Answered in the room" in page) is (mode == "room")


def test_sharing_shows_it(
    quiet: RuptureEpisode, alice: Membership, as_sam: Browser, words: Words
) -> None:
    share_episode(episode=quiet, by=alice)
    page = words(as_sam.get(URL))
    assert "Today" in queue(page)
    assert "Shared by Alice on 19 Nov" in queue(page)
    assert as_sam.get(address(quiet)).status_code == 200


@pytest.mark.parametrize(("hours", "status"), [(71, 404), (72, 200)])
def test_waiting_unacknowledged_shows_it(
    quiet: RuptureEpisode, as_sam: Browser, hours: int, status: int
) -> None:
    RuptureEpisode.objects.update(opened_at=timezone.now() - timedelta(hours=hours))
    assert as_sam.get(address(quiet)).status_code == status


def test_the_practice_decides_how_long_is_long_for_what_opens_from_then_on(
    quiet: RuptureEpisode, as_sam: Browser, words: Words
) -> None:
    practice = quiet.practice
    practice.supervisor_wait_hours = 1
    practice.save()
    assert as_sam.get(address(quiet)).status_code == 404
    RuptureEpisode.objects.update(wait_hours=71)
    assert "Waited 71 hours" in queue(words(as_sam.get(URL)))


def test_an_acknowledged_episode_does_not_wait(
    quiet: RuptureEpisode, alice: Membership, as_sam: Browser
) -> None:
    acknowledge_episode(episode=quiet, by=alice)
    RuptureEpisode.objects.update(opened_at=timezone.now() - timedelta(hours=100))
    assert as_sam.get(address(quiet)).status_code == 404


def test_an_outcome_closes_it_to_the_supervisor(
    falling: Treatment, alice: Membership, as_sam: Browser
) -> None:
    episode = falling.episodes.get()
    record_outcome(episode=episode, outcome=episode.Outcome.REPAIRED, by=alice)
    assert as_sam.get(address(episode)).status_code == 404


def test_when_supervision_ends_access_ends(
    falling: Treatment, as_sam: Browser, words: Words
) -> None:
    assert as_sam.get(address(falling.episodes.get())).status_code == 200
    Supervision.objects.update(ends_on=timezone.localdate() - timedelta(days=1))
    assert as_sam.get(address(falling.episodes.get())).status_code == 404
    page = words(as_sam.get(URL))
    assert falling.client.code not in page
    assert "Nobody is recorded as supervised by you today." in page


def test_strangers_find_nothing(
    falling: Treatment, charlie: Membership, dora: Membership, sign_in: Callable[..., Browser]
) -> None:
    for member in (charlie, dora):
        with tenancy.practice(member.practice_id):
            member.roles = [Role.SUPERVISOR]
            member.save()
        assert sign_in(member).get(address(falling.episodes.get())).status_code == 404


def test_the_therapist_has_their_own_page_for_it(
    falling: Treatment, as_alice: Browser, as_mona: Browser, as_sam: Browser
) -> None:
    url = address(falling.episodes.get())
    assert as_alice.get(url).status_code == 403
    assert as_mona.get(url).status_code == 403
    assert as_sam.post(url).status_code == 405


def test_one_look_leaves_one_audit_entry(
    falling: Treatment, sam: Membership, as_sam: Browser
) -> None:
    before = AuditEntry.objects.count()
    as_sam.get(address(falling.episodes.get()))
    assert AuditEntry.objects.count() == before + 1
    entry = AuditEntry.objects.get(action="view episode")
    assert (entry.actor_id, entry.client_ids) == (sam.id, [falling.client_id])


def test_the_episode_is_read_by_code_without_comments(
    falling: Treatment, as_sam: Browser, words: Words
) -> None:
    falling.client.initials = "Z. Q."
    falling.client.save()
    set_causes(episode=falling.episodes.get(), causes=["misunderstanding"], by=falling.therapist)
    comment_on(falling.therapy_sessions.latest("starts_at"), "I felt rushed.")
    for url in (URL, address(falling.episodes.get())):
        page = words(as_sam.get(url))
        assert falling.client.code in page
        assert "Z. Q." not in page
        assert "rushed" not in page
    assert "Miscommunication or misunderstanding" in page
    assert "Rated 70; usually 80–98, from 8 earlier ratings." in page
    assert "Opened Yesterday, 15:24, session 9" in page
    assert "Acknowledged Not yet" in page


def test_reasons_speak_of_the_therapist_by_name(
    falling: Treatment, as_sam: Browser, words: Words
) -> None:
    session = falling.therapy_sessions.latest("starts_at")
    screening = session.screenings.get()
    screening.inputs["therapist_tension"] = 0
    screening.outputs["evidence"]["therapist"] = -0.27
    screening.save()
    page = words(as_sam.get(address(falling.episodes.get())))
    assert "Alice Moreau did not notice tension." in page
    assert "You did not notice" not in page


def test_ratings_long_before_the_episode_are_not_shown(
    alice: Membership, as_sam: Browser, sam: Membership, words: Words
) -> None:
    treatment = TreatmentFactory.create(therapist=alice, pomps=[90, 80] * 10 + [60])
    share_episode(episode=treatment.episodes.get(), by=alice)
    page = words(as_sam.get(address(treatment.episodes.get())))
    assert "sessions 13 to 21" in page
    assert "Baseline forming" not in page


def test_an_earlier_episode_is_not_shown_with_this_one(
    alice: Membership, sam: Membership, as_sam: Browser, words: Words
) -> None:
    treatment = TreatmentFactory.create(therapist=alice, pomps=[*FALL, 90, 90, 90, 90])
    first = treatment.episodes.get()
    record_outcome(episode=first, outcome=first.Outcome.NOT_A_RUPTURE, reason="Ill.", by=alice)
    second = RuptureEpisode.objects.create(
        practice=first.practice,
        treatment=treatment,
        questionnaire=first.questionnaire,
        opened_by=treatment.therapy_sessions.latest("starts_at"),
        opened_at=timezone.now(),
        marked_at=timezone.now(),
    )
    page = words(as_sam.get(address(second)))
    assert "sessions 5 to 13" in page
    assert "Not a rupture" not in page
    assert "Possible rupture opened" not in page


def test_watch_never_reaches_a_supervisor(
    alice: Membership, sam: Membership, as_sam: Browser, words: Words
) -> None:
    treatment = TreatmentFactory.create(therapist=alice, pomps=[90, 80, 90, 90, 80, 90])
    treatment.screenings.update(level=1)
    page = words(as_sam.get(URL)).split("Who sees this page")[0]
    assert "watch" not in page.lower()
    assert "No episode waits for you" in page
    assert f"codes only {treatment.client.code}" in page


def test_the_longest_waiting_come_first(
    alice: Membership, sam: Membership, as_sam: Browser, words: Words
) -> None:
    codes = []
    for days in (2, 9, 5):
        treatment = TreatmentFactory.create(therapist=alice, falling=True)
        treatment.episodes.update(
            marked_at=timezone.now() - timedelta(days=days),
            opened_at=timezone.now() - timedelta(days=days),
        )
        codes.append(treatment.client.code)
    shown = queue(words(as_sam.get(URL)))
    assert shown.find(codes[1]) < shown.find(codes[2]) < shown.find(codes[0])
    assert "9 days" in shown


def test_supervisees_stand_a_to_z_and_nothing_is_counted(
    alice: Membership, charlie: Membership, sam: Membership, as_sam: Browser, words: Words
) -> None:
    SupervisionFactory.create(
        supervisor=sam, supervisee=charlie, ends_on=timezone.localdate() + timedelta(days=30)
    )
    for _ in range(2):
        TreatmentFactory.create(therapist=charlie, falling=True)
    panels = words(as_sam.get(URL)).partition("A to Z.")[2]
    assert panels.find("Alice Moreau") < panels.find("Charlie Nowak")
    assert "since 21 Aug, until 19 Dec" in panels
    assert "%" not in panels


def test_the_queue_can_be_narrowed(
    falling: Treatment,
    alice: Membership,
    charlie: Membership,
    sam: Membership,
    as_sam: Browser,
    words: Words,
) -> None:
    SupervisionFactory.create(supervisor=sam, supervisee=charlie)
    theirs = TreatmentFactory.create(therapist=charlie, falling=True)
    share_episode(episode=theirs.episodes.get(), by=charlie)
    of_alice = queue(words(as_sam.get(URL, {"supervisee": str(alice.id)})))
    assert falling.client.code in of_alice
    assert theirs.client.code not in of_alice
    shared = queue(words(as_sam.get(URL, {"why": "shared"})))
    assert theirs.client.code in shared
    assert falling.client.code not in shared
    both = queue(words(as_sam.get(URL, {"why": "shared", "supervisee": str(alice.id)})))
    assert "Show all episodes" in both


def test_a_filter_that_is_none_hides_no_episode(
    falling: Treatment, as_sam: Browser, words: Words
) -> None:
    page = words(as_sam.get(URL, {"why": "x", "supervisee": "somebody of last year"}))
    assert falling.client.code in queue(page)


def test_sixty_supervisees_cost_as_many_queries_as_three(
    practice: object, sign_in: Callable[..., Browser], falling_caseload: Callable[..., None]
) -> None:
    counts = []
    for size in (3, 60):
        supervisor = MembershipFactory.create(practice=practice, roles=[Role.SUPERVISOR])
        supervisees = Membership.objects.bulk_create(
            Membership(practice=practice, name=f"Therapist {n}", roles=[Role.THERAPIST])
            for n in range(size)
        )
        for supervisee in supervisees:
            SupervisionFactory.create(supervisor=supervisor, supervisee=supervisee)
        falling_caseload(supervisees)
        browser = sign_in(supervisor)
        with CaptureQueriesContext(connection) as queries:
            page = browser.get(URL).content.decode()
        assert page.count("Marked on 18 Nov") == 2 * size
        counts.append(len(queries))
    assert counts[0] == counts[1] > 0
