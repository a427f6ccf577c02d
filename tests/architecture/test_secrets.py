"""The scan for secrets in `make check` finds a planted one, and none in the tree."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
# In two pieces, or this file would be a finding.
PLANTED = [
    "AWS_KEY = 'AKIA" + "Z7Q4M2XW9RTB5KLE'",
    "-----BEGIN RSA PRIVATE " + "KEY-----",
    "token = 'ghp_" + "0aB1cD2eF3gH4iJ5kL6mN7oP8qR9sT0uV1wX'",
    "url = 'postgres://app:h7Kq2v" + "Zx9@db.example.org/rapport'",
    "secret = '" + "c3VwZXJzZWNyZXQtYW5kLWxvbmctZW5vdWdoLTEyMw=='",
]


def scan(*files: str) -> int:
    line = re.search(r"^SECRETS := (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert line
    programs = shlex.quote(str(Path(sys.executable).parent))
    words = shlex.split(line[1].replace("$$", "$").replace("$(BIN)", programs))
    return subprocess.run([*words, *files], cwd=ROOT, capture_output=True, check=False).returncode


@pytest.mark.parametrize("planted", PLANTED, ids=range(len(PLANTED)))
def test_a_planted_secret_is_found(planted: str, tmp_path: Path) -> None:
    file = tmp_path / "settings.py"
    file.write_text(f"DEBUG = False\n{planted}\n")
    assert scan(str(file)) == 1


def test_a_file_without_secrets_passes() -> None:
    assert scan("config/settings.py", "tests/factories/__init__.py", "Makefile") == 0
