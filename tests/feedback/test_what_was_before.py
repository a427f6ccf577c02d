"""Sessions with the therapist before are none of the next one's: neither logged nor asked about."""

from datetime import timedelta
from typing import Any

import pytest
from django.http import Http404
from django.test import Client as Browser
from django.urls import reverse
from django.utils import timezone

from apps.accounts.models import Membership
from apps.clients.handing_over import pass_on
from apps.clients.models import Treatment
from apps.endings.services import close_treatment, reopen_treatment
from apps.feedback.correct_views import AFTER_THE_END
from apps.feedback.corrections import plan_sessions
from apps.feedback.models import FeedbackRequest
from apps.feedback.services import log_session_and_ask
from apps.therapy_sessions.models import TherapySession
from tests.accounts.conftest import shown
from tests.factories import TherapySessionFactory, TreatmentFactory

pytestmark = pytest.mark.django_db
SAID = "On that day another therapist treated the client"


@pytest.fixture
def came(alice: Membership, charlie: Membership) -> Treatment:
    """Alice's treatment of a client who came to her from charlie two days ago."""
    before = TreatmentFactory.create(therapist=charlie)
    day = timezone.localdate() - timedelta(days=2)
    return pass_on(before, to=alice, on=day, by=charlie)


def days_ago(days: int) -> str:
    return (timezone.localdate() - timedelta(days=days)).isoformat()


@pytest.mark.parametrize(("days", "status"), [(3, 200), (2, 302)])
def test_a_session_of_before_is_neither_logged_nor_asked_about(
    came: Treatment, as_alice: Browser, days: int, status: int
) -> None:
    sent = {"treatment": came.id, "held_on": days_ago(days), "start": "10:00", "minutes": "50"}
    page = as_alice.post(
        reverse("log_session"), sent | {"attendance": "attended", "ask_by": "email"}
    )
    assert (page.status_code, SAID in shown(page)) == (status, status == 200)
    assert FeedbackRequest.objects.exists() is (status == 302)


@pytest.mark.parametrize("route", ["move_session", "correct_session"])
def test_nor_is_one_moved_or_corrected_to_a_day_of_before(
    came: Treatment, as_alice: Browser, route: str
) -> None:
    about: dict[str, Any] = {}
    if route == "move_session":
        about = {"attendance": "", "starts_at": timezone.now() + timedelta(days=1)}
    session = TherapySessionFactory.create(treatment=came, **about)
    sent = {"held_on": days_ago(3), "start": "10:00", "minutes": "50"}
    if route == "correct_session":
        sent["attendance"] = "attended"
    page = as_alice.post(reverse(route, args=[session.id]), sent)
    assert SAID in shown(page)
    assert TherapySession.objects.get().starts_at == session.starts_at


def test_nor_is_one_planned_there(came: Treatment, as_alice: Browser) -> None:
    sent = {"first_on": days_ago(3), "start": "10:00", "minutes": "50", "every_weeks": "0"}
    page = as_alice.post(reverse("plan_sessions", args=[came.client_id]), sent | {"count": "1"})
    assert SAID in shown(page)
    assert not TherapySession.objects.exists()


@pytest.mark.parametrize(("taken_back", "days"), [(0, 1), (0, 5), (4, 5)])
def test_who_gets_a_client_back_logs_what_they_held_before(
    alice: Membership, charlie: Membership, as_alice: Browser, taken_back: int, days: int
) -> None:
    """What a manager gave to the wrong one and took back on that day was nobody else's."""
    own = TreatmentFactory.create(therapist=alice)
    today = timezone.localdate()
    theirs = pass_on(own, to=charlie, on=today - timedelta(days=taken_back), by=alice)
    back = pass_on(theirs, to=alice, on=today, by=alice)
    sent = {"treatment": back.id, "held_on": days_ago(days), "start": "10:00", "minutes": "50"}
    sent |= {"attendance": "attended", "ask_by": "email"}
    assert as_alice.post(reverse("log_session"), sent).status_code == 302


def test_where_nobody_treated_the_client_before_each_day_is_ones_own(
    alice: Membership, as_alice: Browser
) -> None:
    """Also before the day that was written down as the first one."""
    treatment = TreatmentFactory.create(therapist=alice, starts_on=timezone.localdate())
    sent = {"treatment": treatment.id, "held_on": days_ago(3), "start": "10:00", "minutes": "50"}
    sent |= {"attendance": "attended", "ask_by": "email"}
    assert as_alice.post(reverse("log_session"), sent).status_code == 302


@pytest.mark.parametrize("first_in", [0, 7])
def test_what_was_held_before_a_hand_over_on_the_first_day_stays_theirs(
    alice: Membership, charlie: Membership, as_alice: Browser, first_in: int
) -> None:
    """Also where the day that was written down as the first one is still to come by then."""
    today = timezone.localdate()
    theirs = TreatmentFactory.create(therapist=charlie, starts_on=today + timedelta(days=first_in))
    TherapySessionFactory.create(treatment=theirs, starts_at=timezone.now() - timedelta(days=3))
    new = pass_on(theirs, to=alice, on=today, by=charlie)
    sent = {"treatment": new.id, "held_on": days_ago(3), "start": "10:00", "minutes": "50"}
    page = as_alice.post(
        reverse("log_session"), sent | {"attendance": "attended", "ask_by": "email"}
    )
    assert SAID in shown(page)
    assert not FeedbackRequest.objects.exists()


def test_a_day_on_which_nobody_treated_the_client_is_of_who_did_next(
    alice: Membership, charlie: Membership, as_alice: Browser
) -> None:
    today = timezone.localdate()
    before = TreatmentFactory.create(
        therapist=charlie,
        starts_on=today - timedelta(days=190),
        ends_on=today - timedelta(days=60),
    )
    own = TreatmentFactory.create(therapist=alice, client=before.client, starts_on=today)
    sent = {"treatment": own.id, "held_on": days_ago(5), "start": "10:00", "minutes": "50"}
    sent |= {"attendance": "attended", "ask_by": "email"}
    assert as_alice.post(reverse("log_session"), sent).status_code == 302


def test_what_was_given_for_an_hour_in_releases_of_before_hides_nobodys_days(
    alice: Membership, charlie: Membership
) -> None:
    """Such a treatment stands first in the chain, whenever it was (`clients` 0021)."""
    today = timezone.localdate()
    hour = today - timedelta(days=120)
    given = TreatmentFactory.create(therapist=charlie, starts_on=hour, ends_on=hour)
    hers = TreatmentFactory.create(
        therapist=alice,
        client=given.client,
        starts_on=today - timedelta(days=200),
        ends_on=today - timedelta(days=90),
    )
    his = TreatmentFactory.create(therapist=charlie, client=given.client, starts_on=hers.ends_on)
    for day in (150, 250):
        assert his.was_anothers(today - timedelta(days=day))
    his.delete()
    Treatment.objects.filter(id=hers.id).update(ends_on=None)
    for day in (150, 250):
        assert not hers.was_anothers(today - timedelta(days=day))


@pytest.mark.parametrize("writes", [log_session_and_ask, plan_sessions])
def test_nothing_is_written_into_a_treatment_that_was_closed_and_begun_again_meanwhile(
    alice: Membership, writes: Any
) -> None:
    """Where the form was found valid before, and waited for its turn with the client."""
    before = TreatmentFactory.create(therapist=alice)
    ending = close_treatment(treatment=before, how="agreed", review="", by=alice)
    goes_on = reopen_treatment(ending=ending, by=alice)
    now = timezone.now()
    what: dict[str, Any] = {"first_starts_at": now + timedelta(hours=2)}
    if writes == log_session_and_ask:
        what = {"ask_by": "", "starts_at": now, "attendance": "no_show", "own_view": {}}
    with pytest.raises(Http404):
        writes(treatment=before, duration_min=50, by=alice, **what)
    writes(treatment=goes_on, duration_min=50, by=alice, **what)
    assert TherapySession.objects.get().treatment == goes_on


def test_a_form_that_was_asked_for_as_the_treatment_got_its_end_ends_with_it(
    alice: Membership, charlie: Membership
) -> None:
    """Or charlie could not ask the client for days: the log had read the treatment before."""
    own = TreatmentFactory.create(therapist=alice)
    as_it_was = Treatment.objects.get(id=own.id)
    pass_on(own, to=charlie, on=timezone.localdate() + timedelta(days=1), by=alice)
    held = {"starts_at": timezone.now() - timedelta(hours=1), "attendance": "attended"}
    log_session_and_ask(
        treatment=as_it_was, duration_min=50, ask_by="email", own_view={}, by=alice, **held
    )
    own.refresh_from_db()
    assert own.ends_at
    assert FeedbackRequest.objects.get().expires_at <= own.ends_at


def test_past_ones_own_end_nothing_is_planned_and_the_page_says_why(
    alice: Membership, charlie: Membership, as_alice: Browser
) -> None:
    own = TreatmentFactory.create(therapist=alice)
    pass_on(own, to=charlie, on=timezone.localdate() + timedelta(days=5), by=alice)
    sent = {"first_on": days_ago(-7), "start": "10:00", "minutes": "50", "every_weeks": "0"}
    page = as_alice.post(reverse("plan_sessions", args=[own.client_id]), sent | {"count": "1"})
    assert str(AFTER_THE_END) in shown(page)
    assert not TherapySession.objects.exists()


def test_a_series_is_planned_on_days_of_ones_own_alone(
    alice: Membership, charlie: Membership, as_alice: Browser
) -> None:
    """Or those on a colleague's could be neither logged, moved nor cancelled."""
    own = TreatmentFactory.create(therapist=alice)
    today = timezone.localdate()
    theirs = pass_on(own, to=charlie, on=today - timedelta(days=30), by=alice)
    pass_on(theirs, to=alice, on=today - timedelta(days=5), by=alice)
    sent = {"first_on": days_ago(37), "start": "10:00", "minutes": "50", "every_weeks": "1"}
    page = as_alice.post(reverse("plan_sessions", args=[own.client_id]), sent | {"count": "4"})
    assert SAID in shown(page)
    assert not TherapySession.objects.exists()


def test_given_and_taken_back_before_the_first_day_a_client_was_never_anothers(
    alice: Membership, charlie: Membership
) -> None:
    """All three treatments are of one day: of many clients, as the order could be by chance."""
    today = timezone.localdate()
    for _ in range(6):
        own = TreatmentFactory.create(therapist=alice, starts_on=today + timedelta(days=7))
        theirs = pass_on(own, to=charlie, on=today, by=alice)
        back = pass_on(theirs, to=alice, on=today, by=alice)
        assert not back.was_anothers(today - timedelta(days=3))


def test_who_closes_and_begins_again_on_the_day_of_a_hand_over_gets_no_day_of_before(
    alice: Membership, charlie: Membership
) -> None:
    """Recorded ahead by alice, handed to charlie, closed and begun again by him on one day: of many
    clients, as the order could be by chance."""
    today = timezone.localdate()
    for _ in range(6):
        hers = TreatmentFactory.create(therapist=alice, starts_on=today + timedelta(days=7))
        his = pass_on(hers, to=charlie, on=today, by=alice)
        ending = close_treatment(treatment=his, how="agreed", review="", by=charlie)
        again = reopen_treatment(ending=ending, by=charlie)
        assert again.was_anothers(today - timedelta(days=3))


def test_what_one_closed_and_began_again_before_a_hand_over_is_of_who_had_it_last(
    alice: Membership, charlie: Membership
) -> None:
    """Closed by alice two months ago; begun again, handed over, all on one day: the days between
    are hers, who could write about them until then."""
    today = timezone.localdate()
    closed = TreatmentFactory.create(therapist=alice)
    ending = close_treatment(treatment=closed, how="agreed", review="", by=alice)
    Treatment.objects.update(ends_on=today - timedelta(days=60))
    new = pass_on(reopen_treatment(ending=ending, by=alice), to=charlie, on=today, by=alice)
    assert [new.was_anothers(today - timedelta(days=each)) for each in (90, 3, 0)] == [1, 1, 0]
