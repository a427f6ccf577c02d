"""The weekly mail: for who asked for it, once a week, and only where something waits."""

from collections.abc import Collection
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit
from uuid import UUID

import pytest
import time_machine
from django.core import mail
from django.core.mail import EmailMessage
from django.core.signing import Signer
from django.test import Client as Browser
from django.urls import reverse
from pytest_django import Settings

from apps.accounts.digest import make_stop_token, send_digests, set_digest
from apps.accounts.models import Digest, Membership, Notice, Practice
from apps.accounts.notices import Said, mark_read, tell
from apps.core.models import AuditEntry, OutboxMessage
from apps.core.outbox import deliver_due
from tests.conftest import work_in

pytestmark = pytest.mark.django_db
URL = "/account/weekly-mail/"
MONDAY = datetime(2026, 11, 23, 7, 5, tzinfo=UTC)
CLIENT = "FE-0412"


def say(ids: Collection[UUID], member: Membership) -> dict[UUID, Said]:
    return {id_: Said(f"{CLIENT}: possible rupture, worth asking about.") for id_ in ids}


@pytest.fixture(autouse=True)
def kinds(settings: Settings) -> None:
    settings.NOTICE_RENDERERS = {"flag": "tests.accounts.test_digest.say"}


@pytest.fixture
def waiting(alice: Membership) -> Notice:
    """Something that alice, who wants the mail, has not read."""
    set_digest(member=alice, wanted=True, by=alice)
    return tell(member=alice, kind="flag", subject=alice)


def run(at: datetime, practice: Practice) -> list[str]:
    """What the beat and a sender do at `at`: bodies of the mails that went out."""
    mail.outbox.clear()
    work_in(None)
    with time_machine.travel(at, tick=False):
        send_digests(at=at)
        deliver_due()
    work_in(practice.id)
    return [str(message.body) for message in mail.outbox]


def test_on_monday_morning_it_says_that_something_waits_and_nothing_else(
    waiting: Notice, practice: Practice, alice: Membership
) -> None:
    [body] = run(MONDAY, practice)
    [message] = mail.outbox
    assert alice.user
    assert message.to == [alice.user.email]
    whole = f"{message.subject} {message.message().as_string()}"
    for hidden in (CLIENT, "Alice", "rupture", "client", "therap", "flag", practice.name):
        assert hidden not in whole
    assert way_out(message) in body


def way_out(message: EmailMessage) -> str:
    """The address that the mail's headers name for one click (RFC 8058)."""
    headers = message.message()
    assert headers["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    named = str(headers["List-Unsubscribe"])
    assert named.startswith("<http")
    assert named.endswith(">")
    return named[1:-1]


def test_one_click_turns_this_mail_off_without_signing_in_and_opening_it_does_not(
    waiting: Notice, practice: Practice, alice: Membership, mona: Membership
) -> None:
    set_digest(member=mona, wanted=True, by=mona)
    run(MONDAY, practice)
    path = urlsplit(way_out(mail.outbox[0])).path
    stranger = Browser(enforce_csrf_checks=True)
    for method in (stranger.get, stranger.head, stranger.get):
        assert method(path).status_code == 200
    assert stranger.put(path).status_code == 405
    page = stranger.get(path).content.decode()
    assert "Stop the weekly mail?" in page
    for hidden in ("Alice", practice.name, alice.user.email if alice.user else ""):
        assert hidden not in page
    alice.refresh_from_db()
    assert alice.wants_digest
    for _twice in range(2):
        answer = stranger.post(path, {"List-Unsubscribe": "One-Click"})
        assert (answer.status_code, "is off" in answer.content.decode()) == (200, True)
        work_in(practice.id)
    alice.refresh_from_db()
    mona.refresh_from_db()
    assert (alice.wants_digest, mona.wants_digest) == (False, True)
    assert AuditEntry.objects.filter(route="stop_weekly_mail").count() == 1
    assert run(MONDAY + timedelta(days=7), practice) == []


def test_only_a_link_of_ours_turns_it_off(
    waiting: Notice, alice: Membership, dora: Membership, practice: Practice
) -> None:
    genuine = make_stop_token(alice)
    signature = genuine.partition(":")[2]
    others = make_stop_token(dora).partition(":")[0]
    forged = Signer(salt="another").sign(genuine.partition(":")[0])
    for token in (genuine[:-1], genuine.swapcase(), f"{others}:{signature}", forged, "ü", ":"):
        url = reverse("stop_weekly_mail", args=[token])
        assert Browser().get(url).status_code == 404
        assert Browser().post(url).status_code == 404
    work_in(practice.id)
    alice.refresh_from_db()
    assert alice.wants_digest


def test_it_comes_once_a_week_however_often_the_beat_runs(
    waiting: Notice, practice: Practice
) -> None:
    sent = [
        len(run(MONDAY + timedelta(hours=hours), practice))
        for hours in (-1, 0, 0, 1, 9, 24, 6 * 24, 7 * 24 - 1, 7 * 24, 7 * 24 + 1)
    ]
    assert sent == [0, 1, 0, 0, 0, 0, 0, 0, 1, 0]


def test_monday_is_the_practices(waiting: Notice, practice: Practice) -> None:
    Practice.objects.filter(id=practice.id).update(time_zone="Pacific/Auckland")
    # 08:05 on Monday there; on Sunday evening here.
    assert len(run(datetime(2026, 11, 22, 19, 5, tzinfo=UTC), practice)) == 1
    assert run(MONDAY, practice) == []


def test_nobody_has_it_who_did_not_ask(practice: Practice, alice: Membership) -> None:
    tell(member=alice, kind="flag", subject=alice)
    assert run(MONDAY, practice) == []
    assert not Digest.objects.exists()


def test_nothing_is_sent_where_nothing_waits_nor_later_that_week(
    waiting: Notice, practice: Practice, alice: Membership
) -> None:
    mark_read(notice=waiting)
    assert run(MONDAY, practice) == []
    tell(member=alice, kind="flag", subject=alice, mark="again")
    assert run(MONDAY + timedelta(hours=2), practice) == []
    assert not OutboxMessage.objects.exists()


@pytest.mark.parametrize("change", ["read", "stopped", "left"])
def test_what_changed_before_it_is_out_counts(
    waiting: Notice, practice: Practice, alice: Membership, change: str
) -> None:
    work_in(None)
    send_digests(at=MONDAY)
    work_in(practice.id)
    if change == "read":
        mark_read(notice=waiting)
    elif change == "stopped":
        set_digest(member=alice, wanted=False, by=alice)
    else:
        Membership.objects.filter(id=alice.id).update(is_active=False)
    assert run(MONDAY + timedelta(minutes=1), practice) == []
    assert OutboxMessage.objects.get().state == OutboxMessage.State.CANCELLED


def test_each_member_says_for_themselves(
    as_alice: Browser, as_mona: Browser, alice: Membership, mona: Membership
) -> None:
    assert URL in as_mona.get("/practice/").content.decode()
    assert "checked" not in as_alice.get(URL).content.decode()
    assert as_alice.post(URL, {"wanted": "on"})["Location"] == URL
    assert "checked" in as_alice.get(URL).content.decode()
    assert AuditEntry.objects.get(action="set weekly mail").actor_id == alice.id
    mona.refresh_from_db()
    assert not mona.wants_digest
    as_alice.post(URL, {})
    alice.refresh_from_db()
    assert not alice.wants_digest
    assert as_alice.delete(URL).status_code == 405
