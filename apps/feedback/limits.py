"""How often the client pages may be asked: enough for a person, too little for guessing.

30 requests in 10 minutes for one link, and after 60 unknown links in a minute from one address
none at all until the minute is over. Unknown links are counted like genuine ones, so that a
refusal tells nobody what exists. While Redis is away nothing is counted and every link works: a
client who answers matters more.
"""

import hashlib
import hmac
import logging
import time
from dataclasses import dataclass

import redis
from django.conf import settings
from django.core.cache import cache
from django.http import HttpRequest

from apps.core.addresses import network_of

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Limit:
    """At most `most` in each window of `seconds`; windows stand on the clock."""

    name: str
    most: int
    seconds: int

    def key(self, whom: str) -> str:
        """Keyed hash: neither a token nor an address may be read in Redis."""
        said = f"{self.name}:{whom}".encode()
        digest = hmac.new(settings.SECRET_KEY.encode(), said, hashlib.sha256).hexdigest()
        # The window's number makes a counter that lost its expiry harmless.
        return f"{self.name}:{digest[:32]}:{int(time.time()) // self.seconds}"

    def count(self, whom: str) -> int:
        """How many there are in this window, with this one."""
        key = self.key(whom)
        cache.add(key, 0, self.seconds)
        try:
            return cache.incr(key)
        except ValueError:  # run out between the two
            return 1

    def wait(self) -> int:
        """Seconds until the next window."""
        return self.seconds - int(time.time()) % self.seconds


PER_LINK = Limit("link", most=30, seconds=600)
UNKNOWN_PER_ADDRESS = Limit("unknown-link", most=60, seconds=60)


def seconds_to_wait(request: HttpRequest, token: str) -> int:
    """How long this request must wait, after counting it; 0: not at all."""
    try:
        address = network_of(request)
        if cache.get(UNKNOWN_PER_ADDRESS.key(address), 0) >= UNKNOWN_PER_ADDRESS.most:
            return UNKNOWN_PER_ADDRESS.wait()
        if token and PER_LINK.count(token) > PER_LINK.most:
            return PER_LINK.wait()
    except redis.RedisError as error:
        logger.warning("Redis is away (%s); links are not counted.", type(error).__name__)
    return 0


def count_unknown(request: HttpRequest) -> None:
    """Count a link that was none of ours against the address it was tried from."""
    try:
        UNKNOWN_PER_ADDRESS.count(network_of(request))
    except redis.RedisError as error:
        logger.warning("Redis is away (%s); links are not counted.", type(error).__name__)
