"""pyproject.toml, the .in files and the locks say the same, and no lock holds an address."""

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SETS = ["app", "embedded", "dev", "semgrep"]


def names(text: str) -> set[str]:
    """Package names of a requirements text, in their normal form."""
    found = re.findall(r"^([A-Za-z0-9][A-Za-z0-9._-]*)", text, re.MULTILINE)
    return {re.sub(r"[-_.]+", "-", name).lower() for name in found}


@pytest.mark.parametrize("part", SETS)
def test_all_that_is_asked_for_is_locked_with_hashes(part: str) -> None:
    lock = (ROOT / "requirements" / f"{part}.lock").read_text()
    asked = names((ROOT / "requirements" / f"{part}.in").read_text())
    assert asked <= names(lock)
    assert lock.count("--hash=sha256:") >= len(names(lock))


@pytest.mark.parametrize("part", SETS)
def test_no_lock_holds_an_address(part: str) -> None:
    lock = (ROOT / "requirements" / f"{part}.lock").read_text()
    assert not re.search(r"https?://|file://|/opt/", lock)


def test_pyproject_reads_its_dependencies_from_the_same_files() -> None:
    with (ROOT / "pyproject.toml").open("rb") as file:
        dynamic = tomllib.load(file)["tool"]["setuptools"]["dynamic"]
    assert dynamic["dependencies"] == {"file": ["requirements/app.in"]}
    assert dynamic["optional-dependencies"]["embedded"] == {"file": ["requirements/embedded.in"]}
    assert dynamic["optional-dependencies"]["dev"] == {"file": ["requirements/dev.in"]}


def test_the_packages_the_project_is_built_on_are_there() -> None:
    app = names((ROOT / "requirements" / "app.in").read_text())
    assert {"django", "django-crispy-forms", "psycopg", "celery", "redis"} <= app
    assert "pytest-django" in names((ROOT / "requirements" / "dev.in").read_text())
