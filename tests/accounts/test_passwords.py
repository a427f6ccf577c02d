"""What a password must be: long, not common, not breached. Nothing about capitals or signs."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError

from apps.accounts.validators import BreachedPasswordValidator

WORDS = ["four quiet harbour lanterns", "aaaaaaaaaaaaaaaaaa", "correct horse battery staple"]


def test_fifteen_characters_of_any_kind_are_enough() -> None:
    validate_password("four quiet harb")
    with pytest.raises(ValidationError):
        validate_password("four quiet har")


def test_common_passwords_are_refused_however_long() -> None:
    with pytest.raises(ValidationError):
        validate_password("yfdbufnjh10305070")


def list_of(path: Path, words: list[str], *, behind: str = "") -> BreachedPasswordValidator:
    hashes = sorted(hashlib.sha1(word.encode()).hexdigest().upper() for word in words)
    path.write_text("".join(f"{each}{behind}\n" for each in hashes))
    return BreachedPasswordValidator(str(path))


@pytest.mark.parametrize("behind", ["", ":3", ":1234567\r"])
@pytest.mark.parametrize("size", [1, 2, 3, 7, 100])
def test_breached_passwords_are_found_wherever_they_stand(
    tmp_path: Path, behind: str, size: int
) -> None:
    words = [f"word {n}" for n in range(size)]
    validator = list_of(tmp_path / "breached.txt", words, behind=behind)
    for word in words:
        with pytest.raises(ValidationError, match="known from a breach"):
            validator.validate(word)
    for word in WORDS:
        validator.validate(word)


def test_an_empty_list_refuses_nothing(tmp_path: Path) -> None:
    list_of(tmp_path / "breached.txt", []).validate(WORDS[0])


def start(**environment: str) -> subprocess.CompletedProcess[str]:
    code = "import config.settings as s; print(s.AUTH_PASSWORD_VALIDATORS[-1]['NAME'])"
    return subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_list_is_dropped_in_by_a_setting(tmp_path: Path) -> None:
    (tmp_path / "breached.txt").touch()
    there = start(BREACHED_PASSWORDS_FILE=str(tmp_path / "breached.txt"))
    assert there.stdout.strip() == "apps.accounts.validators.BreachedPasswordValidator"
    missing = start(BREACHED_PASSWORDS_FILE=str(tmp_path / "nowhere.txt"))
    assert missing.returncode != 0
    assert "which is no file" in missing.stderr
