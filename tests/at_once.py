"""Several people at the same moment: real threads, each with a connection of its own."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from itertools import count
from threading import Barrier
from typing import Any
from uuid import UUID

from django.db import connection, connections
from django.test import Client as Browser

from apps.accounts.models import Practice
from apps.core import tenancy
from tests.architecture.matrix.building import taken_back


def at_once(*ways: Callable[[], Any]) -> list[Any]:
    """What each returned, in their order; an exception of one is raised. Needs a test whose
    database others see (`django_db(transaction=True)`)."""
    ready = Barrier(len(ways))

    def run(way: Callable[[], Any]) -> Any:
        try:
            ready.wait(timeout=30)
            return way()
        finally:
            connections.close_all()

    with ThreadPoolExecutor(len(ways)) as people:
        return list(people.map(run, ways))


def waiting_for_us() -> int:
    """How many, by the locks: what pg_stat_activity says stands still for the whole of a
    transaction."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(DISTINCT pid) FROM pg_locks"
            " WHERE NOT granted AND pg_backend_pid() = ANY(pg_blocking_pids(pid))"
        )
        return int(cursor.fetchone()[0])


def elsewhere(act: Callable[[], Any], *, practice_id: UUID | None) -> Any:
    """What it returns, in a practice where it needs one, on a connection of its own thread."""
    try:
        with tenancy.practice(practice_id) if practice_id else nullcontext():
            return act()
    finally:
        connections.close_all()


def wait_for(*others: Future[Any]) -> None:
    """Until each of the others waits for what this transaction holds."""
    until = time.monotonic() + 30
    while waiting_for_us() < len(others) and time.monotonic() < until:
        if any(other.done() for other in others):
            break
        time.sleep(0.02)
    assert waiting_for_us() == len(others), "one did not wait"


def sent_during(act: Callable[[], Any], practice: Practice, send: Callable[[], Any]) -> Any:
    """How a form is answered that is sent, and waits, while the act is under way."""
    with ThreadPoolExecutor(1) as pool:
        with tenancy.practice(practice.id):
            act()
            other = pool.submit(elsewhere, send, practice_id=None)
            wait_for(other)
        return other.result(timeout=30)


@contextmanager
def happens_before(number: int, act: Callable[[], Any]) -> Iterator[list[str]]:
    """Do something right before the query of this number (from 1), as if somebody else had
    committed it at that moment; yields the queries so far, those of the act among them."""
    queries: list[str] = []

    def watch(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        queries.append(sql)
        if len(queries) == number:
            act()
        return execute(sql, params, many, context)

    with connection.execute_wrapper(watch):
        yield queries


def opened_at_each_query(browser: Browser, url: str, act: Callable[[], Any]) -> set[int]:
    """How a page answers: it is opened once for each of its queries, with the act right before that
    query. All is taken back each time."""
    answers = set[int]()
    for number in count(1):
        with taken_back(), happens_before(number, act) as queries:
            answer = browser.get(url)
        if len(queries) < number:
            break
        answers.add(answer.status_code)
    return answers
