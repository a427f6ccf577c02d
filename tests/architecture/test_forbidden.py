"""What no line may do: every rule of tools/forbidden.py fires, and the tree breaks none."""

import subprocess
import sys
from pathlib import Path

import pytest

from tools import forbidden

ROOT = Path(__file__).resolve().parents[2]
VIEW, CODE, PAGE = "apps/x/views.py", "apps/x/services.py", "templates/x.html"


@pytest.mark.parametrize(
    ("path", "source", "rules"),
    [
        (VIEW, "Client.objects.visible_to(m).get(id=1)", []),
        (VIEW, "Client.objects.get(id=1)", ["unscoped"]),
        (VIEW, "Client.objects.filter(a=1).visible_to(m)", ["unscoped"]),
        (VIEW, "Client._default_manager.all()", ["unscoped"]),
        (VIEW, "get_object_or_404(Client, id=1)", ["unscoped"]),
        (VIEW, "shortcuts.get_object_or_404(Client, id=1)", ["unscoped"]),
        (VIEW, "get_object_or_404(Client.objects.visible_to(m), id=1)", []),
        ("apps/x/client_views.py", "Client.objects.get(id=1)", ["unscoped"]),
        (CODE, "Client.objects.get(id=1)", []),
        (CODE, "cursor.execute('SELECT 1')", ["raw-sql"]),
        (CODE, "cursor.executemany('SELECT %s', [[1]])", ["raw-sql"]),
        (CODE, "cursor.execute(f'SELECT {x}')", ["raw-sql", "built-sql"]),
        (CODE, "cursor.execute('SELECT %s' % x)", ["raw-sql", "built-sql"]),
        (CODE, "cursor.execute('SELECT ' + x)", ["raw-sql", "built-sql"]),
        (CODE, "cursor.execute('SELECT {}'.format(x))", ["raw-sql", "built-sql"]),
        (CODE, "cursor.execute(sql.SQL('SET {}').format(sql.Identifier(x)))", ["raw-sql"]),
        (CODE, "Client.objects.raw('SELECT 1')", ["raw-sql"]),
        (CODE, "Client.objects.extra(where=['1=1'])", ["raw-sql"]),
        (CODE, "Client.objects.annotate(a=RawSQL('1', ()))", ["raw-sql"]),
        (CODE, "migrations.RunSQL('SELECT 1')", ["raw-sql"]),
        (CODE, "class Policy(migrations.RunSQL): pass", ["raw-sql"]),
        (CODE, "mark_safe(x)", ["safe-html"]),
        (CODE, "safestring.mark_safe(x)", ["safe-html"]),
        (CODE, "SafeString(x)", ["safe-html"]),
        (CODE, "SafeString('')", []),
        (CODE, "class A:\n    def __html__(self): return ''", ["safe-html"]),
        (CODE, "@csrf_exempt\ndef view(request): pass", ["csrf"]),
        (CODE, "view = csrf.csrf_exempt(view)", ["csrf"]),
        (PAGE, "<p>{{ comment }}</p>", []),
        (PAGE, "<p>{{ comment|safe }}</p>", ["safe-html"]),
        (PAGE, "<p>{{ comments | safeseq }}</p>", ["safe-html"]),
        (PAGE, "<p>{{ comment|default:'' |safe }}</p>", ["safe-html"]),
        (PAGE, "{% autoescape off %}{{ comment }}{% endautoescape %}", ["safe-html"]),
    ],
)
def test_each_rule_fires_and_only_where_it_should(path: str, source: str, rules: list[str]) -> None:
    assert [each.rule for each in forbidden.findings(path, source)] == rules


def check(*paths: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "tools/forbidden.py", *paths],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_tree_breaks_no_rule_and_every_exception_is_needed() -> None:
    files = [
        path.relative_to(ROOT).as_posix()
        for folder, kind in (("apps", "py"), ("config", "py"), ("deploy", "py"), ("tools", "py"),
                             ("templates", "html"))
        for path in (ROOT / folder).rglob(f"*.{kind}")
    ]  # fmt: skip
    assert len(files) > 200
    assert {path for _, path in forbidden.EXCEPTIONS} <= set(files)
    done = check(*files)
    assert (done.returncode, done.stdout) == (0, "")


def test_a_finding_stops_the_check_and_names_its_line(tmp_path: Path) -> None:
    file = tmp_path / "services.py"
    file.write_text("def f(x):\n    return mark_safe(x)\n")
    done = check(str(file))
    assert done.returncode == 1
    assert done.stdout == f"{file}:2: safe-html: mark_safe(x)\n"
