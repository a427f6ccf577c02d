"""Guessing a password or a code takes ever longer. Nobody is locked out for good.

Ten wrong answers are free; fifteen minutes without one forget them. From the tenth on each is
followed by a pause: 30 s, then 1, 2, 4 and at most 5 minutes. What comes in the pause is refused
unread and does not count. A browser in which the owner of the account has signed in before is
counted apart (see `known_browsers`), so that guessers do not keep them waiting, and a right answer
there forgets the wrong ones. All others are counted together, and a right answer leaves no trace in
that count: who guesses would read from it that the owner has signed in, and that there is one.

The counters live in the cache, changed by its atomic operations only. Where the cache is away,
nothing is let through: `redis.RedisError` ends the request (see `SignInMiddleware`).
"""

import math
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from django.core.cache import cache
from django.core.exceptions import ValidationError
from django.utils.translation import ngettext

FREE_ATTEMPTS = 10
REMEMBERED_S = 15 * 60
FIRST_PAUSE_S = 30
LONGEST_PAUSE_S = 5 * 60


def pause_after(failures: int) -> int:
    """Seconds until the next attempt after so many failures in a row.

    >>> [pause_after(n) for n in (9, 10, 11, 12, 13, 14, 99)]
    [0, 30, 60, 120, 240, 300, 300]
    """
    if failures < FREE_ATTEMPTS:
        return 0
    return min(FIRST_PAUSE_S << min(failures - FREE_ATTEMPTS, 16), LONGEST_PAUSE_S)


@dataclass
class Attempt:
    """One attempt to prove who one is; it has failed until the block says otherwise."""

    succeeded: bool = False


def _one_more(count: str) -> int:
    """How many there are with this one; forgotten at this very moment, they are counted anew."""
    while True:
        cache.add(count, 0, timeout=REMEMBERED_S)
        with suppress(ValueError):
            failures: int = cache.incr(count)
            return failures


def _one_less(count: str) -> None:
    with suppress(ValueError):  # forgotten meanwhile
        cache.decr(count)


@contextmanager
def attempt(account: str, *, browser: str) -> Iterator[Attempt]:
    """One attempt at `account`, the step and the email address, from a known browser or from ''.

    It counts as failed before the block runs, so that many attempts at once gain nothing.

    Raises:
        ValidationError: it is too early; says how long to wait.
    """
    whose = f"{account.lower()} {browser}"
    count, gate = f"sign-in:failures:{whose}", f"sign-in:pause:{whose}"
    failures = _one_more(count)
    pause = pause_after(failures)
    if pause and not cache.add(gate, 1, timeout=pause):
        _one_less(count)
        minutes = math.ceil(pause_after(failures - 1) / 60)
        raise ValidationError(
            ngettext(
                "Too many attempts. Wait %(minutes)d minute and try again.",
                "Too many attempts. Wait %(minutes)d minutes and try again.",
                minutes,
            ),
            code="too_many_attempts",
            params={"minutes": minutes},
        )
    this = Attempt()
    try:
        yield this
    finally:
        if not this.succeeded:
            cache.touch(count, REMEMBERED_S)  # not before: right answers prolong nothing
        elif browser:
            cache.delete_many([count, gate])
        else:
            _one_less(count)
            if pause:
                cache.delete(gate)
