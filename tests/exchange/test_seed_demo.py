"""The demo practice: believable, the same each time, nothing in it waits to be sent."""

from collections import Counter
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
import time_machine
from django.db import transaction
from django.utils import timezone

from apps.accounts.models import Membership, Practice, Role, User
from apps.accounts.notices import unread
from apps.alliance.models import AllianceRating
from apps.clients.models import Client, ContactChannel, Treatment
from apps.core.models import OutboxMessage
from apps.exchange.demo.cast import MANAGER, SUPERVISOR, THERAPISTS
from apps.exchange.demo.seed import PASSPHRASE, seed_demo, take_down
from apps.feedback.asking import why_not_agreed
from apps.feedback.models import FeedbackRequest
from apps.ruptures.detection import Level
from apps.ruptures.models import RuptureEpisode, Screening
from apps.ruptures.services import screen_treatment
from apps.supervision.models import Meeting
from apps.therapy_sessions.models import TherapySession

LONDON = ZoneInfo("Europe/London")
THURSDAY_NOON = datetime(2026, 11, 19, 12, 24, tzinfo=LONDON)
NOW = THURSDAY_NOON.astimezone(UTC)
PEOPLE = [person for therapist in THERAPISTS for person in therapist.clients]
MODELS = (
    Practice,
    Membership,
    Client,
    ContactChannel,
    Treatment,
    TherapySession,
    AllianceRating,
    Screening,
    RuptureEpisode,
    FeedbackRequest,
    OutboxMessage,
)

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("as_owner")]


@pytest.fixture(scope="module")
def made(django_db_setup, django_db_blocker):
    """The demo practice, made once for all tests of this file and taken back at their end."""
    with django_db_blocker.unblock(), transaction.atomic():
        with time_machine.travel(THURSDAY_NOON, tick=False):
            seed_demo()
        yield
        transaction.set_rollback(True)


@pytest.fixture
def demo(made, db):
    """The demo practice on a Thursday at noon, with the clock standing still."""
    with time_machine.travel(THURSDAY_NOON, tick=False):
        yield Practice.objects.get()


def figures() -> list[tuple]:
    """What a second making must repeat: codes, starts by the clock, what the filter said."""
    steps = (
        Screening.objects.current()
        .order_by("treatment__client__code", "therapy_session__starts_at")
        .values_list("treatment__client__code", "therapy_session__starts_at", "outputs")
    )
    return [
        (code, starts_at.astimezone(LONDON).replace(tzinfo=None), outputs)
        for code, starts_at, outputs in steps
    ]


def status(treatment: Treatment) -> str:
    """The pill on the caseload."""
    episode = treatment.episodes.open().first()
    if episode:
        recovering = "recovering" if episode.recovering_since else "possible"
        return "marked" if episode.marked_at and not episode.recovering_since else recovering
    steps = treatment.screenings.current().order_by("therapy_session__starts_at")
    newest = steps.last()
    outcome = treatment.episodes.exclude(outcome="").order_by("outcome_at").last()
    if newest and newest.level >= Level.WATCH:
        return "watch"
    recent = timezone.now() - timedelta(days=28)
    if outcome and outcome.outcome == "repaired" and outcome.outcome_at >= recent:
        return "repaired"
    if newest and newest.at_maximum_run >= 5:
        return "little_room"
    rated = steps.filter(pomp__isnull=False).count()
    if rated == 0:
        return "not_asked"
    return "baseline_forming" if rated < 3 else "none"


def test_each_status_is_there(demo):
    shown = Counter(map(status, Treatment.objects.all()))
    assert sum(shown.values()) == 40
    assert set(shown) == {
        *("marked", "possible", "recovering", "watch", "repaired"),
        *("little_room", "baseline_forming", "not_asked", "none"),
    }
    assert shown["none"] >= 12


def test_the_first_therapist_sees_each_status_on_one_page(demo):
    hers = Treatment.objects.filter(therapist__name=THERAPISTS[0].name)
    assert len(set(map(status, hers))) == 9


def test_there_are_three_therapists_a_supervisor_and_a_manager(demo):
    roles = Counter(role for member in Membership.objects.all() for role in member.roles)
    assert roles == {Role.THERAPIST: 3, Role.SUPERVISOR: 1, Role.MANAGER: 1}
    supervisor = Membership.objects.with_role(Role.SUPERVISOR).get()
    assert Client.objects.visible_to(supervisor).count() == 40


def test_nothing_waits_to_be_sent(demo):
    states = Counter(OutboxMessage.objects.values_list("state", flat=True))
    assert set(states) == {"sent", "failed"}
    assert states["failed"] == 1
    assert not OutboxMessage.objects.filter(sent_at__gt=timezone.now()).exists()


def test_requests_are_answered_expired_and_open(demo):
    states = Counter(FeedbackRequest.objects.values_list("state", flat=True))
    assert set(states) == {"answered", "expired", "open"}
    assert 3 <= states["open"] <= 8
    assert not FeedbackRequest.objects.run_out(at=timezone.now()).exists()
    assert FeedbackRequest.objects.filter(
        state="open", therapy_session__starts_at__date=timezone.now().date()
    ).exists()


def test_the_supervisor_has_a_shared_a_marked_and_a_waiting_episode(demo):
    supervisor = Membership.objects.with_role(Role.SUPERVISOR).get()
    queue = RuptureEpisode.objects.for_supervisor(supervisor)
    assert queue.filter(shared_at__isnull=False).exists()
    assert queue.filter(marked_at__isnull=False, shared_at=None).exists()
    waiting = timezone.now() - timedelta(hours=72)
    assert queue.filter(acknowledged_at=None, marked_at=None, opened_at__lte=waiting).exists()
    assert Meeting.objects.get(supervisor=supervisor).starts_at > timezone.now()


def test_outcomes_were_recorded_between_two_screenings(demo):
    outcomes = Counter(RuptureEpisode.objects.exclude(outcome="").values_list("outcome", flat=True))
    assert outcomes["repaired"] >= 4
    assert outcomes["not_a_rupture"] == 1
    episode = RuptureEpisode.objects.get(outcome="not_a_rupture")
    before, after = (
        episode.treatment.screenings.filter(known_at__lte=episode.outcome_at).latest("known_at"),
        episode.treatment.screenings.filter(known_at__gt=episode.outcome_at).earliest("known_at"),
    )
    assert before.state_after["open"] is True
    assert after.state_before["open"] is False
    assert not RuptureEpisode.objects.filter(outcome="superseded").exists()


def test_screening_it_all_again_changes_nothing(demo):
    before = figures()
    for treatment in Treatment.objects.all():
        first = treatment.therapy_sessions.exclude(attendance="").earliest("starts_at")
        questionnaire = treatment.screenings.first().questionnaire
        args = {"treatment": treatment, "questionnaire": questionnaire, "since": first}
        assert screen_treatment(**args, at=timezone.now()) == []
    assert figures() == before
    assert not any(unread(member) for member in Membership.objects.all()), "told long ago"


def test_every_client_has_believable_data(demo):
    now = timezone.now()
    for client in Client.objects.prefetch_related("channels"):
        sessions = TherapySession.objects.filter(treatment__client=client).order_by("starts_at")
        held = sessions.exclude(attendance="")
        assert held.exists()
        assert all(session.ends_at <= now for session in held)
        assert client.discussed_on == held[0].starts_at.date() == client.treatments.get().starts_on
        assert now.date() - client.discussed_on < timedelta(days=180)
        assert sessions.filter(attendance="", starts_at__gt=now).count() >= 3
        assert client.channels.get().address.endswith("@mail.example")
        assert len(client.initials) == 5
    today = timezone.localdate()
    agreed = [
        client
        for client in Client.objects.all()
        if not why_not_agreed(client, on=today, by_message=True)
    ]
    assert len(agreed) == 39


def test_ratings_come_after_the_session_and_before_the_form_runs_out(demo):
    answered = FeedbackRequest.objects.filter(state="answered").select_related(
        "rating", "therapy_session"
    )
    assert len(answered) > 400
    for request in answered:
        assert request.therapy_session.ends_at < request.due_at < request.expires_at
        assert request.due_at < request.rating.answered_at < request.expires_at
        assert request.rating.answered_at <= timezone.now()


def test_every_comment_of_the_cast_is_there(demo):
    said = sorted(comment for person in PEOPLE for comment in person.says.values())
    assert sorted(each.comment for each in AllianceRating.objects.exclude(comment="")) == said
    assert AllianceRating.objects.exclude(causes=[]).exists()


def test_there_are_no_shows_cancellations_own_views_and_tension(demo):
    attendance = Counter(TherapySession.objects.values_list("attendance", flat=True))
    assert min(attendance[each] for each in TherapySession.Attendance.values) >= 2
    assert TherapySession.objects.filter(own_bond__isnull=False).count() > 300
    assert TherapySession.objects.filter(tension__gte=1).exists()


def test_no_name_of_a_client_is_stored_anywhere(demo):
    names = {word for member in Membership.objects.all() for word in member.name.split()}
    for rating in AllianceRating.objects.exclude(comment=""):
        assert not names & set(rating.comment.replace(".", " ").split())
    for user in User.objects.all():
        assert user.email.endswith("@fernbank.example")


@pytest.mark.parametrize("therapist", THERAPISTS, ids=lambda therapist: therapist.name)
def test_today_has_sessions_logged_one_to_log_and_some_to_come(demo, therapist):
    today = TherapySession.objects.filter(
        treatment__therapist__name=therapist.name, starts_at__date=THURSDAY_NOON.date()
    ).order_by("starts_at")
    assert 4 <= len(today) <= 6
    logged = [session for session in today if session.attendance]
    to_log = [session for session in today if not session.attendance and session.ends_at <= NOW]
    assert len(logged) == 2
    assert len(to_log) == 1
    assert NOW - to_log[0].ends_at < timedelta(minutes=20)
    assert today.last().starts_at > NOW


@pytest.mark.parametrize("therapist", THERAPISTS, ids=lambda therapist: therapist.name)
def test_no_therapist_sees_two_clients_at_once(demo, therapist):
    starts = TherapySession.objects.filter(treatment__therapist__name=therapist.name).values_list(
        "starts_at", flat=True
    )
    assert max(Counter(starts).values()) == 1


def test_the_sign_ins_open(demo, client):
    for colleague in (THERAPISTS[0], SUPERVISOR, MANAGER):
        assert client.login(username=colleague.email, password=PASSPHRASE)


def test_an_earlier_days_practice_is_taken_down_though_somebody_holds_its_records(demo):
    practice = Practice.objects.get()
    practice.record_holder = Membership.objects.first()
    practice.save()
    take_down(practice)
    assert not any(model.objects.exists() for model in MODELS)
