"""The token of a link: only those we made are genuine."""

import random
import string
from uuid import UUID, uuid4

import pytest
from pytest_django import Settings

from apps.feedback.tokens import is_genuine, make_token, read_request_id

SIGNS = string.ascii_letters + string.digits + "-_=+/. "
REQUEST = UUID("0b7c3c1e-7a55-4a3b-9d0f-5d7c2f4c8a11")


def test_a_token_names_its_request_and_is_genuine_for_its_generation_only() -> None:
    token = make_token(REQUEST, generation=3)
    assert read_request_id(token) == REQUEST
    assert len(token) == 44
    assert [n for n in range(300) if is_genuine(token, generation=n)] == [3]


def test_no_token_with_one_sign_changed_left_out_or_added_is_genuine() -> None:
    token = make_token(REQUEST, generation=0)
    for place in range(len(token)):
        for sign in SIGNS:
            if token[place] != sign:
                assert not is_genuine(token[:place] + sign + token[place + 1 :], generation=0)
            assert not is_genuine(token[:place] + sign + token[place:], generation=0)
        assert not is_genuine(token[:place] + token[place + 1 :], generation=0)


def test_no_token_with_many_signs_changed_is_genuine() -> None:
    token = make_token(REQUEST, generation=0)
    draw = random.Random(2026)
    for _ in range(20_000):
        places = set(draw.sample(range(len(token)), draw.randint(1, 44)))
        changed = "".join(
            draw.choice(SIGNS[:64]) if n in places else sign for n, sign in enumerate(token)
        )
        assert changed == token or not is_genuine(changed, generation=0)


def test_another_requests_signature_is_not_genuine() -> None:
    mine, other = make_token(REQUEST, generation=0), make_token(uuid4(), generation=0)
    assert not is_genuine(mine[:22] + other[22:], generation=0)


@pytest.mark.parametrize(
    "text", ["", "…", "a" * 44, "A" * 43 + "=", "é" * 44, "\0" * 44, "A" * 9999]
)
def test_what_is_no_token_is_read_as_none_or_not_genuine(text: str) -> None:
    assert not is_genuine(text, generation=0)


def test_links_made_with_an_older_key_live_until_the_key_is_taken_away(
    settings: Settings,
) -> None:
    settings.FEEDBACK_LINK_KEYS = ["old"]
    token = make_token(REQUEST, generation=0)
    settings.FEEDBACK_LINK_KEYS = ["new", "old"]
    assert is_genuine(token, generation=0)
    assert make_token(REQUEST, generation=0) != token
    settings.FEEDBACK_LINK_KEYS = ["new"]
    assert not is_genuine(token, generation=0)
