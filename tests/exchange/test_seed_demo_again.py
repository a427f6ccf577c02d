"""`manage.py seed_demo` run again, on another day, at any hour."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from io import StringIO
from itertools import islice, pairwise

import pytest
import time_machine
from django.core.management import CommandError, call_command
from django.utils import timezone

from apps.accounts.models import Membership, Practice, Role, User
from apps.alliance.models import AllianceRating
from apps.clients.models import Client, ContactChannel, Treatment
from apps.core.models import OutboxMessage
from apps.exchange.demo.cast import MANAGER, SUPERVISOR, THERAPISTS
from apps.exchange.demo.days import SESSION, is_over, todays_starts, weekly_starts
from apps.exchange.demo.seed import PASSPHRASE
from apps.feedback.models import FeedbackRequest
from apps.feedback.selectors import choose_session
from apps.ruptures.models import RuptureEpisode, Screening
from apps.ruptures.notices import tell_about
from apps.therapy_sessions.models import TherapySession
from tests.exchange.test_seed_demo import LONDON, THURSDAY_NOON, figures, status

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("as_owner")]

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


def seed() -> str:
    printed = StringIO()
    call_command("seed_demo", stdout=printed)
    return printed.getvalue()


@pytest.fixture
def demo(db: None) -> Iterator[Practice]:
    """The demo practice on a Thursday at noon, with the clock standing still."""
    with time_machine.travel(THURSDAY_NOON, tick=False):
        seed()
        yield Practice.objects.get()


def ids() -> list[set]:
    return [set(model.objects.values_list("pk", flat=True)) for model in MODELS]


def test_a_second_run_changes_nothing_and_prints_the_sign_ins_again(demo):
    before = ids()
    printed = seed()
    assert ids() == before
    assert "there already" in printed
    for colleague in (THERAPISTS[0], SUPERVISOR, MANAGER):
        assert f"{colleague.email}" in printed
    assert printed.count(PASSPHRASE) == 3


def test_on_a_later_day_it_is_made_anew_and_other_practices_stay(demo, alice):
    old, others = demo.id, set(Membership.objects.filter(practice=alice.practice))
    users = set(User.objects.values_list("id", flat=True))
    with time_machine.travel(THURSDAY_NOON + timedelta(days=1), tick=False):
        assert "is ready" in seed()
        assert TherapySession.objects.filter(starts_at__date=timezone.localdate()).count() >= 12
    assert not Practice.objects.filter(id=old).exists()
    assert set(Membership.objects.filter(practice=alice.practice)) == others
    assert set(User.objects.values_list("id", flat=True)) == users
    for model in MODELS[2:]:
        assert not model.objects.filter(practice_id=old).exists()


def test_it_is_the_same_data_a_week_later(demo):
    before = figures()
    with time_machine.travel(THURSDAY_NOON + timedelta(weeks=1), tick=False):
        seed()
    shifted = [(code, at + timedelta(weeks=1), *rest) for code, at, *rest in before]
    assert figures() == shifted


def test_production_is_refused(settings):
    settings.PRODUCTION = True
    with pytest.raises(CommandError, match="not made in production"):
        seed()
    assert not Practice.objects.exists()


CLOCKS_GO_FORWARD, CLOCKS_GO_BACK = "2026-03-29", "2026-10-25"


def in_london(day: str, clock: str) -> datetime:
    """A moment that exists: what the clock skips in spring is an hour later by it."""
    wall = datetime.fromisoformat(f"{day} {clock}").replace(tzinfo=LONDON)
    return wall.astimezone(UTC).astimezone(LONDON)


@pytest.mark.parametrize(
    "day", [*(f"2026-11-{day}" for day in range(16, 23)), CLOCKS_GO_FORWARD, CLOCKS_GO_BACK]
)
@pytest.mark.parametrize(
    "clock", ["00:05", "00:59", "01:30", "02:30", "07:30", "12:24", "18:45", "23:55"]
)
def test_one_session_is_over_and_the_others_are_todays_at_any_hour(day, clock):
    now = in_london(day, clock)
    for therapist in THERAPISTS:
        count = sum(person.today is not None for person in therapist.clients)
        starts = todays_starts(now, count=count, pace_min=therapist.pace_min)
        assert len(starts) == count
        assert starts[0].astimezone(UTC) + SESSION <= now
        assert is_over(starts[0], now)
        assert {start.date() for start in starts[1:]} == {now.date()}
        assert starts[0].date() == now.date() or starts[1].astimezone(UTC) + SESSION > now
        in_utc = [start.astimezone(UTC) for start in starts]
        assert all(b - a >= SESSION for a, b in pairwise(in_utc))
        others = len(therapist.clients) - count
        assert len(set(islice(weekly_starts(now), others))) == others


@pytest.mark.parametrize(
    ("day", "clock"),
    [("2026-11-22", "00:05"), (CLOCKS_GO_FORWARD, "00:59"), (CLOCKS_GO_BACK, "23:55")],
)
def test_it_is_made_at_any_hour_and_each_therapist_has_one_session_to_log(day, clock):
    now = in_london(day, clock)
    with time_machine.travel(now, tick=False):
        seed()
        assert len(set(map(status, Treatment.objects.all()))) == 9
        assert not OutboxMessage.objects.filter(state="pending").exists()
        assert not TherapySession.objects.exclude(attendance="").filter(
            starts_at__gt=timezone.now()
        )
        for therapist in Membership.objects.with_role(Role.THERAPIST):
            offered = choose_session(therapist, at=now).session
            assert offered
            assert offered.ends_at <= now


def test_it_is_seeded_by_the_day_of_the_practice(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who supervises today is a question of its clock, not of the machine's."""
    clocks: set[str] = set()

    def note_clock(episode: RuptureEpisode) -> None:
        clocks.add(timezone.get_current_timezone_name())
        tell_about(episode)

    monkeypatch.setattr("apps.exchange.demo.seed.tell_about", note_clock)
    with time_machine.travel(THURSDAY_NOON, tick=False):
        seed()
    assert clocks == {"Europe/London"}
