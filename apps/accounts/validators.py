"""What a password must not be, beyond Django's own rules."""

import hashlib
import mmap
from pathlib import Path

from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _

HASH_LENGTH = 40


class BreachedPasswordValidator:
    """Refuse passwords that stand in a list of breached ones.

    `path`: a text file of SHA-1 hashes in capitals, sorted, one a line, whatever stands behind
    the hash on its line ("HASH" or "HASH:3", as Have I Been Pwned hands them out). It is searched
    by halving and never read as a whole, so that the full list of 40 GB serves as well.
    """

    def __init__(self, path: str) -> None:
        self.path = Path(path)

    def validate(self, password: str, user: object = None) -> None:
        wanted = hashlib.sha1(password.encode(), usedforsecurity=False).hexdigest().upper()
        if self._holds(wanted.encode()):
            raise ValidationError(
                _("This password is known from a breach elsewhere. Choose another one."),
                code="password_breached",
            )

    def get_help_text(self) -> str:
        return _("Your password can’t be one that is known from a breach.")

    def _holds(self, wanted: bytes) -> bool:
        if not self.path.stat().st_size:
            return False
        with (
            self.path.open("rb") as file,
            mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as lines,
        ):
            low, high = 0, len(lines)
            while low < high:
                start = lines.rfind(b"\n", low, (low + high) // 2) + 1 or low
                found = lines[start : start + HASH_LENGTH]
                if found == wanted:
                    return True
                end = lines.find(b"\n", start)
                after = len(lines) if end < 0 else end + 1
                low, high = (after, high) if found < wanted else (low, start)
        return False
