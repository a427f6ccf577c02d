"""Every route × person × object × method (tests/architecture/matrix), and each wall by itself."""

from collections.abc import Iterator

import pytest
from pytest_django.plugin import DjangoDbBlocker

from tests.architecture.matrix.cells import Report, ask_all, cells, names
from tests.architecture.matrix.world import World, world


@pytest.fixture(scope="module")
def practices(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[World]:
    with django_db_blocker.unblock(), world() as made:
        yield made


@pytest.mark.parametrize("name", names())
def test_nobody_reaches_what_is_not_theirs(name: str, practices: World) -> None:
    report = Report()
    ask_all(practices, cells(practices, name), report)
    assert not report.leaks, f"{len(report.leaks)} leaks:\n" + "\n".join(report.leaks[:20])
