"""Write the secrets of docker-compose.yml into a folder: `python3 deploy/make_secrets.py FOLDER`.

Only what is missing is made; nothing is overwritten. The folder is closed to others; the files in
it are readable, because each container reads its own as a user of its own.
"""

from __future__ import annotations

import base64
import os
import secrets
import sys
from pathlib import Path

ROLES = ("postgres", "migrator", "app", "backup")


def make(folder: Path) -> list[str]:
    """Make the secrets that `folder` lacks and return their names."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder.chmod(0o700)
    made = [name for name in (f"{role}_password" for role in ROLES) if _write(folder, name)]
    made += ["secret_key"] if _write(folder, "secret_key") else []
    key = base64.urlsafe_b64encode(os.urandom(32)).decode()
    made += ["encryption_keys"] if _write(folder, "encryption_keys", key) else []
    for role in ("migrator", "app"):
        password = (folder / f"{role}_password").read_text()
        url = f"postgres://{role}:{password}@postgres:5432/rapport"
        made += [f"database_url_{role}"] if _write(folder, f"database_url_{role}", url) else []
    return made


def _write(folder: Path, name: str, text: str | None = None) -> bool:
    path = folder / name
    if path.exists():
        return False
    path.write_text(text or secrets.token_urlsafe(50))
    path.chmod(0o444)
    return True


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("Name the folder: python3 deploy/make_secrets.py FOLDER")
    target = Path(sys.argv[1])
    made = make(target)
    for name in made:
        sys.stdout.write(f"made {target / name}\n")
    if "encryption_keys" in made:
        sys.stdout.write(
            f"Keep a copy of {target / 'encryption_keys'} away from this host and from the "
            "backups: without it notes and addresses are lost.\n"
        )
    if not (target / "email_url").exists():
        sys.stdout.write(
            f"Now write {target / 'email_url'} yourself: smtp+tls://user:password@host:587\n"
        )
