"""How often a link may be asked for, and that it works while nobody can count."""

from collections.abc import Iterator
from datetime import datetime

import pytest
import time_machine
from django.core.cache import caches
from django.test import Client as Browser
from django.urls import reverse
from pytest_django import Settings

from apps.alliance.models import AllianceRating
from apps.feedback.client_pages import NOT_KEPT
from apps.feedback.models import FeedbackRequest
from apps.feedback.tokens import make_token
from tests.feedback.conftest import answers, link_of
from tests.feedback.test_client_form import hidden, shown

pytestmark = pytest.mark.usefixtures("valkey")
UNKNOWN = "/f/" + "A" * 44 + "/"


@pytest.fixture(autouse=True)
def clock() -> Iterator[time_machine.Traveller]:
    """A second after a full ten minutes, and standing still."""
    now = int(datetime.now().timestamp())  # noqa: DTZ005 - as seconds
    with time_machine.travel(now - now % 600 + 1, tick=False) as traveller:
        yield traveller


def test_one_link_is_shown_thirty_times_in_ten_minutes_and_then_again(
    phone: Browser, clock: time_machine.Traveller, link: str
) -> None:
    assert {phone.get(link).status_code for _ in range(29)} == {NOT_KEPT}
    assert phone.get(link + "thanks/").status_code == 302
    page = phone.get(link)
    assert page.status_code == 429
    assert page["Retry-After"] == "599"
    assert page["Cache-Control"] == "no-store"
    assert "Please wait a few minutes" in shown(page)
    assert "findahelpline.com" in shown(page)
    clock.shift(600)
    assert phone.get(link).status_code == NOT_KEPT


def test_a_refusal_keeps_what_was_typed_and_sends_it_later(
    phone: Browser, clock: time_machine.Traveller, link: str
) -> None:
    sent = answers(comment="Keep me.", frame=hidden(phone.get(link), "frame"))
    for _ in range(29):
        phone.get(link)
    page = phone.post(link, sent)
    assert page.status_code == 429
    assert "Keep me." in shown(page)
    assert 'href="tel:116123"' in page.content.decode()
    assert "Ruth Adeyemi" in shown(page)
    assert not AllianceRating.objects.exists()
    clock.shift(600)
    assert phone.post(link, sent).status_code == 302


def test_links_are_counted_one_by_one(
    phone: Browser, asked: FeedbackRequest, link: str, clock: time_machine.Traveller
) -> None:
    other = reverse("feedback_form", args=[make_token(asked.id, generation=1)])
    for _ in range(31):
        refused = phone.get(link)
    assert refused.status_code == 429
    assert phone.get(other).status_code == 404


def test_a_refusal_does_not_tell_whether_the_link_exists(phone: Browser, link: str) -> None:
    for address in (link, UNKNOWN):
        for _ in range(30):
            assert phone.get(address).status_code in {NOT_KEPT, 404}
    genuine, unknown = phone.get(link), phone.get(UNKNOWN)
    assert genuine.status_code == unknown.status_code == 429
    assert genuine.content == unknown.content
    assert dict(genuine.headers) == dict(unknown.headers)


def test_sixty_unknown_links_a_minute_close_an_address_to_all_links_until_the_next(
    phone: Browser, clock: time_machine.Traveller, link: str
) -> None:
    for n in range(60):
        assert phone.get(f"/f/{n}/").status_code == 404
    closed = phone.get(link)
    assert closed.status_code == 429
    assert closed["Retry-After"] == "59"
    assert closed.content == phone.get("/f/61/").content == phone.get("/f/a/b/").content
    assert phone.get(link, REMOTE_ADDR="192.0.2.9").status_code == NOT_KEPT
    clock.shift(60)
    assert phone.get(link).status_code == NOT_KEPT


def test_an_unknown_link_counts_also_with_a_body_that_cannot_be_read(phone: Browser) -> None:
    for n in range(60):
        page = phone.post(f"/f/{n}/fresh/", "x", content_type="multipart/form-data")
        assert page.status_code == 400
    assert phone.get(UNKNOWN).status_code == 429


def test_an_unknown_link_counts_also_with_a_query_that_cannot_be_read(phone: Browser) -> None:
    many = "?" + "&".join(["a"] * 1001)
    assert {phone.get(f"/f/{n}/{many}").status_code for n in range(60)} == {404}
    assert phone.get(UNKNOWN).status_code == 429


@pytest.mark.parametrize(
    ("proxies", "headers", "same"),
    [
        (0, ["1.1.1.1", "2.2.2.2"], True),
        (1, ["1.1.1.1", "2.2.2.2"], False),
        (1, ["1.1.1.1, 9.9.9.9", "2.2.2.2, 9.9.9.9"], True),
        (2, ["8.8.8.8, 1.1.1.1, 9.9.9.9", "8.8.8.8, 2.2.2.2, 9.9.9.9"], False),
        (2, ["1.1.1.1", "2.2.2.2"], True),
        (1, ["2001:db8::1", "2001:db8::2"], True),
        (1, ["2001:db8:0:1::1", "2001:db8:0:2::1"], False),
        (1, ["::ffff:1.1.1.1", "1.1.1.1"], True),
        (1, ["made up", "also made up"], True),
    ],
)
def test_the_address_is_what_our_own_proxies_say(
    phone: Browser, settings: Settings, proxies: int, headers: list[str], same: bool
) -> None:
    settings.TRUSTED_PROXIES = proxies
    for n in range(60):
        phone.get(f"/f/{n}/", HTTP_X_FORWARDED_FOR=headers[0])
    last = phone.get("/f/x/", HTTP_X_FORWARDED_FOR=headers[1])
    assert last.status_code == (429 if same else 404)


def test_neither_link_nor_address_can_be_read_in_redis(
    phone: Browser, asked: FeedbackRequest
) -> None:
    phone.get(link_of(asked))
    phone.get(UNKNOWN)
    backend = caches["default"]
    keys = [key.decode() for key in backend._cache.get_client().keys(f"{backend.key_prefix}*")]
    assert len(keys) == 3
    for secret in (make_token(asked.id, generation=0), str(asked.id), "127.0.0.1", "A" * 44):
        assert not [key for key in keys if secret in key]


@pytest.mark.parametrize("url", ["redis://127.0.0.1:1/0", "unix:///nonexistent/valkey.sock"])
def test_while_redis_is_away_every_link_works(
    phone: Browser,
    settings: Settings,
    link: str,
    url: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    settings.CACHES = {"default": settings.CACHES["default"] | {"LOCATION": url}}
    for _ in range(35):
        assert phone.get(link).status_code == NOT_KEPT
    for n in range(65):
        assert phone.get(f"/f/{n}/").status_code == 404
    assert phone.post(link, answers()).status_code == 302
    assert "Your answers are saved" in shown(phone.get(link + "thanks/"))
    assert "links are not counted" in caplog.text
    assert link.split("/")[2] not in caplog.text
