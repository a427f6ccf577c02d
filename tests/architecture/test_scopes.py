"""Clients are reached through a scope: an AST walk over every view.

A view may call `Model.objects` only to go through one of the scopes at once; a regular expression
would miss `get_object_or_404(Model, …)`, so a bare model as its first argument is refused as well.
"""

import ast
from pathlib import Path

import pytest

APPS = Path(__file__).resolve().parents[2] / "apps"
SCOPES = {
    "visible_to",
    "treated_by",
    "conducted_by",
    "for_supervisor",
    "colleagues_of",
    "in_practice_of",
}
SHORTCUTS = {"get_object_or_404", "get_list_or_404", "aget_object_or_404"}
VIEWS = sorted(path for path in APPS.rglob("*views*.py") if "tests" not in path.parts)


def unscoped(source: str) -> list[str]:
    """Names of models that `source` reaches without a scope."""
    tree = ast.parse(source)
    scoped = {
        id(node.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and node.attr in SCOPES
    }
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and node.attr in {"objects", "_default_manager"}:
            if id(node) not in scoped:
                found.append(ast.unparse(node.value))
        elif (
            isinstance(node, ast.Call)
            and getattr(node.func, "id", getattr(node.func, "attr", "")) in SHORTCUTS
            and isinstance(node.args[0], ast.Name)
            and node.args[0].id[:1].isupper()
        ):
            found.append(node.args[0].id)
    return found


@pytest.mark.parametrize("path", VIEWS, ids=lambda path: path.relative_to(APPS).as_posix())
def test_views_reach_rows_through_a_scope(path: Path) -> None:
    assert not unscoped(path.read_text())


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("Client.objects.visible_to(m).get(id=1)", []),
        ("Client.objects.get(id=1)", ["Client"]),
        ("Client.objects.filter(a=1).visible_to(m)", ["Client"]),
        ("get_object_or_404(Client, id=1)", ["Client"]),
        ("shortcuts.get_object_or_404(Client, id=1)", ["Client"]),
        ("get_object_or_404(Client.objects.visible_to(m), id=1)", []),
    ],
)
def test_the_walk_sees_what_a_reader_would(source: str, expected: list[str]) -> None:
    assert unscoped(source) == expected
