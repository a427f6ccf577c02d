"""Two at one moment about one client: every form, the client's link and what runs by itself.

Real threads and real commits, in a database of its own. Pairs come in an order that the seed
decides, until the time is over; exit status 1 where one of the two was a server error, or where
afterwards something does not hold (`invariants.py`):

    python -m apps.core.embedded with-engines -- python -m tests.architecture.matrix.at_once \
        --minutes 15 --seed 1
"""

import argparse
import random
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from itertools import combinations_with_replacement
from typing import Any

from django.core.cache import cache
from django.db import connection
from django.test import Client as Browser
from django.test.utils import (
    override_settings,
    setup_databases,
    setup_test_environment,
    teardown_databases,
)
from django.urls import reverse
from django.utils import timezone

from apps.core import tenancy
from apps.core.models import OutboxMessage
from apps.core.tasks import deliver_due_messages, seal_audit_trail
from apps.exchange.tasks import propose_erasures
from apps.feedback.models import FeedbackRequest
from apps.feedback.tasks import expire_feedback_requests
from apps.ruptures.tasks import move_episodes_on
from tests.architecture.matrix.building import another_case, build, signed_in
from tests.architecture.matrix.cells import without_log_lines
from tests.architecture.matrix.invariants import broken
from tests.architecture.matrix.meanwhile import send
from tests.architecture.matrix.routes import ROUTES
from tests.architecture.matrix.scenes import (
    FURTHER,
    Further,
    Scene,
    is_about_a_client,
    person,
)
from tests.at_once import at_once
from tests.conftest import the_owner

OWN_COUNTERS = {
    "default": {
        "BACKEND": "django.core.cache.backends.locmem.LocMemCache",
        "KEY_FUNCTION": "apps.core.cached.keyed",
    }
}
NOT_ABOUT_THE_SAME = {"add_client", "left_notes"}
BY_SUPERVISORS = ("write_support", "decide", "meeting", "mark_decision_done")
TAKEN = {"answered 200", "answered 302", "done"}
JOBS = (
    move_episodes_on, expire_feedback_requests, deliver_due_messages, propose_erasures,
    seal_audit_trail,
)  # fmt: skip


class NotTogether(Exception):
    """What the one needs does not leave what the other needs."""


@dataclass(frozen=True)
class Door:
    """Something that one of two does: prepared in a scene, it returns what it does then."""

    name: str
    prepared: Callable[[Scene], Callable[[], str]]


def by_form(further: Further) -> Door:
    def prepared(at: Scene) -> Callable[[], str]:
        at = further.state(Scene(at.world, person(at.world, further.who)))
        assert at.person.member
        at.person.key = signed_in(at.person.member)
        [form] = further.forms(at)
        return lambda: _status(send(at.person, form)[0])

    return Door(f"{further.route} of the {further.who}", prepared)


def by_link(name: str, sends: dict[str, Any]) -> Door:
    def prepared(at: Scene) -> Callable[[], str]:
        url = reverse(name, args=[at.ids["token"]])
        return lambda: _status(Browser(raise_request_exception=False).post(url, sends))

    return Door(f"{name} of the client", prepared)


def by_itself(job: Callable[[], None]) -> Door:
    """A task of the beat, with everything due that it looks for."""

    def prepared(at: Scene) -> Callable[[], str]:
        now = timezone.now()
        OutboxMessage.objects.update(not_before=now)
        if job is expire_feedback_requests:
            FeedbackRequest.objects.filter(therapy_session=at.ids["logged_id"]).update(
                due_at=now - timedelta(days=2), expires_at=now
            )
        return lambda: str(job() or "done")

    return Door(job.__name__, prepared)


def _status(answer: Any) -> str:
    return f"answered {answer.status_code}"


def doors() -> Iterator[Door]:
    made = {each.route for each in FURTHER}
    about = [name for name, row in ROUTES.items() if is_about_a_client(row)]
    yield from (by_form(Further(name)) for name in about if name not in made | NOT_ABOUT_THE_SAME)
    yield from (by_form(Further(name, who="supervisor")) for name in BY_SUPERVISORS)
    yield from (by_form(each) for each in FURTHER if each.route not in NOT_ABOUT_THE_SAME)
    yield from (by_form(Further(name)) for name in ("act_on_records", "move_client"))
    answers = ROUTES["feedback_form"].body
    assert answers
    yield by_link("feedback_form", answers(None) | {"comment": "Hurried"})  # type: ignore[arg-type]
    yield by_link("feedback_stop", {"how": "stop"})
    yield by_link("feedback_stop", {"not_me": "1"})
    yield by_link("feedback_fresh", {})
    yield from map(by_itself, JOBS)


@contextmanager
def stretched(chance: random.Random) -> Iterator[None]:
    """Every query comes up to 5 ms late, so that more orders come about."""

    def late(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        time.sleep(chance.random() * 0.005)
        return execute(sql, params, many, context)

    with connection.execute_wrapper(late):
        yield


def meet(at: Scene, pair: tuple[Door, ...], chance: random.Random) -> tuple[list[str], list[str]]:
    """What each of a pair about one new client came to, and what is wrong then, in words."""
    with tenancy.practice(at.practice_id):
        another_case(at.world)
        known = set(broken())
        try:
            acts = [door.prepared(at) for door in pair]
        except Exception as error:
            raise NotTogether(f"cannot both be prepared: {error!r}") from error
    cache.clear()

    def late(act: Callable[[], str]) -> Callable[[], str]:
        def run() -> str:
            with stretched(chance):
                try:
                    return act()
                except Exception as error:  # noqa: BLE001 - whatever it was, it is told
                    return f"raised {error!r}"

        return run

    came = at_once(*map(late, acts))
    wrong = [each for each in came if each.startswith(("raised", "answered 5"))]
    move_episodes_on()
    with tenancy.practice(at.practice_id):
        return came, wrong + sorted(set(broken()) - known)


def run(*, minutes: float, seed: int) -> int:
    chance, until = random.Random(seed), time.monotonic() + minutes * 60
    world = build()
    at = Scene(world, person(world, "therapist"))
    every = list(doors())
    pairs: list[tuple[Door, ...]] = list(combinations_with_replacement(every, 2))
    chance.shuffle(pairs)
    met, failed, taken = 0, 0, set[str]()
    for pair in pairs:
        if time.monotonic() > until:
            break
        said = " | ".join(door.name for door in pair)
        try:
            came, wrong = meet(at, pair, chance)
        except NotTogether as why:
            sys.stdout.write(f"{said}: {why}\n")
            continue
        met += 1
        taken |= {door.name for door, what in zip(pair, came, strict=True) if what in TAKEN}
        failed += bool(wrong)
        for each in wrong:
            sys.stdout.write(f"{said}: {each}\n")
        sys.stdout.flush()
    never = sorted({door.name for door in every} - taken)
    sys.stdout.write(f"Never taken: {never}\n")
    sys.stdout.write(f"{met} of {len(pairs)} pairs of {len(every)} doors, {failed} went wrong\n")
    return 1 if failed else 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=15)
    parser.add_argument("--seed", type=int, default=1)
    wanted = parser.parse_args()
    setup_test_environment()
    with the_owner():
        made = setup_databases(verbosity=0, interactive=False)
    changes = {"MFA_REQUIRED": True, "FEEDBACK_QUIET_HOURS": None, "OUTBOX_SLOTS": 1}
    try:
        with override_settings(CACHES=OWN_COUNTERS, **changes), without_log_lines():
            return run(minutes=wanted.minutes, seed=wanted.seed)
    finally:
        connection.close()
        with the_owner():
            teardown_databases(made, verbosity=0)
