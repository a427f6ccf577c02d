"""The token of a link: only those we made are genuine."""

import os
import random
import string
import subprocess
import sys
from base64 import urlsafe_b64decode, urlsafe_b64encode
from uuid import UUID, uuid4

import pytest
from pytest_django import Settings

from apps.feedback.tokens import make_token, read_request_id, way_of

SIGNS = string.ascii_letters + string.digits + "-_=+/. "
PRODUCTION = {
    "RAPPORT_ENVIRONMENT": "production",
    "DEBUG": "false",
    "SECRET_KEY": "s" * 60,
    "ENCRYPTION_KEYS": "A" * 43 + "=",
    "ALLOWED_HOSTS": "rapport.example.org",
    "BASE_URL": "https://rapport.example.org",
    "DEFAULT_FROM_EMAIL": "forms@example.org",
    "DATABASE_URL": "postgres://app:app@127.0.0.1:5432/rapport",
    "REDIS_URL": "redis://127.0.0.1:6379/0",
    "EMAIL_URL": "smtp+tls://user:password@127.0.0.1:587",
}
REQUEST = UUID("0b7c3c1e-7a55-4a3b-9d0f-5d7c2f4c8a11")


def test_a_token_names_its_request_and_is_genuine_for_its_generation_only() -> None:
    token = make_token(REQUEST, generation=3)
    assert read_request_id(token) == REQUEST
    assert len(token) == 44
    assert [n for n in range(300) if way_of(token, generation=n)] == [3]


def test_a_link_can_be_revoked_however_often() -> None:
    generations = [0, 1, 32_767, 65_535, 65_536, 65_537, 2_147_483_647]
    for generation in generations:
        token = make_token(REQUEST, generation=generation)
        assert [n for n in generations if way_of(token, generation=n)] == [generation]


def test_no_token_with_one_sign_changed_left_out_or_added_is_genuine() -> None:
    token = make_token(REQUEST, generation=0)
    for place in range(len(token)):
        for sign in SIGNS:
            if token[place] != sign:
                assert not way_of(token[:place] + sign + token[place + 1 :], generation=0)
            assert not way_of(token[:place] + sign + token[place:], generation=0)
        assert not way_of(token[:place] + token[place + 1 :], generation=0)


def test_no_token_with_many_signs_changed_is_genuine() -> None:
    token = make_token(REQUEST, generation=0)
    draw = random.Random(2026)
    for _ in range(20_000):
        places = set(draw.sample(range(len(token)), draw.randint(1, 44)))
        changed = "".join(
            draw.choice(SIGNS[:64]) if n in places else sign for n, sign in enumerate(token)
        )
        assert changed == token or not way_of(changed, generation=0)


def test_another_requests_signature_is_not_genuine() -> None:
    mine, other = make_token(REQUEST, generation=0), make_token(uuid4(), generation=0)
    assert not way_of(mine[:22] + other[22:], generation=0)


@pytest.mark.parametrize(
    "text", ["", "…", "a" * 44, "A" * 43 + "=", "é" * 44, "\0" * 44, "A" * 9999]
)
def test_what_is_no_token_is_read_as_none_or_not_genuine(text: str) -> None:
    assert not way_of(text, generation=0)


def test_of_a_million_forgeries_none_is_genuine() -> None:
    """A real token with bits flipped, its request, generation or signature from elsewhere."""
    draw = random.Random(2026)
    genuine = urlsafe_b64decode(make_token(REQUEST, generation=0))
    other = urlsafe_b64decode(make_token(UUID(int=draw.getrandbits(128)), generation=0))
    hits = 0
    for n in range(1_000_000):
        if n % 4 == 0:
            flips = draw.getrandbits(264) & draw.getrandbits(264) & draw.getrandbits(264) or 1
            forged = (int.from_bytes(genuine) ^ flips).to_bytes(33)
        elif n % 4 == 1:
            forged = (int.from_bytes(genuine) ^ 1 << draw.randrange(264)).to_bytes(33)
        elif n % 4 == 2:
            forged = genuine[:1] + draw.randbytes(16) + (genuine, other)[n % 8 == 2][17:]
        else:
            forged = genuine[:17] + draw.randbytes(16)
        hits += bool(way_of(urlsafe_b64encode(forged).decode(), generation=n % 3))
    assert hits == 0
    assert way_of(urlsafe_b64encode(genuine).decode(), generation=0)


def test_links_made_with_an_older_key_live_until_the_key_is_taken_away(
    settings: Settings,
) -> None:
    settings.FEEDBACK_LINK_KEYS = ["old"]
    of_old = make_token(REQUEST, generation=0)
    settings.FEEDBACK_LINK_KEYS = ["new", "old"]
    of_new = make_token(REQUEST, generation=0)
    assert of_new != of_old
    assert way_of(of_old, generation=0)
    settings.FEEDBACK_LINK_KEYS = ["newest", "new"]
    assert not way_of(of_old, generation=0)
    assert way_of(of_new, generation=0)
    settings.FEEDBACK_LINK_KEYS = ["new"]
    assert way_of(of_new, generation=0)


def test_two_keys_with_the_same_id_both_sign(settings: Settings) -> None:
    keys: dict[str, str] = {}
    for n in range(300):
        settings.FEEDBACK_LINK_KEYS = [f"key {n}"]
        token = make_token(REQUEST, generation=0)
        twin = keys.setdefault(token[0], f"key {n}")
        settings.FEEDBACK_LINK_KEYS = [twin, f"key {n}"]
        assert way_of(token, generation=0)


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"FEEDBACK_LINK_KEYS": "k" * 40 + ",short"}, "A key in FEEDBACK_LINK_KEYS is shorter"),
        ({"BASE_URL": "https://fernbank-therapy.example"}, "BASE_URL: 'https://fernbank-therapy"),
        ({"DEFAULT_FROM_EMAIL": "praxis@example.org"}, "DEFAULT_FROM_EMAIL: 'praxis@example.org'"),
    ],
)
def test_production_refuses_a_key_that_could_be_guessed_and_what_tells_of_therapy(
    given: dict[str, str], why: str
) -> None:
    start = subprocess.run(
        [sys.executable, "-c", "import config.settings"],
        env=os.environ | PRODUCTION | given,
        capture_output=True,
        text=True,
        check=False,
    )
    assert start.returncode != 0
    assert why in start.stderr
