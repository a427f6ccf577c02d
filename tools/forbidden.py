"""What no line of ours may do, checked on the syntax tree: `python tools/forbidden.py FILE…`.

Prints one finding a line and exits with 1 if there is any. The rules:

raw-sql     SQL outside the files of EXCEPTIONS: `execute`, `raw`, `extra`, `RawSQL`, `RunSQL`
built-sql   SQL put together from text, anywhere: values go as parameters
safe-html   `mark_safe`, `SafeString` with content, `__html__`; in HTML templates `|safe`,
            `|safeseq` and `autoescape off`
csrf        `csrf_exempt`
unscoped    in views, a model reached other than through one of SCOPES
"""

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

SQL_CALLS = {"execute", "executemany", "raw", "extra", "RawSQL", "RunSQL"}
SCOPES = {
    "visible_to",
    "treated_by",
    "conducted_by",
    "for_supervisor",
    "colleagues_of",
    "in_practice_of",
}
SHORTCUTS = {"get_object_or_404", "get_list_or_404", "aget_object_or_404"}
UNSAFE_TEMPLATE = re.compile(r"\|\s*safe(?:seq)?\b|{%-?\s*autoescape\s+off")

# Where a rule is set aside, and why. One that is not needed any more is a finding too.
EXCEPTIONS = {
    ("raw-sql", "apps/core/tenancy.py"): "defines row-level security, which Django does not know",
    ("raw-sql", "apps/core/outbox.py"): "calls the look-up of due messages across practices",
    ("raw-sql", "apps/feedback/services.py"): "calls the look-ups of links and ended requests",
    ("raw-sql", "apps/accounts/migrations/0002_row_security.py"): "policies of one's memberships",
    ("raw-sql", "apps/exchange/ratings_csv.py"): "a temporary SQLite file of its own; constant SQL",
    ("raw-sql", "apps/core/embedded/postgres.py"): "makes roles and database before Django starts",
    ("raw-sql", "apps/core/embedded/__main__.py"): "asks whether a database is empty",
    ("safe-html", "apps/core/templatetags/rapport.py"): "icons: our own or vendored, hash-checked",
    ("csrf", "apps/feedback/client_views.py"): "the link is the key; nobody signed in acts there",
}


class Finding(NamedTuple):
    rule: str
    path: str
    line: int
    what: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.rule}: {self.what}"


def findings(path: str, source: str) -> list[Finding]:
    """What `source` does against the rules, before exceptions; `path` is relative to the root."""
    if path.endswith(".html"):
        return [
            Finding("safe-html", path, n, line.strip())
            for n, line in enumerate(source.splitlines(), 1)
            if UNSAFE_TEMPLATE.search(line)
        ]
    tree = ast.parse(source)
    found = [
        Finding(rule, path, node.lineno, ast.unparse(node).partition("\n")[0])
        for rule, node in _dangerous(tree)
    ]
    if "views" in Path(path).name:
        found += [Finding("unscoped", path, *each) for each in unscoped(tree)]
    return found


def _dangerous(tree: ast.AST) -> Iterator[tuple[str, ast.expr | ast.stmt]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            called = _name(node.func)
            if called in SQL_CALLS:
                yield "raw-sql", node
                if node.args and _is_built(node.args[0]) and called not in {"RunSQL", "extra"}:
                    yield "built-sql", node
            if called == "mark_safe" or (called == "SafeString" and not _is_empty(node)):
                yield "safe-html", node
        elif isinstance(node, ast.ClassDef):
            if any(_name(base) in SQL_CALLS for base in node.bases):
                yield "raw-sql", node
        elif isinstance(node, ast.FunctionDef) and node.name == "__html__":
            yield "safe-html", node
        if isinstance(node, ast.Name | ast.Attribute) and _name(node) == "csrf_exempt":
            yield "csrf", node


def unscoped(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Line and name of each model that is reached without a scope."""
    scoped = {
        id(node.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and node.attr in SCOPES
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and node.attr in {"objects", "_default_manager"}:
            if id(node) not in scoped:
                yield node.lineno, ast.unparse(node.value)
        elif isinstance(node, ast.Call) and node.args and _name(node.func) in SHORTCUTS:
            model = node.args[0]
            if isinstance(model, ast.Name) and model.id[:1].isupper():
                yield node.lineno, model.id


def _name(node: ast.expr) -> str:
    """The last part of a dotted name."""
    return getattr(node, "attr", getattr(node, "id", ""))


def _is_built(sql: ast.expr) -> bool:
    if isinstance(sql, ast.Call):
        formatted = getattr(sql.func, "value", None)
        return _name(sql.func) == "format" and isinstance(formatted, ast.Constant | ast.JoinedStr)
    return isinstance(sql, ast.JoinedStr | ast.BinOp)


def _is_empty(call: ast.Call) -> bool:
    return len(call.args) == 1 and getattr(call.args[0], "value", None) == ""


def main(paths: list[str]) -> int:
    """Check these files; say what was found and what is excepted without need."""
    found = [each for path in paths for each in findings(path, Path(path).read_text())]
    needed = {(each.rule, each.path) for each in found}
    wrong = [str(each) for each in found if (each.rule, each.path) not in EXCEPTIONS]
    wrong += [
        f"{path}: {rule}: excepted without need; take it from tools/forbidden.py"
        for rule, path in EXCEPTIONS
        if path in paths and (rule, path) not in needed
    ]
    sys.stdout.writelines(f"{line}\n" for line in wrong)
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
