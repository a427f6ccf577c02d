"""Silence is the client's only where they may still be asked as the form ends: who said no is
heard."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from django.core import mail
from django.test import Client as Browser
from django.utils import timezone

from apps.accounts.models import Practice
from apps.clients.models import Client, ContactChannel
from apps.core import outbox
from apps.feedback.lifecycle import expire_requests
from apps.feedback.messages import link_to
from apps.feedback.models import FeedbackRequest
from apps.ruptures.models import Screening
from tests.conftest import signed_in
from tests.feedback.test_details import a_pause, details, page_of

NOON = datetime(2026, 11, 19, 12, tzinfo=UTC)
State = FeedbackRequest.State
Deed = Callable[[], object]


@pytest.fixture(autouse=True)
def clock() -> object:
    with time_machine.travel(NOON, tick=False) as clock:
        yield clock


@pytest.fixture
def client_of(asked: FeedbackRequest, clock: time_machine.Traveller) -> Client:
    """The client who was asked; the message is out."""
    clock.move_to(asked.due_at)
    assert outbox.deliver_due() == 1
    return asked.therapy_session.treatment.client


@pytest.fixture
def deeds(asked: FeedbackRequest, client_of: Client, phone: Browser) -> dict[str, Deed]:
    """What the client, or the therapist for them, does while the form is out, and undoes."""
    alice = asked.therapy_session.treatment.therapist
    today = timezone.localdate()
    long_ago = f"{today - timedelta(days=181):%Y-%m-%d}"
    stop_url = link_to(asked, page="feedback_stop")

    def post(page: str, sent: dict[str, object]) -> None:
        response = signed_in(alice).post(page_of(client_of, page), sent)
        assert response["Location"] == f"/clients/{client_of.id}/"

    def save(**changes: object) -> Deed:
        return lambda: post("details", details(client_of, **changes))

    return {
        "stops messages": lambda: phone.post(stop_url, {"how": "stop"}),
        "unsubscribes": lambda: phone.post(stop_url, {"List-Unsubscribe": "One-Click"}),
        "agrees no more": save(consent="declined"),
        "agrees to the room alone": save(consent="in_room"),
        "agreed long ago": save(discussed_on=long_ago),
        "is paused": lambda: post("pause", a_pause()),
        "is asked again": lambda: post("resume", {}),
        "has no safe mailbox": save(email_safe="no"),
        "has a safe mailbox": save(),
        "shares a colleague’s mailbox": lambda: Practice.objects.update(
            contact_email=client_of.channels.get().address
        ),
        "adds a number": save(text="07400 123456", text_safe="yes"),
        "has a safe number alone": save(email_safe="no", text="07400 123456", text_safe="yes"),
        "switches to text": lambda: phone.post(stop_url, {"how": "text"}),
    }


def is_silent(asked: FeedbackRequest) -> bool:
    asked.refresh_from_db()
    asked.therapy_session.refresh_from_db()
    assert asked.state == State.EXPIRED
    screened = Screening.objects.current().get().inputs["asked"]
    assert asked.therapy_session.asked is screened
    return bool(screened)


def let_it_run_out(asked: FeedbackRequest, clock: time_machine.Traveller) -> None:
    while FeedbackRequest.objects.get().state == State.OPEN:
        clock.shift(timedelta(hours=10))
        outbox.deliver_due()
        expire_requests()


@pytest.mark.parametrize(
    "deed",
    [
        "stops messages",
        "unsubscribes",
        "agrees no more",
        "agrees to the room alone",
        "agreed long ago",
        "is paused",
        "has no safe mailbox",
        "shares a colleague’s mailbox",
    ],
)
def test_who_may_be_asked_no_more_as_the_form_ends_is_not_silent(
    asked: FeedbackRequest,
    deeds: dict[str, Deed],
    clock: time_machine.Traveller,
    deed: str,
) -> None:
    """They said no, or others read what they are sent."""
    clock.shift(timedelta(hours=9))
    deeds[deed]()
    let_it_run_out(asked, clock)
    assert not is_silent(asked)
    assert len(mail.outbox) >= 1, "the form was out"


@pytest.mark.parametrize(
    "done",
    [
        ("is paused", "is asked again"),
        ("has no safe mailbox", "has a safe mailbox"),
        ("adds a number", "switches to text"),
    ],
)
def test_who_may_be_asked_as_the_form_ends_is_silent_as_before(
    asked: FeedbackRequest,
    deeds: dict[str, Deed],
    clock: time_machine.Traveller,
    done: tuple[str, ...],
) -> None:
    clock.shift(timedelta(hours=9))
    for deed in done:
        deeds[deed]()
    let_it_run_out(asked, clock)
    assert is_silent(asked)


@pytest.mark.parametrize(("hours", "silent"), [(9, True), (90, False)])
def test_who_got_the_form_by_a_safe_way_as_well_is_silent(
    asked: FeedbackRequest,
    deeds: dict[str, Deed],
    clock: time_machine.Traveller,
    monkeypatch: pytest.MonkeyPatch,
    hours: int,
    silent: bool,
) -> None:
    """The mailbox is not safe any more; the number got the reminder, or is too new for it."""
    monkeypatch.setattr(outbox.carriers, "send", lambda message, rendered: None)
    clock.shift(timedelta(hours=hours))
    outbox.deliver_due()
    deeds["has a safe number alone"]()
    let_it_run_out(asked, clock)
    assert is_silent(asked) is silent


@pytest.mark.parametrize(("hours", "silent"), [(3, False), (72, True)])
def test_a_stop_takes_silence_back_as_long_as_an_answer_would_have_counted(
    asked: FeedbackRequest, deeds: dict[str, Deed], clock: time_machine.Traveller,
    hours: int, silent: bool,
) -> None:  # fmt: skip
    """The form had run out: by a fresh link they could have answered still, and said no."""
    let_it_run_out(asked, clock)
    assert is_silent(asked)
    clock.shift(timedelta(hours=hours))
    deeds["stops messages"]()
    assert ContactChannel.objects.get().stop_reason == "stopped"
    assert is_silent(asked) is silent
