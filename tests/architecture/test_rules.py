"""What no line may do: every rule of tools/rules.yml fires, and is set aside only with a reason."""

from pathlib import Path

import pytest
import yaml

from tests.architecture.rules import FILE, ROOT, RULES, excluded, findings, semgrep

VIEW, CODE, PAGE = "views.py", "services.py", "page.html"
CASES: list[tuple[str, str, list[str]]] = [
    (VIEW, "Client.objects.visible_to(m).get(id=1)", []),
    (VIEW, "Client.objects.get(id=1)", ["unscoped"]),
    (VIEW, "Client.objects.filter(a=1).visible_to(m)", ["unscoped"]),
    (VIEW, "Client._default_manager.all()", ["unscoped"]),
    (VIEW, "get_object_or_404(Client, id=1)", ["unscoped"]),
    (VIEW, "shortcuts.get_object_or_404(Client, id=1)", ["unscoped"]),
    (VIEW, "get_object_or_404(Client.objects.visible_to(m), id=1)", []),
    ("client_views.py", "Client.objects.get(id=1)", ["unscoped"]),
    (CODE, "Client.objects.get(id=1)", []),
    (CODE, "cursor.execute('SELECT 1')", ["raw-sql"]),
    (CODE, "cursor.executemany('SELECT %s', [[1]])", ["raw-sql"]),
    (CODE, "cursor.execute(f'SELECT {x}')", ["built-sql", "raw-sql"]),
    (CODE, "cursor.execute('SELECT %s' % x)", ["built-sql", "raw-sql"]),
    (CODE, "cursor.execute('SELECT ' + x)", ["built-sql", "raw-sql"]),
    (CODE, "cursor.execute('SELECT {}'.format(x))", ["built-sql", "raw-sql"]),
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
    (PAGE, "<p>{{ comment|safe }}</p>", ["safe-html-template"]),
    (PAGE, "<p>{{ comments | safeseq }}</p>", ["safe-html-template"]),
    (PAGE, "<p>{{ comment|default:'' |safe }}</p>", ["safe-html-template"]),
    (PAGE, "{% autoescape off %}{{ comment }}{% endautoescape %}", ["safe-html-template"]),
    (VIEW, "Client._base_manager.all()", ["unscoped"]),
    (
        VIEW,
        "from django.shortcuts import get_object_or_404 as find\nfind(Client, id=1)",
        ["unscoped"],
    ),
    (CODE, "run = cursor.execute", ["raw-sql"]),
    (CODE, "text = f'SELECT {x}'\ncursor.execute(text)", ["built-sql", "raw-sql"]),
    (CODE, "from django.db.models.expressions import RawSQL as R\nR('1', ())", ["raw-sql"]),
    (
        CODE,
        "from django.utils.safestring import mark_safe as fine\nfine(x)",
        ["safe-html"],
    ),
]


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[int, list[str]]:
    """The rules that fire on each case, by its number; semgrep looks at all of them at once."""
    folder = tmp_path_factory.mktemp("cases")
    for number, (name, source, _) in enumerate(CASES):
        (folder / str(number)).mkdir()
        (folder / str(number) / name).write_text(source + "\n")
    fired: dict[int, list[str]] = {number: [] for number in range(len(CASES))}
    for rule, path in sorted(findings(folder, FILE, ".")):
        fired[int(path.split("/")[0])].append(rule)
    return fired


@pytest.mark.parametrize("number", range(len(CASES)))
def test_each_rule_fires_and_only_where_it_should(number: int, found: dict[int, list[str]]) -> None:
    assert found[number] == CASES[number][2], CASES[number]


def test_every_rule_has_a_case_that_fires() -> None:
    assert {rule for _, _, rules in CASES for rule in rules} == set(RULES)


def test_a_rule_is_set_aside_exactly_where_it_must_be(tmp_path: Path) -> None:
    bare = [
        rule | {"paths": {k: v for k, v in rule.get("paths", {}).items() if k != "exclude"}}
        for rule in RULES.values()
    ]
    config = tmp_path / "rules.yml"
    config.write_text(yaml.safe_dump({"rules": bare}))
    assert excluded()
    assert findings(ROOT, config, "apps", "config", "deploy", "tools", "templates") == excluded()


def test_every_place_where_a_rule_is_set_aside_says_why() -> None:
    lines = FILE.read_text().splitlines()
    for _, path in excluded():
        (line,) = (line for line in lines if line.strip().startswith(f"- {path}"))
        assert len(line.partition(" # ")[2].split()) > 3, path


def test_a_finding_stops_the_check_and_names_its_line(tmp_path: Path) -> None:
    (tmp_path / "services.py").write_text("def f(x):\n    return mark_safe(x)  # nosemgrep\n")
    done = semgrep("--config", str(FILE), "--emacs", ".", cwd=tmp_path)
    assert done.returncode == 1
    assert "services.py:2:" in done.stdout
