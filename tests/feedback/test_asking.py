"""When a client may be asked, how often, and by which channel they are reminded."""

from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from django.core import mail
from django.utils import timezone

from apps.accounts.models import Membership
from apps.clients.models import Client, ContactChannel, Treatment
from apps.clients.services import pause_asking
from apps.core import outbox
from apps.core.models import OutboxMessage
from apps.core.outbox import NothingToSend, NotYet
from apps.feedback.asking import requests_in_30_days, why_not_ask
from apps.feedback.corrections import cancel_session, correct_session, move_session
from apps.feedback.lifecycle import REMINDER, expire_request, refit_requests, withdraw_unsent
from apps.feedback.messages import render_feedback_reminder, render_feedback_request
from apps.feedback.models import FRESH_LINK, KIND, FeedbackRequest
from apps.feedback.services import (
    CannotAsk,
    ask_in_room,
    practice_questionnaire,
    request_feedback,
)
from apps.ruptures.models import Screening
from tests.factories import TherapySessionFactory

NOON = datetime(2026, 11, 19, 12, tzinfo=UTC)
State = FeedbackRequest.State


@pytest.fixture(autouse=True)
def noon() -> object:
    with time_machine.travel(NOON, tick=False) as clock:
        yield clock


def ask(treatment: Treatment, *, days_ago: float = 0, **options: str) -> FeedbackRequest:
    starts_at = timezone.now() - timedelta(days=days_ago, minutes=110)
    session = treatment.therapy_sessions.filter(starts_at=starts_at).first()
    return request_feedback(
        therapy_session=session
        or TherapySessionFactory.create(treatment=treatment, starts_at=starts_at),
        questionnaire=practice_questionnaire(treatment.practice),
        by=None,
        **({"channel_kind": "email"} | options),
    )


def add_phone(client: Client) -> ContactChannel:
    return ContactChannel.objects.create(
        practice=client.practice, client=client, kind="text", address="+447400123456",
        safe_to_contact=True,
    )  # fmt: skip


def mark_sent(request: FeedbackRequest, kind: str = KIND, **changes: object) -> None:
    sent = {"state": OutboxMessage.State.SENT, "sent_at": timezone.now()} | changes
    OutboxMessage.objects.filter(kind=kind, subject_id=request.id).update(**sent)


def test_no_other_form_goes_out_while_one_is_open(treatment: Treatment) -> None:
    ask(treatment, days_ago=1)
    with pytest.raises(CannotAsk, match="still open"):
        ask(treatment)


def test_nothing_goes_to_an_address_that_has_become_a_colleagues(
    treatment: Treatment, charlie: Membership
) -> None:
    request = ask(treatment)
    charlie.user.email = treatment.client.channels.get().address.upper()  # type: ignore[union-attr]
    charlie.user.save()  # type: ignore[union-attr]
    for render in (render_feedback_request, render_feedback_reminder):
        with pytest.raises(NothingToSend):
            render(request.id)
    for way in ("", "email"):
        assert "belongs to somebody at the practice" in why_not_ask(treatment.client, way=way)[-1]
    assert why_not_ask(treatment.client, way="text")[-1].startswith("No phone number")
    assert not why_not_ask(treatment.client, way="room")
    add_phone(treatment.client)
    mark_sent(request, sent_at=timezone.now() - timedelta(days=1))
    assert render_feedback_reminder(request.id).channel == "text"


def test_a_client_is_asked_no_more_often_in_30_days_than_the_practice_allows(
    treatment: Treatment,
) -> None:
    treatment.practice.most_requests_in_30_days = 2
    treatment.practice.save()
    earlier = ask(treatment, days_ago=6)
    FeedbackRequest.objects.update(state=State.EXPIRED)
    ask(treatment, days_ago=1)
    FeedbackRequest.objects.update(state=State.EXPIRED)
    with pytest.raises(CannotAsk, match="asked 2 times in the last 30 days"):
        ask(treatment)
    FeedbackRequest.objects.filter(id=earlier.id).update(
        due_at=timezone.now() - timedelta(days=30), expires_at=timezone.now()
    )
    assert ask(treatment).state == State.OPEN


def test_what_was_withdrawn_counts_as_not_asked(treatment: Treatment) -> None:
    treatment.practice.most_requests_in_30_days = 1
    treatment.practice.save()
    ask(treatment, days_ago=1)
    withdraw_unsent(treatment.client)
    assert ask(treatment).state == State.OPEN


@pytest.mark.parametrize(
    ("state", "is_doubted", "counts"),
    [
        ("sent", False, True),
        ("bounced", False, False),
        ("bounced", True, False),
        ("failed", False, False),
        ("failed", True, True),
        ("uncertain", True, True),
        ("pending", True, True),
    ],
)
def test_what_was_withdrawn_once_its_message_was_out_or_may_have_been_counts(
    treatment: Treatment, alice: Membership, state: str, is_doubted: bool, counts: bool
) -> None:
    asked = ask(treatment, days_ago=1)
    now = timezone.now()
    doubt = {"doubts": 1, "doubted_at": now} if is_doubted else {}
    mark_sent(asked, state=state, sent_at=now if state in {"sent", "bounced"} else None, **doubt)
    correct_session(session=asked.therapy_session, attendance="no_show", by=alice)
    assert FeedbackRequest.objects.get().state == State.CANCELLED
    assert requests_in_30_days(treatment.client, at=now) == int(counts)


@pytest.mark.parametrize("kind", [REMINDER, FRESH_LINK])
def test_what_was_withdrawn_counts_where_its_first_message_came_back_and_a_later_one_was_out(
    treatment: Treatment, alice: Membership, kind: str
) -> None:
    asked = ask(treatment, days_ago=1)
    mark_sent(asked, state="bounced")
    first = OutboxMessage.objects.get(kind=KIND)
    OutboxMessage.objects.filter(kind=kind).delete()
    OutboxMessage.objects.create(
        practice_id=first.practice_id, kind=kind, subject_id=asked.id, channel="text",
        state="sent", sent_at=timezone.now(), due_at=timezone.now(),
        not_before=timezone.now(),
    )  # fmt: skip
    correct_session(session=asked.therapy_session, attendance="no_show", by=alice)
    assert FeedbackRequest.objects.get().state == State.CANCELLED
    assert requests_in_30_days(treatment.client, at=timezone.now()) == 1


@pytest.mark.parametrize("doubts", [0, 2])
def test_a_form_that_may_be_out_stays_open_where_the_client_may_be_asked_no_more(
    treatment: Treatment, doubts: int
) -> None:
    asked = ask(treatment, days_ago=1)
    doubted_at = timezone.now() if doubts else None
    state = "uncertain" if doubts else "pending"
    mark_sent(asked, state=state, sent_at=None, doubts=doubts, doubted_at=doubted_at)
    withdraw_unsent(treatment.client)
    assert FeedbackRequest.objects.get().state == (State.OPEN if doubts else State.CANCELLED)


@pytest.mark.parametrize("minutes", [5, 600])
def test_a_form_that_is_left_to_the_room_is_open_no_longer_than_its_answer_counts(
    treatment: Treatment, minutes: int
) -> None:
    now = timezone.now()
    code_ends, counts_until = now + timedelta(minutes=15), now + timedelta(minutes=minutes)
    asked = ask(treatment)
    FeedbackRequest.objects.update(due_at=now, room_until=code_ends, expires_at=counts_until)
    withdraw_unsent(treatment.client)
    asked.refresh_from_db()
    assert (asked.state, asked.expires_at) == (State.OPEN, min(code_ends, counts_until))


@pytest.mark.parametrize("went_out", [True, False])
def test_what_was_offered_in_the_room_and_not_taken_up_counts_where_its_message_had_gone_out(
    treatment: Treatment, alice: Membership, noon: time_machine.Traveller, went_out: bool
) -> None:
    asked = ask(treatment, days_ago=1)
    session = asked.therapy_session
    if went_out:
        mark_sent(asked)
    for attendance in ("no_show", "attended"):
        correct_session(session=session, attendance=attendance, by=alice)
        session.refresh_from_db()
    ask_in_room(therapy_session=session, questionnaire=asked.questionnaire, by=alice)
    noon.shift(timedelta(minutes=16))
    expire_request(request_id=asked.id)
    asked.refresh_from_db()
    assert (asked.state, asked.channel_kind) == (State.EXPIRED, "")
    assert requests_in_30_days(treatment.client, at=timezone.now()) == int(went_out)


@pytest.mark.parametrize(("days", "may"), [(180, True), (181, False)])
def test_consent_holds_180_days_then_requests_stop_until_it_is_given_again(
    treatment: Treatment, days: int, may: bool
) -> None:
    treatment.client.discussed_on = timezone.localdate() - timedelta(days=days)
    treatment.client.save()
    assert bool(why_not_ask(treatment.client)) is not may


def test_a_message_whose_consent_ran_out_while_it_waited_is_not_sent(treatment: Treatment) -> None:
    asked = ask(treatment)
    treatment.client.discussed_on = timezone.localdate() - timedelta(days=181)
    treatment.client.save()
    with pytest.raises(NothingToSend):
        render_feedback_request(asked.id)


def test_a_pause_stops_asking_and_says_until_when(treatment: Treatment, alice: Membership) -> None:
    asked = ask(treatment)
    review = timezone.localdate() + timedelta(days=14)
    pause_asking(client=treatment.client, reason="In hospital", review_on=review, by=alice)
    with pytest.raises(NothingToSend):
        render_feedback_request(asked.id)
    treatment.client.refresh_from_db()
    assert "reviewed on 3 Dec 2026;" in why_not_ask(treatment.client, way="room")[0]


@pytest.mark.parametrize(("kind", "other"), [("email", "text"), ("text", "email")])
def test_the_reminder_comes_a_day_later_by_the_other_channel(
    treatment: Treatment, noon: time_machine.Traveller, kind: str, other: str
) -> None:
    add_phone(treatment.client)
    asked = ask(treatment, channel_kind=kind)
    reminder = OutboxMessage.objects.get(kind=REMINDER)
    assert reminder.not_before == asked.due_at + timedelta(hours=24)
    mark_sent(asked)
    noon.move_to(NOON + timedelta(hours=27))
    recipient = render_feedback_reminder(asked.id).recipient
    assert recipient == treatment.client.channels.get(kind=other).address


def test_without_another_channel_the_reminder_comes_by_the_same(
    treatment: Treatment, noon: time_machine.Traveller
) -> None:
    asked = ask(treatment)
    mark_sent(asked)
    noon.move_to(NOON + timedelta(hours=27))
    address = treatment.client.channels.get().address
    assert render_feedback_reminder(asked.id).recipient == address


def test_a_late_message_puts_its_reminder_off_by_a_day(
    treatment: Treatment, noon: time_machine.Traveller
) -> None:
    asked = ask(treatment)
    noon.move_to(NOON + timedelta(hours=27))
    with pytest.raises(NotYet):
        render_feedback_reminder(asked.id)
    mark_sent(asked)
    with pytest.raises(NotYet) as late:
        render_feedback_reminder(asked.id)
    assert late.value.until == timezone.now() + timedelta(hours=24)


@pytest.mark.parametrize(
    ("state", "hours"), [("uncertain", 23), ("failed", 23), ("pending", 24), ("claimed", 24)]
)
def test_a_message_that_may_be_out_puts_its_reminder_off_as_well(
    treatment: Treatment, noon: time_machine.Traveller, state: str, hours: int
) -> None:
    """By a day from then on; and from its second copy on, which is still to come."""
    asked = ask(treatment)
    noon.move_to(NOON + timedelta(hours=27))
    now = timezone.now()
    lease_until = now if state == "claimed" else None
    mark_sent(asked, state=state, sent_at=None, doubts=1, doubted_at=now, lease_until=lease_until)
    noon.shift(timedelta(hours=1))
    with pytest.raises(NotYet) as late:
        render_feedback_reminder(asked.id)
    assert late.value.until == timezone.now() + timedelta(hours=hours)


@pytest.mark.usefixtures("quiet_hours")
def test_a_retry_that_falls_into_the_night_waits_for_the_morning(
    treatment: Treatment, noon: time_machine.Traveller
) -> None:
    asked = ask(treatment)
    noon.move_to(datetime(2026, 11, 19, 23, tzinfo=UTC))
    with pytest.raises(NotYet) as night:
        render_feedback_request(asked.id)
    assert night.value.until == datetime(2026, 11, 20, 8, tzinfo=UTC)


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("quiet_hours")
def test_what_comes_too_soon_is_put_off_without_counting_as_a_failed_try(
    treatment: Treatment, noon: time_machine.Traveller
) -> None:
    ask(treatment)
    noon.move_to(datetime(2026, 11, 19, 23, tzinfo=UTC))
    assert outbox.deliver_due() == 0
    message = OutboxMessage.objects.get(kind=KIND)
    assert (message.state, message.attempts) == (OutboxMessage.State.PENDING, 0)
    assert message.not_before == datetime(2026, 11, 20, 8, tzinfo=UTC)


@pytest.mark.parametrize(
    ("state", "was_asked"), [("sent", True), ("failed", False), ("cancelled", False)]
)
def test_silence_counts_only_where_a_message_was_delivered(
    treatment: Treatment, noon: time_machine.Traveller, state: str, was_asked: bool
) -> None:
    asked = ask(treatment)
    mark_sent(asked, state=state, sent_at=timezone.now() if state == "sent" else None)
    OutboxMessage.objects.filter(kind=REMINDER).update(state="cancelled")
    noon.move_to(NOON + timedelta(hours=99))
    expire_request(request_id=asked.id)
    asked.refresh_from_db()
    asked.therapy_session.refresh_from_db()
    assert asked.state == State.EXPIRED
    assert asked.therapy_session.asked is was_asked
    assert Screening.objects.current().get().inputs["asked"] is was_asked


def test_a_reminder_that_arrived_makes_silence_count_where_the_message_did_not(
    treatment: Treatment, noon: time_machine.Traveller
) -> None:
    asked = ask(treatment)
    mark_sent(asked, state="failed", sent_at=None)
    mark_sent(asked, REMINDER)
    noon.move_to(NOON + timedelta(hours=99))
    expire_request(request_id=asked.id)
    asked.therapy_session.refresh_from_db()
    assert asked.therapy_session.asked


def test_a_session_planned_in_between_ends_the_form_at_its_start(treatment: Treatment) -> None:
    asked = ask(treatment)
    mark_sent(asked)
    planned = TherapySessionFactory.create(
        treatment=treatment, starts_at=NOON + timedelta(days=2), attendance=""
    )
    refit_requests(treatment)
    asked.refresh_from_db()
    assert asked.expires_at == planned.starts_at
    planned.delete()
    refit_requests(treatment)
    asked.refresh_from_db()
    assert asked.expires_at == asked.due_at + timedelta(hours=96)


@pytest.mark.parametrize("becomes", ["moved", "cancelled", "kept"])
def test_a_reminder_goes_by_what_is_planned_as_it_is_due(
    treatment: Treatment, noon: time_machine.Traveller, becomes: str
) -> None:
    """As the form was asked for, the next session left it no time for a reminder."""
    planned = TherapySessionFactory.create(
        treatment=treatment, starts_at=NOON + timedelta(hours=20), attendance=""
    )
    asked = ask(treatment)
    noon.shift(timedelta(minutes=10))
    outbox.deliver_due()
    if becomes == "moved":
        moved_to = NOON + timedelta(days=7)
        move_session(session=planned, starts_at=moved_to, duration_min=50, by=treatment.therapist)
    elif becomes == "cancelled":
        cancel_session(session=planned, by=treatment.therapist)
    for _ in range(50):
        noon.shift(timedelta(hours=2))
        outbox.deliver_due()
        expire_request(request_id=asked.id)
    asked.refresh_from_db()
    assert asked.state == State.EXPIRED
    assert len(mail.outbox) == (1 if becomes == "kept" else 2)


def test_a_message_that_could_not_be_answered_in_time_any_more_is_pulled_back(
    treatment: Treatment,
) -> None:
    asked = ask(treatment)
    TherapySessionFactory.create(
        treatment=treatment, starts_at=NOON + timedelta(minutes=30), attendance=""
    )
    refit_requests(treatment)
    asked.refresh_from_db()
    assert asked.state == State.CANCELLED
    assert {each.state for each in OutboxMessage.objects.all()} == {"cancelled"}


@pytest.mark.usefixtures("quiet_hours")
@pytest.mark.parametrize(
    ("sent_after", "hours", "zone", "is_silence"),
    [
        (0, 1.5, "Europe/London", False),
        (0, 7, "Europe/London", False),
        (0, 9, "Europe/London", True),
        (8, 20.5, "Europe/London", False),
        (8, 20.5, "America/Los_Angeles", False),
        (8, 28, "Europe/London", True),
    ],
)
def test_silence_to_a_form_cut_short_by_a_session_that_is_moved_ahead_says_nothing(
    treatment: Treatment,
    noon: time_machine.Traveller,
    sent_after: int,
    hours: float,
    zone: str,
    is_silence: bool,
) -> None:
    """Eight hours outside the night it must have been there: from noon, or from 8 pm; by the clock
    of the practice as well, whatever zone the client is said to live in as it ends."""
    asked = ask(treatment)
    mark_sent(asked)
    OutboxMessage.objects.filter(state="sent").update(sent_at=NOON + timedelta(hours=sent_after))
    planned = TherapySessionFactory.create(
        treatment=treatment, starts_at=NOON + timedelta(days=2), attendance=""
    )
    starts_at = NOON + timedelta(hours=hours)
    move_session(session=planned, starts_at=starts_at, duration_min=50, by=treatment.therapist)
    noon.move_to(starts_at + timedelta(minutes=1))
    Client.objects.update(time_zone=zone)
    expire_request(request_id=asked.id)
    asked.refresh_from_db()
    asked.therapy_session.refresh_from_db()
    assert (asked.state, asked.therapy_session.asked) == (State.EXPIRED, is_silence)


@pytest.mark.parametrize(("hours", "is_silence"), [(30, False), (99, True)])
def test_silence_to_a_form_that_a_session_logged_late_has_ended_says_nothing(
    treatment: Treatment, noon: time_machine.Traveller, hours: int, is_silence: bool
) -> None:
    """Unless its time was over by then, and nobody had come to close it."""
    asked = ask(treatment)
    mark_sent(asked)
    noon.move_to(NOON + timedelta(hours=hours))
    TherapySessionFactory.create(treatment=treatment, starts_at=NOON + timedelta(hours=26))
    refit_requests(treatment)
    asked.refresh_from_db()
    asked.therapy_session.refresh_from_db()
    assert (asked.state, asked.therapy_session.asked) == (State.EXPIRED, is_silence)
