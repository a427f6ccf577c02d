"""Sealed text: for one purpose, for a while, by keys that can change."""

from datetime import timedelta

import pytest
import time_machine
from django.utils import timezone
from pytest_django import Settings

from apps.core.sealing import Unreadable, seal, unseal


def test_what_was_sealed_for_one_purpose_is_closed_to_another() -> None:
    sealed = seal("a word", purpose="draft")
    assert "a word" not in sealed
    assert unseal(sealed, purpose="draft") == "a word"
    with pytest.raises(Unreadable):
        unseal(sealed, purpose="second step")


def test_a_changed_text_is_refused() -> None:
    sealed = seal("a word", purpose="draft")
    with pytest.raises(Unreadable):
        unseal(sealed[:-5] + "AAAA=", purpose="draft")


def test_a_text_can_run_out() -> None:
    with time_machine.travel(timezone.now(), tick=False) as clock:
        sealed = seal("a word", purpose="draft")
        clock.shift(timedelta(seconds=61))
        with pytest.raises(Unreadable):
            unseal(sealed, purpose="draft", max_age_s=60)


def test_a_new_key_in_front_still_opens_what_an_older_one_sealed(settings: Settings) -> None:
    sealed = seal("a word", purpose="draft")
    settings.SEALING_KEYS = ["a new key", *settings.SEALING_KEYS]
    assert unseal(sealed, purpose="draft") == "a word"
    settings.SEALING_KEYS = ["a new key"]
    with pytest.raises(Unreadable):
        unseal(sealed, purpose="draft")
