"""The outbox: each message is sent once, a dead sender is replaced, and nothing waits for Redis."""

import smtplib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from threading import Barrier, Event
from typing import Any
from uuid import UUID, uuid4

import pytest
import time_machine
from django.core import mail
from django.core.mail.backends.locmem import EmailBackend as LocMem
from django.db import OperationalError, connections
from django.test import Client
from django.utils import timezone
from pytest_django import Settings
from structlog.contextvars import clear_contextvars

from apps.core import outbox, tasks, tenancy, tracing
from apps.core.carriers import MaybeSent, Unreachable
from apps.core.models import OutboxMessage
from apps.core.outbox import NothingToSend, RenderedMessage

State = OutboxMessage.State
BACKEND = "django.core.mail.backends.locmem.EmailBackend.send_messages"


def render(subject_id: UUID) -> RenderedMessage:
    return RenderedMessage("k@mail.example", "Ready", "Hello", "Fernbank")


NOTED: list[UUID] = []


def render_with_note(subject_id: UUID) -> RenderedMessage:
    def note() -> None:
        NOTED.append(subject_id)
        raise RuntimeError

    return replace(render(subject_id), note_out=note)


def render_nothing(subject_id: UUID) -> RenderedMessage:
    raise NothingToSend


ROUTES: list[str] = []
AT_ONCE = Barrier(3)


def render_at_once(subject_id: UUID) -> RenderedMessage:
    AT_ONCE.wait(timeout=30)
    ROUTES.append(tracing.route())
    return render(subject_id)


CLOCK: list[time_machine.Traveller] = []


def render_for_long(subject_id: UUID) -> RenderedMessage:
    CLOCK[-1].shift(45)
    return render(subject_id)


def render_in_turn(subject_id: UUID) -> RenderedMessage:
    OutboxMessage.objects.select_for_update().get(kind="word")
    return render(subject_id)


def fail_to_tell(subject_id: UUID, **how: Any) -> None:
    put_for(subject_id)
    raise OperationalError("deadlock detected")


def tell_too_late(subject_id: UUID, **how: Any) -> None:
    """Another sender has the message by now."""
    put_for(subject_id)
    later = timezone.now() + timedelta(minutes=2)
    OutboxMessage.objects.filter(subject_id=subject_id).update(lease_until=later)


def tell(subject_id: UUID, **how: Any) -> None:
    put_for(subject_id)


def put_for(subject_id: UUID) -> None:
    """Say of a message that it was told: a word of its own."""
    about = OutboxMessage.objects.get(subject_id=subject_id)
    far = timezone.now() + timedelta(days=9)
    OutboxMessage.objects.create(
        practice_id=about.practice_id, kind="word", subject_id=uuid4(), not_before=far, due_at=far
    )


def words(message: OutboxMessage) -> int:
    with tenancy.practice(message.practice_id):
        return OutboxMessage.objects.filter(kind="word").count()


@pytest.fixture(autouse=True)
def _renderers(settings: Settings) -> None:
    settings.OUTBOX_RENDERERS = {
        "note": f"{__name__}.render",
        "stale": f"{__name__}.render_nothing",
    }


@pytest.fixture
def rung(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, ...]]:
    """What the doorbell was rung for, in place of a broker."""
    calls: list[tuple[str, ...]] = []
    monkeypatch.setattr(
        tasks.deliver_message, "apply_async", lambda args, retry: calls.append(args)
    )
    return calls


def put(kind: str = "note", *, due_in: timedelta = timedelta(0), **also: Any) -> OutboxMessage:
    """A message of a practice of its own."""
    practice_id = uuid4()
    with tenancy.practice(practice_id):
        return OutboxMessage.objects.create(
            practice_id=practice_id, kind=kind, subject_id=uuid4(),
            **{"not_before": timezone.now() + due_in, "due_at": timezone.now() + due_in} | also,
        )  # fmt: skip


def reread(message: OutboxMessage) -> OutboxMessage:
    with tenancy.practice(message.practice_id):
        message.refresh_from_db()
    return message


def state(message: OutboxMessage) -> str:
    return reread(message).state


def claim(message: OutboxMessage) -> OutboxMessage | None:
    claimed = outbox.claim(practice_id=message.practice_id, message_ids=[message.id])
    return claimed[0] if claimed else None


def deliver(message: OutboxMessage) -> bool:
    return outbox.deliver(practice_id=message.practice_id, message_id=message.id)


@pytest.mark.django_db
def test_enqueuing_the_same_thing_again_keeps_one_row_and_rings_only_for_what_is_due(
    rung: list[tuple[str, ...]], django_capture_on_commit_callbacks: Any
) -> None:
    now, about, practice = timezone.now(), uuid4(), uuid4()
    with django_capture_on_commit_callbacks(execute=True), tenancy.practice(practice):
        first = outbox.enqueue(kind="note", subject_id=about, practice_id=practice, not_before=now)
        again = outbox.enqueue(kind="note", subject_id=about, practice_id=practice, not_before=now)
        outbox.enqueue(
            kind="note", subject_id=uuid4(), practice_id=practice,
            not_before=now + timedelta(hours=2),
        )  # fmt: skip
        assert OutboxMessage.objects.count() == 2
    assert first == again
    assert rung == [(str(practice), str(first.id))]


@pytest.mark.django_db
def test_a_broker_that_is_away_breaks_nothing_and_the_message_stays_due(
    monkeypatch: pytest.MonkeyPatch, django_capture_on_commit_callbacks: Any
) -> None:
    def away(**_: object) -> None:
        raise tasks.deliver_message.OperationalError

    monkeypatch.setattr(tasks.deliver_message, "apply_async", away)
    practice = uuid4()
    with django_capture_on_commit_callbacks(execute=True), tenancy.practice(practice):
        message = outbox.enqueue(
            kind="note", subject_id=uuid4(), practice_id=practice, not_before=timezone.now()
        )
    assert outbox.due(limit=9) == [(practice, message.id)]


@pytest.mark.django_db(transaction=True)
def test_the_sweep_sends_what_is_due_once_and_leaves_what_is_not() -> None:
    due, later = put(), put(due_in=timedelta(minutes=1))
    tasks.deliver_due_messages()
    tasks.deliver_due_messages()
    assert (state(due), state(later)) == (State.SENT, State.PENDING)
    assert due.sent_at is not None
    assert len(mail.outbox) == 1
    sent = mail.outbox[0]
    assert (sent.to, sent.subject) == (["k@mail.example"], "Ready")
    assert sent.extra_headers["Message-ID"].startswith(f"<{due.id}.0@")


@pytest.mark.django_db(transaction=True)
def test_the_doorbell_sends_its_own_message_and_no_other() -> None:
    mine, other = put(), put()
    tasks.deliver_message(str(mine.practice_id), str(mine.id))
    tasks.deliver_message(str(mine.practice_id), str(mine.id))
    tasks.deliver_message(str(mine.practice_id), str(other.id))
    tasks.deliver_message(str(mine.practice_id), str(uuid4()))
    assert (state(mine), state(other)) == (State.SENT, State.PENDING)
    assert len(mail.outbox) == 1


@pytest.mark.django_db(transaction=True)
def test_two_senders_never_claim_the_same_message() -> None:
    first, second = put(due_in=timedelta(seconds=-2)), put(due_in=timedelta(seconds=-1))
    locked, done = Event(), Event()

    def hold_the_first() -> None:
        try:
            with tenancy.practice(first.practice_id):
                OutboxMessage.objects.select_for_update().get(id=first.id)
                locked.set()
                assert done.wait(timeout=30)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(1) as other_sender:
        holding = other_sender.submit(hold_the_first)
        assert locked.wait(timeout=30)
        claimed = [claim(first), claim(second)]
        done.set()
        holding.result()
    assert claimed == [None, second]
    assert claim(first) == first
    assert claim(first) is None


@pytest.mark.django_db(transaction=True)
def test_a_message_of_a_sender_that_died_is_taken_over_when_its_lease_has_run_out() -> None:
    with time_machine.travel("2026-11-19T12:00:00+00:00", tick=False) as clock:
        message = put()
        slow = claim(message)
        assert slow
        clock.shift(59)
        assert claim(message) is None
        clock.shift(1)
        assert deliver(message) is True
        sent_at = reread(message).sent_at
        clock.shift(1)
        # The first sender was only slow: its late word changes nothing.
        assert outbox._settle(slow, state=State.FAILED) is False
        assert (state(message), message.sent_at) == (State.SENT, sent_at)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    "error", [ConnectionResetError(), TimeoutError(), smtplib.SMTPServerDisconnected()]
)
def test_a_refused_message_is_put_off_longer_each_time_and_fails_visibly_in_the_end(
    monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def refuse(backend: Any, messages: Any) -> None:
        raise error

    monkeypatch.setattr(BACKEND, refuse)
    with time_machine.travel("2026-11-19T12:00:00+00:00", tick=False) as clock:
        message = put()
        waits = []
        for attempt in range(1, OutboxMessage.MAX_ATTEMPTS + 1):
            assert deliver(message) is False
            assert message.attempts < attempt
            reread(message)
            assert (message.attempts, message.error) == (attempt, type(error).__name__)
            waits.append((message.not_before - timezone.now()).total_seconds() / 60)
            clock.shift(waits[-1] * 60 + 1)
        for tries, wait in enumerate(waits):
            assert 3**tries <= wait <= 1.3 * 3**tries
        assert sum(waits[:-1]) <= 24 * 60
        assert message.state == State.FAILED
        assert claim(message) is None


@pytest.mark.django_db(transaction=True)
def test_one_message_that_is_refused_does_not_hold_up_the_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bad = put(due_in=timedelta(seconds=-9))
    good = [put() for _ in range(5)]
    accept = LocMem.send_messages

    def send(backend: Any, messages: list[mail.EmailMessage]) -> int:
        if str(bad.id) in messages[0].extra_headers["Message-ID"]:
            raise smtplib.SMTPRecipientsRefused({"k@mail.example": (450, b"busy")})
        return accept(backend, messages)

    monkeypatch.setattr(BACKEND, send)
    assert outbox.deliver_due() == 5
    assert {state(message) for message in good} == {State.SENT}
    assert state(bad) == State.PENDING


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("ends", "is_noted"),
    [(None, True), (MaybeSent(), True), (Unreachable(), False), (OSError(), False)],
)
def test_that_a_message_is_out_or_may_be_is_noted_and_a_note_that_fails_stops_nothing(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, ends: Exception | None, is_noted: bool
) -> None:
    settings.OUTBOX_RENDERERS = {"note": f"{__name__}.render_with_note"}
    NOTED.clear()

    def send(message: OutboxMessage, rendered: RenderedMessage) -> None:
        assert not NOTED
        if ends:
            raise ends

    monkeypatch.setattr(outbox.carriers, "send", send)
    message = put()
    outbox.deliver_due()
    assert [message.subject_id] * is_noted == NOTED
    if ends is None:
        assert state(message) == State.SENT


@pytest.mark.django_db(transaction=True)
def test_a_message_without_a_purpose_is_cancelled() -> None:
    message = put("stale")
    assert outbox.deliver_due() == 0
    assert state(message) == State.CANCELLED
    assert mail.outbox == []


@pytest.mark.django_db
def test_only_what_is_not_out_yet_can_be_withdrawn() -> None:
    waiting = put()
    gone = put(state=State.SENT, sent_at=timezone.now())
    for message, withdrawn in ((waiting, 1), (gone, 0)):
        with tenancy.practice(message.practice_id):
            assert outbox.cancel("note", subject_id=message.subject_id) == withdrawn
    assert (state(waiting), state(gone)) == (State.CANCELLED, State.SENT)


@pytest.mark.django_db
def test_who_asks_without_a_sign_in_learns_that_messages_are_late_and_not_since_when(
    client: Client,
) -> None:
    """A form is due two hours after a session: the second would say when sessions end."""
    due = put(due_in=timedelta(hours=1)).due_at
    answers = []
    for seconds in (0, 119, 121):
        with time_machine.travel(due + timedelta(seconds=seconds), tick=False):
            answers.append(client.get("/healthz/").json())
    in_time = {"database": "up", "messages": "in time", "sending": "on"}
    assert answers == [in_time, in_time, in_time | {"messages": "late"}]


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("kind", "ends"),
    [("stale", State.CANCELLED), ("note", State.FAILED)],
    ids=["unsent", "refused"],
)
def test_what_could_not_be_told_is_told_at_the_next_try_and_holds_up_nobody(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, kind: str, ends: str
) -> None:
    """A deadlock, or a sender that dies as it tells: nobody may be left to wait for an answer."""

    def refuse(message: OutboxMessage, rendered: RenderedMessage) -> None:
        if message.id == untold.id:
            raise Unreachable

    monkeypatch.setattr(outbox.carriers, "send", refuse)
    with time_machine.travel("2026-11-19T12:00:00+00:00", tick=False) as clock:
        untold, good = put(kind, due_in=timedelta(seconds=-9)), put()
        for teller in ("fail_to_tell", "tell_too_late"):
            told = {kind: f"{__name__}.{teller}"}
            settings.OUTBOX_NOT_SENT = settings.OUTBOX_UNREACHABLE = told
            outbox.deliver_due()
            assert state(good) == State.SENT
            assert words(untold) == 0
            with tenancy.practice(untold.practice_id):
                OutboxMessage.objects.filter(id=untold.id, state=State.CLAIMED).update(
                    state=State.PENDING, lease_until=None
                )
            assert (state(untold), untold.attempts) == (State.PENDING, 1)
            clock.shift(120)
        settings.OUTBOX_NOT_SENT = settings.OUTBOX_UNREACHABLE = {kind: f"{__name__}.tell"}
        outbox.deliver_due()
        assert (state(untold), words(untold)) == (ends, 1)


@pytest.mark.django_db(transaction=True)
def test_who_waited_for_longer_than_the_message_is_theirs_does_not_send_it(
    settings: Settings,
) -> None:
    settings.OUTBOX_RENDERERS = {"note": f"{__name__}.render_for_long"}
    with time_machine.travel("2026-11-19T12:00:00+00:00", tick=False) as clock:
        CLOCK.append(clock)
        message = put()
        assert deliver(message) is False
        assert (state(message), mail.outbox) == (State.PENDING, [])


@pytest.mark.django_db(transaction=True)
def test_a_message_whose_client_is_kept_waits_and_its_slot_does_not(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.OUTBOX_RENDERERS = {"note": f"{__name__}.render_in_turn"}
    monkeypatch.setattr(outbox, "TURN_WAIT_MS", 100)
    message, held, done = put(), Event(), Event()
    with tenancy.practice(message.practice_id):
        put_for(message.subject_id)

    def hold() -> None:
        with tenancy.practice(message.practice_id):
            OutboxMessage.objects.select_for_update().get(kind="word")
            held.set()
            assert done.wait(timeout=30)
        connections.close_all()

    with ThreadPoolExecutor(1) as another:
        holding = another.submit(hold)
        assert held.wait(timeout=30)
        assert deliver(message) is False
        done.set()
        holding.result()
    due_at = message.due_at
    assert (state(message), message.attempts, message.due_at) == (State.PENDING, 0, due_at)
    assert timedelta(seconds=40) < message.not_before - timezone.now() < timedelta(minutes=2)


@pytest.mark.django_db(transaction=True)
def test_what_several_senders_of_a_sweep_do_is_the_sweeps_doing(settings: Settings) -> None:
    settings.OUTBOX_RENDERERS = {"note": f"{__name__}.render_at_once"}
    settings.OUTBOX_SLOTS = 3
    for _ in range(3):
        put()
    ROUTES.clear()
    tracing.begin(route="the sweep")
    try:
        assert outbox.deliver_due() == 3
    finally:
        clear_contextvars()
    assert ROUTES == ["the sweep"] * 3
