"""A link that ran out can send a fresh one: to the recorded channel, while an answer counts."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from django.core import mail
from django.test import Client as Browser
from django.utils import timezone

from apps.accounts.models import Membership
from apps.clients.models import ContactChannel
from apps.core import outbox
from apps.core.models import OutboxMessage
from apps.exchange.rights import lift_restriction, restrict
from apps.feedback.corrections import plan_sessions
from apps.feedback.lifecycle import expire_requests, refit_requests, revoke_links
from apps.feedback.messages import render_feedback_request
from apps.feedback.models import FeedbackRequest
from apps.feedback.tokens import make_token
from apps.ruptures.models import Screening
from tests.conftest import signed_in
from tests.factories import TherapySessionFactory
from tests.feedback.conftest import answers, link_of
from tests.feedback.test_client_form import shown

NOON = datetime(2026, 11, 19, 12, tzinfo=UTC)
OVER = NOON + timedelta(hours=99)


@pytest.fixture(autouse=True)
def clock() -> object:
    with time_machine.travel(NOON, tick=False) as clock:
        yield clock


def run_out(clock: time_machine.Traveller) -> None:
    OutboxMessage.objects.filter(kind="feedback_request").update(
        state="sent", sent_at=timezone.now()
    )
    clock.move_to(OVER)
    expire_requests()


def test_a_fresh_link_goes_to_the_recorded_channel_and_the_old_one_ends(
    phone: Browser, asked: FeedbackRequest, link: str, clock: time_machine.Traveller
) -> None:
    run_out(clock)
    assert Screening.objects.current().get().inputs["asked"]
    assert "Send a fresh link by email" in shown(phone.get(link))
    page = phone.post(link + "fresh/", {"email": "mallory@mail.example"})
    assert "A fresh link is on its way" in shown(page)
    asked.refresh_from_db()
    rendered = render_feedback_request(asked.id)
    assert rendered.recipient == asked.therapy_session.treatment.client.channels.get().address
    assert phone.get(link).status_code == 404
    assert not Screening.objects.current().get().inputs["asked"]
    assert phone.post(link_of(asked), answers()).status_code == 302
    assert Screening.objects.current().get().pomp == 70


def test_the_mails_of_before_a_fresh_link_stay_the_clients_way_to_stop_messages(
    phone: Browser, asked: FeedbackRequest, link: str, clock: time_machine.Traveller
) -> None:
    """A mail program offers *Unsubscribe* above any of them."""
    code = f"/f/{make_token(asked.id, generation=asked.generation, way='room')}/"
    run_out(clock)
    assert phone.post(link + "fresh/").status_code == 200
    for page in (link, link + "thanks/", link + "fresh/"):
        assert phone.get(page).status_code in {404, 405}
    assert phone.post(link, answers()).status_code == 404
    assert phone.get(code + "stop/").status_code == 404
    assert phone.get(link + "stop/").status_code == 200
    one_click = {"List-Unsubscribe": "One-Click"}
    assert phone.post(link + "stop/", one_click).status_code == 200
    assert ContactChannel.objects.get().stop_reason == "stopped"


def test_what_was_revoked_stops_nothing_though_a_fresh_link_had_been_asked_for(
    phone: Browser,
    asked: FeedbackRequest,
    link: str,
    clock: time_machine.Traveller,
    alice: Membership,
) -> None:
    run_out(clock)
    phone.post(link + "fresh/")
    asked.refresh_from_db()
    fresh = link_of(asked)
    revoke_links(client=asked.therapy_session.treatment.client, by=alice)
    for each in (link, fresh):
        assert phone.get(each + "stop/").status_code == 404


def test_a_code_of_the_room_asks_for_no_link(
    phone: Browser, asked: FeedbackRequest, clock: time_machine.Traveller
) -> None:
    run_out(clock)
    code = make_token(asked.id, generation=asked.generation, way="room")
    assert phone.post(f"/f/{code}/fresh/").status_code == 404
    assert not OutboxMessage.objects.filter(kind="feedback_fresh_link").exists()


def test_it_is_sent_once_however_often_somebody_asks(
    phone: Browser, asked: FeedbackRequest, link: str, clock: time_machine.Traveller
) -> None:
    run_out(clock)
    for _ in range(3):
        phone.post(link + "fresh/")
    assert OutboxMessage.objects.filter(kind="feedback_fresh_link").count() == 1


@pytest.mark.parametrize(
    "why", ["week over", "next session", "stopped", "paused", "left", "no role", "still open"]
)
def test_where_an_answer_would_not_count_or_nothing_may_be_sent_none_is_offered(
    phone: Browser, asked: FeedbackRequest, link: str, clock: time_machine.Traveller, why: str
) -> None:
    client = asked.therapy_session.treatment.client
    if why != "still open":
        run_out(clock)
    if why == "week over":
        clock.move_to(NOON + timedelta(days=8))
    elif why == "next session":
        TherapySessionFactory.create(
            treatment=asked.therapy_session.treatment, starts_at=OVER - timedelta(hours=1)
        )
    elif why == "stopped":
        ContactChannel.objects.update(stopped_at=timezone.now(), stop_reason="stopped")
    elif why == "paused":
        client.pause_reason, client.pause_review_on = "In hospital", timezone.localdate()
        client.save()
    elif why == "left":
        Membership.objects.update(is_active=False)
    elif why == "no role":
        Membership.objects.update(roles=["supervisor"])
    assert "Send a fresh link" not in shown(phone.get(link))
    phone.post(link + "fresh/")
    assert not OutboxMessage.objects.filter(kind="feedback_fresh_link").exists()


@pytest.mark.parametrize("changed", [{"is_active": False}, {"roles": ["supervisor"]}])
def test_silence_while_nobody_works_here_as_its_therapist_says_nothing(
    asked: FeedbackRequest, clock: time_machine.Traveller, changed: dict[str, Any]
) -> None:
    Membership.objects.update(**changed)
    run_out(clock)
    assert FeedbackRequest.objects.get().state == "expired"
    assert not Screening.objects.current().get().inputs["asked"]


@pytest.mark.usefixtures("quiet_hours")
@pytest.mark.parametrize(("at_night", "is_offered"), [(7, False), (9, True)])
def test_no_fresh_link_is_offered_at_night_that_would_come_when_the_time_is_over(
    phone: Browser,
    asked: FeedbackRequest,
    link: str,
    clock: time_machine.Traveller,
    at_night: int,
    is_offered: bool,
) -> None:
    run_out(clock)
    clock.move_to(OVER.replace(hour=22, minute=30))
    morning = (OVER + timedelta(days=1)).replace(hour=at_night, minute=0)
    TherapySessionFactory.create(
        treatment=asked.therapy_session.treatment, attendance="", starts_at=morning
    )
    assert ("Send a fresh link" in shown(phone.get(link))) is is_offered


@pytest.mark.usefixtures("quiet_hours")
@pytest.mark.parametrize(("why", "state"), [("paused", "cancelled"), ("lapsed", "expired")])
def test_no_answer_to_a_fresh_link_that_never_went_out_is_no_silence(
    phone: Browser,
    asked: FeedbackRequest,
    link: str,
    clock: time_machine.Traveller,
    alice: Membership,
    why: str,
    state: str,
) -> None:
    run_out(clock)
    assert Screening.objects.current().get().inputs["asked"]
    clock.move_to(OVER.replace(hour=22, minute=30))
    phone.post(link + "fresh/")
    client = asked.therapy_session.treatment.client
    if why == "paused":
        signed_in(alice).post(
            f"/clients/{client.id}/pause/",
            {"reason": "Away", "review_on": timezone.localdate() + timedelta(days=9)},
        )
    else:
        client.discussed_on = timezone.localdate() - timedelta(days=181)
        client.save()
    clock.shift(timedelta(hours=11))
    sent = len(mail.outbox)
    outbox.deliver_due()
    clock.shift(timedelta(days=7))
    expire_requests()
    asked.refresh_from_db()
    assert (asked.state, len(mail.outbox)) == (state, sent)
    assert not Screening.objects.current().get().inputs["asked"]


def test_a_fresh_link_lives_on_when_another_session_is_planned_and_moved_back(
    phone: Browser, asked: FeedbackRequest, link: str, clock: time_machine.Traveller
) -> None:
    run_out(clock)
    phone.post(link + "fresh/")
    asked.refresh_from_db()
    until, treatment = asked.expires_at, asked.therapy_session.treatment
    planned = TherapySessionFactory.create(
        treatment=treatment, attendance="", starts_at=timezone.now() + timedelta(hours=20)
    )
    refit_requests(treatment)
    asked.refresh_from_db()
    assert (asked.state, asked.expires_at) == ("open", planned.starts_at)
    planned.starts_at += timedelta(days=30)
    planned.save()
    refit_requests(treatment)
    asked.refresh_from_db()
    assert (asked.state, asked.expires_at) == ("open", until)


def offer_in_the_room(asked: FeedbackRequest, alice: Membership) -> Browser:
    as_alice = signed_in(alice)
    as_alice.post(f"/sessions/{asked.therapy_session_id}/room/")
    asked.refresh_from_db()
    assert asked.is_open(at=timezone.now(), in_room=True)
    return as_alice


def test_offering_what_ran_out_in_the_room_takes_nothing_from_the_client(
    phone: Browser,
    asked: FeedbackRequest,
    link: str,
    clock: time_machine.Traveller,
    alice: Membership,
) -> None:
    """Neither their link nor the fresh one; and no message is promised that does not go out."""
    run_out(clock)
    as_alice = offer_in_the_room(asked, alice)
    assert "How was this session" in shown(phone.get(link))
    clock.shift(timedelta(minutes=16))
    expire_requests()
    assert Screening.objects.current().get().inputs["asked"], "silent as before"
    assert "Send a fresh link by email" in shown(phone.get(link))
    page = as_alice.post(f"/sessions/{asked.therapy_session_id}/send/", follow=True)
    assert "was sent, or withdrawn, before" in shown(page)
    asked.refresh_from_db()
    assert (asked.state, asked.channel_kind) == ("expired", "email")


@pytest.mark.parametrize("is_out", [True, False])
def test_what_was_withdrawn_is_no_silence_where_the_room_is_not_taken_up_and_goes_out_no_more(
    asked: FeedbackRequest, clock: time_machine.Traveller, alice: Membership, is_out: bool
) -> None:
    if is_out:
        OutboxMessage.objects.filter(kind="feedback_request").update(
            state="sent", sent_at=timezone.now()
        )
    client = asked.therapy_session.treatment.client
    restrict(client=client, by=alice)
    lift_restriction(client=client, by=alice)
    as_alice = offer_in_the_room(asked, alice)
    clock.shift(timedelta(minutes=16))
    expire_requests()
    page = as_alice.post(f"/sessions/{asked.therapy_session_id}/send/", follow=True)
    assert "was sent, or withdrawn, before" in shown(page)
    clock.shift(timedelta(days=8))
    expire_requests()
    assert FeedbackRequest.objects.get().state == "expired"
    assert not Screening.objects.current().get().inputs["asked"]


def test_a_form_that_is_offered_in_the_room_ends_with_its_code_also_where_a_session_is_planned(
    asked: FeedbackRequest, clock: time_machine.Traveller, alice: Membership
) -> None:
    run_out(clock)
    offer_in_the_room(asked, alice)
    plan_sessions(
        treatment=asked.therapy_session.treatment,
        first_starts_at=timezone.now() + timedelta(days=1),
        duration_min=50,
        by=alice,
    )
    asked.refresh_from_db()
    assert asked.expires_at == asked.room_until == OVER + timedelta(minutes=15)
