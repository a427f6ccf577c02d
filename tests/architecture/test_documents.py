"""Documents are true: what they name exists, and the commands they show run."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from django.core.management import get_commands

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
NAMES = [path.relative_to(ROOT).as_posix() for path in DOCUMENTS]


def commands_shown(text: str) -> list[str]:
    """What stands in code, inline or fenced."""
    return re.findall(r"```\w*\n(.*?)```", text, re.DOTALL) + re.findall(r"`([^`\n]+)`", text)


@pytest.mark.parametrize("path", DOCUMENTS, ids=NAMES)
def test_make_targets_and_commands_that_are_named_exist(path: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    shown = "\n".join(commands_shown(path.read_text(encoding="utf-8")))
    assert set(re.findall(r"\bmake ([a-z][a-z-]*)", shown)) <= targets
    assert set(re.findall(r"manage\.py ([a-z_]+)", shown)) <= set(get_commands())


@pytest.mark.parametrize("path", DOCUMENTS, ids=NAMES)
def test_links_lead_somewhere(path: Path) -> None:
    for target in re.findall(r"\]\(([^)#\s]+)", path.read_text(encoding="utf-8")):
        if "://" not in target:
            assert (path.parent / target).exists(), target


@pytest.mark.parametrize("path", DOCUMENTS, ids=NAMES)
def test_files_that_are_named_exist(path: Path) -> None:
    for code in re.findall(r"`([^`\n]+)`", path.read_text(encoding="utf-8")):
        if re.fullmatch(
            r"(apps|config|deploy|docs|requirements|static|templates|tests|tools)/\S+", code
        ):
            assert (ROOT / code).exists(), code


def test_tests_that_are_named_exist() -> None:
    written = "".join(path.read_text("utf-8") for path in (ROOT / "tests").rglob("test_*.py"))
    there = set(re.findall(r"def (test_\w+)\(", written))
    named = {
        name
        for path in DOCUMENTS
        for name in re.findall(r"`(test_\w+)`", path.read_text(encoding="utf-8"))
    }
    assert named <= there
    assert named, "the documents name tests at all"


def test_the_screening_that_the_readme_shows_runs(tmp_path: Path) -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    shown = re.search(r"^\.venv/bin/python (manage\.py screen .*)$", readme, re.MULTILINE)
    assert shown
    (tmp_path / "ratings.csv").write_text("client,session,pomp\nA,1,88\nA,2,90\nA,3,62\n")
    arguments = shown[1].replace("ratings.csv", str(tmp_path / "ratings.csv")).split()
    ran = subprocess.run(
        [sys.executable, *arguments], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert "62" in ran.stdout
