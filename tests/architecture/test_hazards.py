"""Each hazard names a control and tests that exist (docs/hazards.yaml)."""

import ast
from functools import cache
from pathlib import Path

import pytest
import yaml

from apps.core.embedded import ROOT

HAZARDS = yaml.safe_load((ROOT / "docs" / "hazards.yaml").read_text())
# security.md, 'Pages and logs'.
EXPECTED = {
    "flag missed", "wrong client", "stale shown as current", "no flag read as 'all well'",
    "disclosure unseen", "message exposes therapy", "answer under the wrong session",
    "false 'thank you'", "ratings faked", "ex-supervisor sees clients", "old messages re-sent",
    "wrong practice sees data",
}  # fmt: skip


@cache
def named_in(path: Path) -> frozenset[str]:
    """Names of the test functions that pytest collects from a file."""
    if not path.is_file():
        return frozenset()
    tree = ast.parse(path.read_text())
    return frozenset(
        node.name
        for node in tree.body
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
    )


def is_there(test: str) -> bool:
    path, _, name = test.partition("::")
    found = named_in(ROOT / path)
    return name in found if name else bool(found)


def test_every_hazard_that_the_design_names_is_on_the_list_once() -> None:
    names = [each["hazard"] for each in HAZARDS]
    assert set(names) >= EXPECTED
    assert len(names) == len(set(names))


@pytest.mark.parametrize("hazard", HAZARDS, ids=lambda each: each["hazard"])
def test_a_hazard_has_harm_control_and_tests_that_exist(hazard: dict[str, object]) -> None:
    assert hazard["harm"]
    assert hazard["control"]
    tests = hazard["tests"]
    assert isinstance(tests, list)
    assert tests
    assert [each for each in tests if not is_there(each)] == []


@pytest.mark.parametrize(
    "test", ["tests/core/test_logs.py::test_nothing_of_the_kind", "tests/core/test_gone.py"]
)
def test_a_test_that_is_not_there_is_noticed(test: str) -> None:
    assert not is_there(test)
