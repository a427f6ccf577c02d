"""Several people at the same moment: real threads, each with a connection of its own."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

from django.db import connections


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
