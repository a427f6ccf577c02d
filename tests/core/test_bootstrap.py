"""`tools/bootstrap.py`: the environment is made once, repaired when half made, refused in words."""

from __future__ import annotations

import json
import os
import runpy
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from apps.core.embedded import ROOT
from tools import environment

BOOTSTRAP = ROOT / "tools" / "bootstrap.py"


def test_an_older_python_is_told_which_one_is_needed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "version_info", (3, 9, 2, "final", 0))
    monkeypatch.setattr(sys, "version", "3.9.2 (main)")
    with pytest.raises(SystemExit) as left:
        runpy.run_path(str(BOOTSTRAP), run_name="__main__")
    assert left.value.code == 1
    said = capsys.readouterr().err
    assert said.startswith("rapport: Python 3.11 or newer is needed; this is 3.9.2.")
    assert said.count("\n") == 1


def test_the_first_file_that_python_reads_uses_only_words_that_every_python_3_knows() -> None:
    text = BOOTSTRAP.read_text()
    assert compile(text, "bootstrap.py", "exec", dont_inherit=True)
    assert not any(new in text for new in ('f"', "f'", ":=", "match ", "->", "from __future__"))


def test_a_python_without_venv_is_told_what_to_install(tmp_path: Path) -> None:
    (tmp_path / "ensurepip.py").write_text("raise ImportError")
    done = subprocess.run(
        [sys.executable, BOOTSTRAP],
        env=os.environ | {"PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr.startswith("rapport: This Python has no 'venv' module.")
    assert "apt-get install python3." in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_full_disk_is_said_before_anything_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(environment, "SPACE_NEEDED_MB", 10**12)
    with pytest.raises(environment.CannotMakeEnvironment, match="are free in"):
        environment.refuse_without_space(tmp_path)


@pytest.mark.parametrize(
    ("said", "answer"),
    [
        ("ERROR: [Errno 28] No space left on device", "The disk is full"),
        ("ERROR: [Errno 13] Permission denied: '.venv'", "No right to write"),
        ("THESE PACKAGES do not match the hashes", "is not the one in requirements"),
        ("ERROR: No matching distribution found for django", "Check the network"),
        ("Failed to establish a new connection: [Errno -3]", "Check the network"),
    ],
)
def test_what_pip_says_becomes_one_line_with_the_way_out(said: str, answer: str) -> None:
    line = environment.way_out(f"a long story\n{said}\nand more", ROOT)
    assert answer in line
    assert "\n" not in line


def test_what_is_not_known_is_shown_as_it_was_said() -> None:
    assert "something new" in environment.way_out("something new", ROOT)


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A clone that needs no package, so that nothing is fetched."""
    (tmp_path / "requirements").mkdir()
    for name in environment.DEVELOPING:
        (tmp_path / "requirements" / f"{name}.lock").write_text("# nothing\n")
    return tmp_path


def test_an_environment_is_made_once_repaired_when_half_made_and_extended_when_asked(
    clone: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    venv = clone / ".venv"
    assert environment.main([], root=clone) == 0
    assert set(json.loads((venv / "installed.json").read_text())) == {"app", "embedded", "python"}
    made = venv.stat().st_ino

    calls: list[list[str]] = []
    run = environment._run

    def record(argv: list[str], root: Path) -> None:
        calls.append(argv)
        run(argv, root)

    monkeypatch.setattr(environment, "_run", record)
    assert environment.main([], root=clone) == 0
    assert calls == []

    assert environment.main(["--dev"], root=clone) == 0
    locks = [str(clone / "requirements" / f"{name}.lock") for name in ("dev", "semgrep")]
    assert [argv[-1] for argv in calls if "install" in argv] == locks
    assert calls[-1][0] == str(venv / "semgrep" / "bin" / "python")
    assert venv.stat().st_ino == made

    calls.clear()
    (venv / "unfinished").touch()  # as an interrupted run leaves it
    shutil.rmtree(venv / "lib")
    assert environment.main([], root=clone) == 0
    assert "venv" in calls[0]
    assert not (venv / "unfinished").exists()
    assert environment.python_version(venv) == f"3.{sys.version_info.minor}"


def test_a_changed_lock_is_installed_with_its_hashes_and_nothing_else_is(
    clone: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[list[str]] = []
    monkeypatch.setattr(environment, "_run", lambda argv, root: calls.append(argv))
    monkeypatch.setattr(environment, "python_version", lambda venv: "3.11")
    (clone / ".venv").mkdir()
    environment.update(clone, environment.DEVELOPING)
    installs = [argv for argv in calls if "install" in argv]
    assert len(installs) == len(environment.DEVELOPING)
    assert all({"--no-deps", "--require-hashes"} <= set(argv) for argv in installs)
    assert not any("index" in word or "://" in word for argv in calls for word in argv)
    calls.clear()
    (clone / "requirements" / "embedded.lock").write_text("# changed\n")
    environment.update(clone, environment.DEVELOPING)
    assert [argv[-1] for argv in calls] == [str(clone / "requirements" / "embedded.lock")]
