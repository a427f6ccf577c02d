"""Requests that no form of ours makes: refused, in words, and without a trace of data."""

import json
import logging
import os
import subprocess
import sys

import pytest
from django.conf import settings
from django.test import Client as Browser
from django.urls import reverse

from apps.accounts.models import Membership
from apps.clients.models import Treatment
from tests.factories import TreatmentFactory

ELSEWHERE = (
    "https://evil.example/",
    "//evil.example/",
    "///evil.example/",
    "/\\evil.example/",
    "\\\\evil.example",
    "http:evil.example",
    "javascript:alert(1)",
    "https://testserver@evil.example/",
    "/caseload/\r\nSet-Cookie: a=b",
    "/caseload/\nX-Injected: yes",
    " https://evil.example/",
    "\thttps://evil.example/",
)
COOKIES = """
import json
from django.conf import settings
names = ("SESSION_COOKIE_NAME", "SESSION_COOKIE_SECURE", "SESSION_COOKIE_HTTPONLY",
  "SESSION_COOKIE_SAMESITE", "SESSION_COOKIE_DOMAIN", "SESSION_COOKIE_PATH", "CSRF_USE_SESSIONS",
  "SECURE_SSL_REDIRECT", "SECURE_HSTS_SECONDS", "SECURE_HSTS_INCLUDE_SUBDOMAINS", "DEBUG")
print(json.dumps({name: getattr(settings, name) for name in names}))
"""
PRODUCTION = {
    "RAPPORT_ENVIRONMENT": "production",
    "DEBUG": "false",
    "ALLOWED_HOSTS": "rapport.example.org",
    "SECRET_KEY": "a key that is long enough for one, used for nothing",  # pragma: allowlist secret
    "ENCRYPTION_KEYS": "A" * 43 + "=",
    "BASE_URL": "https://rapport.example.org",
    "DEFAULT_FROM_EMAIL": "forms@example.org",
    "EMAIL_URL": "smtp+tls://user:password@127.0.0.1:587",
    "DJANGO_SETTINGS_MODULE": "config.settings",
}


@pytest.fixture
def course(alice: Membership) -> Treatment:
    return TreatmentFactory.create(therapist=alice, falling=True)


@pytest.mark.parametrize("back", ELSEWHERE)
def test_no_next_leads_elsewhere_or_into_the_headers(
    back: str, as_alice: Browser, course: Treatment
) -> None:
    episode = course.episodes.get()
    for url in (
        reverse("theme"),
        reverse("acknowledge_episode", args=[episode.id]),
        reverse("share_episode", args=[episode.id]),
        reverse("set_causes", args=[episode.id]),
    ):
        response = as_alice.post(url, {"next": back, "theme": "dark"})
        assert response.status_code == 302, url
        assert response["Location"].startswith("/"), url
        assert "evil" not in response["Location"]
        assert "X-Injected" not in response.headers
        assert "a" not in response.cookies


@pytest.mark.parametrize("back", ELSEWHERE)
def test_the_sign_in_leads_nowhere_else(back: str, as_alice: Browser) -> None:
    response = as_alice.get(reverse(settings.LOGIN_URL), {"next": back})
    assert "evil" not in response.headers.get("Location", "")
    assert "X-Injected" not in response.headers


@pytest.mark.parametrize("host", ["evil.example", "testserver.evil.example", "127.0.0.1\\@evil"])
@pytest.mark.parametrize("path", ["/caseload/", "/sign-in/", "/healthz/", "/f/nothing/"])
def test_an_unknown_host_is_refused(host: str, path: str, as_alice: Browser) -> None:
    response = as_alice.get(path, headers={"host": host})
    assert response.status_code == 400
    assert b"evil" not in response.content
    assert b"We cannot read this request" in response.content


@pytest.mark.parametrize("path", ["/sessions/log/", "/clients/add/"])
def test_an_oversized_body_gets_a_clear_page_and_changes_nothing(
    path: str, as_alice: Browser, course: Treatment, caplog: pytest.LogCaptureFixture
) -> None:
    before = course.therapy_sessions.count()
    caplog.set_level(logging.INFO)
    sent = "quite-private " * 160_000
    response = as_alice.post(path, {"not_asked_note": sent, "approach": sent})
    assert response.status_code == 400
    assert b"Nothing was changed" in response.content
    assert b"shorten it" in response.content
    assert "quite-private" not in caplog.text
    assert course.therapy_sessions.count() == before


@pytest.mark.parametrize(
    "tamper",
    [
        lambda key: key[:-1] + ("a" if key[-1] != "a" else "b"),
        lambda key: key + "0",
        lambda key: "",
        lambda key: "../../etc/passwd",
        lambda key: "' OR 1=1 --",
        lambda key: "x" * 4000,
    ],
)
def test_a_tampered_session_cookie_leads_to_the_sign_in(tamper: object, as_alice: Browser) -> None:
    key = as_alice.cookies[settings.SESSION_COOKIE_NAME].value
    as_alice.cookies[settings.SESSION_COOKIE_NAME] = tamper(key)  # type: ignore[operator]
    response = as_alice.get("/caseload/")
    assert response.status_code == 302
    assert response["Location"].startswith(reverse(settings.LOGIN_URL))


@pytest.mark.parametrize(
    "query", ["session=1", "client=%00", "session=' OR 1=1", "client=" + "f" * 5000, "client[]=1"]
)
def test_ids_that_are_none_are_answered_in_peace(query: str, as_alice: Browser) -> None:
    assert as_alice.get(f"/sessions/log/?{query}").status_code in {200, 404}
    assert as_alice.get(f"/caseload/?found={query}&page=-1").status_code == 200


SHORT = "short"


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"SECRET_KEY": SHORT, "FEEDBACK_LINK_KEYS": "k" * 40}, "A key in SECRET_KEY is shorter"),
        ({"SEALING_KEYS": "s" * 40 + ",short"}, "A key in SEALING_KEYS is shorter"),
        ({"BASE_URL": "http://rapport.example.org"}, "must begin with https"),
        ({"TEXT_GATEWAY_URL": "http://account:token@texts.example"}, "must begin with https"),
        ({"EMAIL_URL": "smtp://user:password@relay.example:25"}, "smtp+tls://"),
        ({"EMAIL_URL": "smtp://relay.example"}, "smtp+tls://"),
        ({"EMAIL_URL": "smtp://[2001:db8::1]:25"}, "smtp+tls://"),
        ({"EMAIL_URL": "smtp://10.1.2.3:25"}, "smtp+tls://"),
    ],
)
def test_production_does_not_start_with_what_could_be_guessed_or_overheard(
    changes: dict[str, str], says: str
) -> None:
    start = starting(changes)
    assert start.returncode != 0
    assert says in start.stderr


@pytest.mark.parametrize(
    "changes",
    [
        {"EMAIL_URL": "smtp+ssl://user:password@relay.example:465"},
        {"EMAIL_URL": "smtp://localhost:25"},
        {"EMAIL_URL": "smtp://127.0.0.1:25"},
        {"EMAIL_URL": "smtp://[::1]:25"},
        {"EMAIL_URL": "smtp://mailer:25"},
        {"TEXT_SENDER": "Fernbank", "EMAIL_PROVIDER": "mailgun"}
        | {"ANYMAIL_MAILGUN_SENDER_DOMAIN": "mg.fernbank.example"},
    ],
)
def test_production_starts_with_mail_that_nobody_overhears(changes: dict[str, str]) -> None:
    """In the same machine, or in a container beside it, a line without TLS will do."""
    assert starting(changes).returncode == 0


@pytest.mark.parametrize(
    "changes",
    [
        {"BASE_URL": "https://psychotherapy.example"},
        {"DEFAULT_FROM_EMAIL": "psychotherapy@example.org"},
        {"TEXT_SENDER": "Psychotherap"},
        {"ANYMAIL_MAILGUN_SENDER_DOMAIN": "mg.psychotherapy.example"},
    ],
)
def test_production_does_not_start_with_a_sender_that_tells_of_therapy(
    changes: dict[str, str],
) -> None:
    start = starting(changes)
    assert start.returncode != 0
    assert f"{next(iter(changes))}: '{next(iter(changes.values()))}' tells" in start.stderr


def starting(changes: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", "import config.settings"],
        env=os.environ | PRODUCTION | changes,
        capture_output=True,
        text=True,
        check=False,
    )


def test_cookies_of_production_are_bound_to_the_host_and_closed_to_scripts() -> None:
    said = subprocess.run(
        [sys.executable, "-c", COOKIES],
        env=os.environ | PRODUCTION,
        capture_output=True,
        text=True,
        check=True,
    )
    found = json.loads(said.stdout)
    assert found["SESSION_COOKIE_NAME"] == "__Host-sessionid"
    assert found["SESSION_COOKIE_SECURE"]
    assert found["SESSION_COOKIE_HTTPONLY"]
    assert found["SESSION_COOKIE_SAMESITE"] == "Lax"
    assert found["SESSION_COOKIE_DOMAIN"] is None
    assert found["SESSION_COOKIE_PATH"] == "/"
    assert found["CSRF_USE_SESSIONS"], "no cookie of its own"
    assert found["SECURE_SSL_REDIRECT"]
    assert found["SECURE_HSTS_SECONDS"] >= 365 * 24 * 60 * 60
    assert found["SECURE_HSTS_INCLUDE_SUBDOMAINS"]
    assert not found["DEBUG"]
