"""What members are told in the app."""

from collections.abc import Collection
from uuid import UUID, uuid4

import pytest
from django.test import Client as Browser
from pytest_django import Settings

from apps.accounts import notices
from apps.accounts.models import Membership, Notice
from apps.accounts.notices import Said, tell

pytestmark = pytest.mark.django_db


def say(ids: Collection[UUID], member: Membership) -> dict[UUID, Said]:
    return {id_: Said(f"Hello {member.name.split()[0]}", url="/diary/") for id_ in ids}


def say_nothing(ids: Collection[UUID], member: Membership) -> dict[UUID, Said]:
    return {}


@pytest.fixture(autouse=True)
def kinds(settings: Settings) -> None:
    here = "tests.accounts.test_notices."
    settings.NOTICE_RENDERERS = {"greeting": here + "say", "gone": here + "say_nothing"}


def texts(member: Membership) -> list[str]:
    return [shown.said.text for shown in notices.unread(member)]


def test_a_thing_is_told_once_and_again_only_where_it_happened_again(
    alice: Membership, charlie: Membership
) -> None:
    for mark in ("", "", "2026-11-19", "2026-11-19"):
        tell(member=alice, kind="greeting", subject=alice, mark=mark)
    tell(member=charlie, kind="greeting", subject=alice)
    assert texts(alice) == ["Hello Alice", "Hello Alice"]
    assert texts(charlie) == ["Hello Charlie"]


def test_what_was_read_is_not_told_again(as_alice: Browser, alice: Membership) -> None:
    tell(member=alice, kind="greeting", subject=alice)
    assert "Hello Alice" in as_alice.get("/caseload/").content.decode()
    notice = Notice.objects.get()
    assert as_alice.post(f"/notices/{notice.id}/read/")["Location"] == "/"
    tell(member=alice, kind="greeting", subject=alice)
    assert "Hello Alice" not in as_alice.get("/caseload/").content.decode()


def test_what_the_member_may_not_see_any_more_is_left_out(alice: Membership) -> None:
    tell(member=alice, kind="gone", subject=alice)
    assert texts(alice) == []


def test_what_has_fallen_silent_hides_nothing_else(alice: Membership) -> None:
    tell(member=alice, kind="greeting", subject=alice)
    for number in range(notices.MOST_SHOWN):
        tell(member=alice, kind="gone", subject=alice, mark=str(number))
    assert texts(alice) == ["Hello Alice"]


def test_supervisors_and_managers_are_told_on_their_start_pages(
    as_sam: Browser, as_mona: Browser, sam: Membership, mona: Membership
) -> None:
    for member in (sam, mona):
        tell(member=member, kind="greeting", subject=member)
    assert "Hello Sam" in as_sam.get("/supervision/").content.decode()
    assert "Hello Mona" in as_mona.get("/practice/").content.decode()


def test_nobody_puts_away_what_was_told_to_somebody_else(
    as_charlie: Browser, alice: Membership
) -> None:
    tell(member=alice, kind="greeting", subject=alice)
    notice = Notice.objects.get()
    assert as_charlie.post(f"/notices/{notice.id}/read/").status_code == 404
    assert as_charlie.post(f"/notices/{uuid4()}/read/").status_code == 404
    assert as_charlie.get(f"/notices/{notice.id}/read/").status_code == 405
    notice.refresh_from_db()
    assert notice.read_at is None
