"""What providers report: repeated, shuffled, too early, forged."""

import hmac
import json
import random
import time
from base64 import b64encode
from collections.abc import Iterator
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.test import Client as Browser
from django.test import override_settings
from django.utils import timezone
from pytest_django import Settings

from apps.core import reports, tenancy
from apps.core.carriers.text import signature
from apps.core.models import OutboxMessage
from apps.core.outbox import Outcome

pytestmark = pytest.mark.django_db
State = OutboxMessage.State
KEY = "key-of-the-provider"
told: list[tuple[UUID, str]] = []


def tell(subject_id: UUID, *, channel: str, sent_at: datetime, outcome: Outcome) -> None:
    told.append((subject_id, channel if outcome == Outcome.BOUNCED else outcome))


PROVIDERS = {
    "EMAIL_WEBHOOK": "anymail.webhooks.mailgun.MailgunTrackingWebhookView",
    "ANYMAIL": {"MAILGUN_WEBHOOK_SIGNING_KEY": KEY},
    "TEXT_GATEWAY_URL": "https://account:token@gateway.example",
    "OUTBOX_UNREACHABLE": {"note": f"{__name__}.tell"},
    "BASE_URL": "http://127.0.0.1:8000",
}


@pytest.fixture(autouse=True)
def _providers() -> Iterator[None]:
    told.clear()
    with override_settings(**PROVIDERS):
        yield


def put(state: str = State.SENT, **also: Any) -> OutboxMessage:
    practice_id, now = uuid4(), timezone.now()
    with tenancy.practice(practice_id):
        return OutboxMessage.objects.create(
            practice_id=practice_id, kind="note", subject_id=uuid4(), state=state, not_before=now,
            due_at=now, sent_at=now if state in {State.SENT, State.BOUNCED} else None, **also,
        )  # fmt: skip


def reread(message: OutboxMessage) -> OutboxMessage:
    with tenancy.practice(message.practice_id):
        message.refresh_from_db()
    return message


def by_mail(message: OutboxMessage, event: str, *, key: str = KEY, **also: Any) -> int:
    """A report as Mailgun posts it."""
    moment, token = str(int(time.time())), uuid4().hex
    signed = hmac.digest(key.encode(), f"{moment}{token}".encode(), "sha256").hex()
    about = {"practice": str(message.practice_id), "message": str(message.id)}
    body = {
        "signature": {"timestamp": moment, "token": token, "signature": signed},
        "event-data": {
            "event": event, "id": uuid4().hex, "timestamp": time.time(), "user-variables": about,
            "recipient": "k@mail.example", "message": {"headers": {"message-id": "x"}}, **also,
        },
    }  # fmt: skip
    answer = Browser().post("/hooks/email/", json.dumps(body), content_type="application/json")
    return answer.status_code


NOBODY_THERE = "5.1.1 The email account that you tried to reach does not exist."


def bounce(
    message: OutboxMessage, *, answer: str = NOBODY_THERE, reason: str = "bounce", **also: Any
) -> int:
    status = {"code": 550, "message": answer}
    refused = {"severity": "permanent", "reason": reason, "delivery-status": status}
    return by_mail(message, "failed", **refused, **also)


def by_text(message: OutboxMessage, status: str, *, token: str = "token", **also: str) -> int:
    """A report as the text gateway posts it."""
    path = f"/hooks/text/{message.practice_id}/{message.id}/"
    fields = {"MessageSid": "SM1", "MessageStatus": status, "To": "+447700900123"} | also
    given = signature(f"http://127.0.0.1:8000{path}", fields, token=token)
    return Browser().post(path, fields, headers={"X-Twilio-Signature": given}).status_code


@pytest.mark.parametrize("seed", range(5))
def test_reports_repeated_and_shuffled_make_one_transition(seed: int) -> None:
    message = put()
    reports = [lambda: bounce(message), lambda: by_mail(message, "delivered")] * 10
    random.Random(seed).shuffle(reports)
    assert {report() for report in reports} == {204}
    assert reread(message).state == State.BOUNCED
    assert message.sent_at is not None
    assert told == [(message.subject_id, "email")]


@pytest.mark.parametrize("event", ["complained", "unsubscribed"])
@pytest.mark.parametrize("state", [State.SENT, State.UNCERTAIN, State.BOUNCED, State.CANCELLED])
def test_a_readers_no_tells_once_and_says_that_the_message_arrived(state: str, event: str) -> None:
    """Whatever was known of the message before: who says so had it."""
    message = put(state, doubts=1)
    for _ in range(3):
        assert by_mail(message, event) == 204
    assert reread(message).state == State.SENT
    assert told == [(message.subject_id, "complained")]


def test_a_text_to_a_phone_that_answered_stop_before_comes_back_and_is_told_as_that() -> None:
    message = put(channel="text")
    for _ in range(2):
        assert by_text(message, "undelivered", ErrorCode="21610") == 204
    assert reread(message).state == State.BOUNCED
    assert told == [(message.subject_id, "refused")]


def test_a_full_mailbox_is_no_reason_to_stop() -> None:
    message = put()
    assert by_mail(message, "failed", severity="temporary", reason="generic") == 204
    assert reread(message).state == State.SENT
    assert told == []


@pytest.mark.parametrize(
    ("event", "also"),
    [
        ("failed", {"severity": "permanent", "reason": "old"}),
        ("failed", {"severity": "permanent", "reason": "generic"}),
        ("rejected", {"reject": {"reason": "Suppressed"}}),
    ],
)
def test_what_the_provider_gave_up_has_reached_nobody_and_stops_no_channel(
    event: str, also: dict[str, Any]
) -> None:
    """A mailbox that stayed full, a server that stayed away: the next mail may arrive."""
    message = put()
    for _ in range(2):
        assert by_mail(message, event, **also) == 204
    assert reread(message).state == State.BOUNCED
    assert told == [(message.subject_id, "lost")]


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ("5.7.1 Service unavailable; client host [198.51.100.7] blocked using a list", "bounce"),
        ("5.7.26 This mail has been blocked because SPF and DKIM did not pass", "bounce"),
        ("5.7.1 Message rejected as spam", "bounce"),
        ("5.2.2 mailbox full", "bounce"),
        ("", "bounce"),
        ("", "suppress-bounce"),
        ("user unknown", "generic"),
    ],
)
def test_a_mail_that_was_refused_by_policy_has_reached_nobody_and_stops_no_channel(
    answer: str, reason: str
) -> None:
    """A large host that blocks the provider for an hour says nothing of its mailboxes."""
    message = put()
    for _ in range(2):
        assert bounce(message, answer=answer, reason=reason) == 204
    assert reread(message).state == State.BOUNCED
    assert told == [(message.subject_id, "lost")]


@pytest.mark.parametrize(
    ("event", "answer", "outcome"),
    [
        ("hard_bounce", "smtp;550 5.1.1 <k@mail.example>: user unknown", "email"),
        ("hard_bounce", "smtp;550 5.7.1 blocked by policy", "lost"),
        ("soft_bounce", "smtp;450 user unknown", "lost"),
        ("reject", "", "lost"),
    ],
)
def test_mandrill_is_read_alike(event: str, answer: str, outcome: str, settings: Settings) -> None:
    settings.EMAIL_WEBHOOK = "anymail.webhooks.mandrill.MandrillCombinedWebhookView"
    settings.ANYMAIL = {"MANDRILL_WEBHOOK_KEY": KEY}
    message = put()
    about = {"practice": str(message.practice_id), "message": str(message.id)}
    events = json.dumps([{"event": event, "msg": {"metadata": about, "diag": answer}}])
    signed = f"http://testserver/hooks/email/mandrill_events{events}".encode()
    given = b64encode(hmac.digest(KEY.encode(), signed, "sha1")).decode()
    answered = Browser().post(
        "/hooks/email/", {"mandrill_events": events}, headers={"X-Mandrill-Signature": given}
    )
    assert answered.status_code == 204
    assert reread(message).state == State.BOUNCED
    assert told == [(message.subject_id, outcome)]


def test_forged_reports_change_nothing() -> None:
    mail, text = put(), put(channel="text")
    assert bounce(mail, key="another key") == 403
    assert by_text(text, "failed", token="another token") == 403
    browser, path = Browser(), f"/hooks/text/{text.practice_id}/{text.id}/"
    of_another_kind = ('{"signature": 1}', '{"signature": {"token": null}}')
    for body in ("", "{", "[]", "null", "[" * 99_999, *of_another_kind):
        answer = browser.post("/hooks/email/", body, content_type="application/json")
        assert answer.status_code == 403
    assert browser.post(path, {"MessageStatus": "failed"}).status_code == 403
    assert browser.get(path).status_code == 405
    assert (reread(mail).state, reread(text).state) == (State.SENT, State.SENT)
    assert told == []


def test_a_report_about_something_else_is_taken_and_changes_nothing() -> None:
    message = put()
    assert by_mail(message, "failed", timestamp=1e300) == 403
    stranger = OutboxMessage(practice_id=message.practice_id, id=uuid4())
    of_another = OutboxMessage(practice_id=uuid4(), id=message.id)
    assert bounce(stranger) == bounce(of_another) == 204
    assert by_mail(message, "failed", **{"user-variables": {"message": "x"}}) == 204
    assert reread(message).state == State.SENT


def test_without_a_provider_that_signs_nobody_may_report(settings: Settings) -> None:
    settings.EMAIL_WEBHOOK = ""
    assert bounce(put()) == 403
    settings.TEXT_GATEWAY_URL = ""
    assert by_text(put(), "failed", token="") == 403


@pytest.mark.django_db(transaction=True)
def test_each_report_of_a_batch_is_noted_by_itself(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that held the turns of all its clients could meet another that holds them crosswise."""
    url, messages = "http://127.0.0.1:8000/hooks/email/", [put(), put()]
    settings.EMAIL_WEBHOOK = "anymail.webhooks.mandrill.MandrillCombinedWebhookView"
    settings.ANYMAIL = {"MANDRILL_WEBHOOK_KEY": KEY, "MANDRILL_WEBHOOK_URL": url}
    noted = reports.note

    def note(*, message_id: UUID, **report: Any) -> bool:
        assert message_id == messages[0].id, "the second fails"
        return noted(message_id=message_id, **report)

    monkeypatch.setattr(reports, "note", note)
    about = [{"practice": str(each.practice_id), "message": str(each.id)} for each in messages]
    sent = json.dumps([
        {
            "event": "hard_bounce", "ts": 1, "_id": uuid4().hex,
            "msg": {"_id": "x", "email": "k@mail.example", "metadata": each, "diag": NOBODY_THERE},
        }
        for each in about
    ])  # fmt: skip
    signed = hmac.digest(KEY.encode(), f"{url}mandrill_events{sent}".encode(), "sha1")
    Browser(raise_request_exception=False).post(
        "/hooks/email/",
        {"mandrill_events": sent},
        headers={"X-Mandrill-Signature": b64encode(signed).decode()},
    )
    assert [reread(each).state for each in messages] == [State.BOUNCED, State.SENT]


@pytest.mark.parametrize("provider", ["mailgun.MailgunTracking", "mandrill.MandrillCombined"])
def test_a_provider_whose_key_is_not_set_yet_is_told_so(settings: Settings, provider: str) -> None:
    """Mandrill asks by HEAD before it gives out its key."""
    settings.EMAIL_WEBHOOK = f"anymail.webhooks.{provider}WebhookView"
    settings.ANYMAIL = {}
    assert Browser().head("/hooks/email/").status_code == 200
    assert Browser().post("/hooks/email/", "{}", "application/json").status_code == 403


@pytest.mark.parametrize("code", ["30005", "21211", "21614"])
def test_a_text_to_a_number_that_does_not_exist_comes_back(code: str) -> None:
    message = put(channel="text")
    for status in ("queued", "sent", "undelivered", "failed", "delivered", "undelivered"):
        assert by_text(message, status, ErrorCode=code) == 204
    assert reread(message).state == State.BOUNCED
    assert told == [(message.subject_id, "text")]


@pytest.mark.parametrize(
    "code", ["30001", "30002", "30003", "30006", "30007", "30008", "30034", "21612", "²", ""]
)
@pytest.mark.parametrize("status", ["undelivered", "failed"])
def test_a_text_that_was_lost_for_another_reason_has_reached_nobody_and_stops_no_number(
    status: str, code: str
) -> None:
    """A phone that is off, a carrier's filter, our own account: the next text may arrive."""
    message = put(channel="text")
    for _ in range(2):
        assert by_text(message, status, ErrorCode=code) == 204
    assert reread(message).state == State.BOUNCED
    assert told == [(message.subject_id, "lost")]


def test_a_report_that_is_no_form_is_refused() -> None:
    path = f"/hooks/text/{uuid4()}/{uuid4()}/"
    sent = Browser().post(path, b"x", content_type="multipart/form-data; boundary=")
    assert sent.status_code == 403


def test_a_report_may_come_before_the_sender_has_noted_that_the_message_is_out() -> None:
    lease = timezone.now() + OutboxMessage.LEASE
    message = put(State.CLAIMED, lease_until=lease)
    assert by_text(message, "failed", ErrorCode="30005") == 204
    assert (reread(message).state, message.channel) == (State.BOUNCED, "text")
    assert told == [(message.subject_id, "text")], "the way it came back, not the one it began with"


def test_a_report_of_delivery_ends_a_doubt() -> None:
    message = put(State.UNCERTAIN, doubts=1)
    assert by_mail(message, "delivered") == 204
    assert reread(message).state == State.SENT
