"""Print who reaches what, as a table for people; exit 1 on a leak (`make access-report`)."""

import sys

from django.db import connection
from django.test.utils import setup_databases, setup_test_environment, teardown_databases

from tests.architecture.matrix.building import world
from tests.architecture.matrix.cells import Report, ask_all, cells, names
from tests.architecture.matrix.routes import ROUTES
from tests.architecture.matrix.world import NAMES
from tests.conftest import the_owner

SHORT = {
    "anonymous": "nobody", "link holder": "link", "therapist": "therapist",
    "colleague": "colleague", "supervisor": "supervisor", "supervising therapist": "sup+ther",
    "ex-supervisor": "ex-superv.", "manager": "manager", "disabled member": "no member",
    "disabled user": "no user", "code pending": "no code", "set-up pending": "no 2nd",
    "in two practices": "in both", "record holder": "holder",
}  # fmt: skip
MARKS = {
    "own": "o", "supervisee's": "s", "supervisee's, not shared": "q", "former": "f",
    "colleague's": "C", "other practice's": "X", "missing": "M", "open link": "l",
    "answered link": "a", "forged link": "F", "held": "h", "held, of who has left": "n",
}  # fmt: skip
LEGEND = """\
yes  opens, and shows only what is theirs      o  own clients      s  supervisee's, shared by code
l    with an open link, a  an answered one     .  not at all
h    held: of a client whose treatment ended   n  held, of a colleague who has left
Never: f former client's, q supervisee's not shared, C colleague's, X other practice's,
       F forged link"""


def table(report: Report) -> str:
    """One line for a route, one column for a role, as observed."""
    wide = max(map(len, names()))
    lines = [" ".join([" " * wide, *(f"{SHORT[name]:<10}" for name in NAMES)])]
    for name in names():
        marks = (_mark(report.reached.get((name, person), set())) for person in NAMES)
        lines.append(" ".join([f"{name:<{wide}}", *(f"{mark:<10}" for mark in marks)]).rstrip())
    return "\n".join(lines)


def _mark(reached: set[str]) -> str:
    return "".join(MARKS[each] for each in MARKS if each in reached) or (
        "yes" if "yes" in reached else "."
    )


def tell(report: Report) -> int:
    """Print table, legend, every leak and the sentence that counts; the exit status."""
    count = f"{report.cells} cells, {len(report.leaks)} leaks"
    sys.stdout.write("\n".join([table(report), "", LEGEND, "", *report.leaks, count, ""]))
    return 1 if report.leaks else 0


def main() -> int:
    """Ask everything in databases of its own; 1 on a leak or a route that is not declared."""
    undeclared = [name for name in names() if name not in ROUTES]
    if undeclared:
        sys.stdout.write(f"Not declared in tests/architecture/matrix/routes.py: {undeclared}\n")
        return 1
    setup_test_environment()
    with the_owner():
        made = setup_databases(verbosity=0, interactive=False)
    report = Report()
    try:
        with world() as practices:
            for name in names():
                ask_all(practices, cells(practices, name), report)
    finally:
        connection.close()
        with the_owner():
            teardown_databases(made, verbosity=0)
    return tell(report)
