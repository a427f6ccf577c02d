"""The folders of one set of engines, and who owns them.

    .rapport/                   state: locks, passwords, logs, schedule; of who started Rapport
        postgres/  valkey/      data; of the engines' account, 0700
        run/                    Unix sockets; of the engines' account, 0700

Two folders can lie elsewhere. Started by root in a clone that the engines' account cannot reach
(below /root, say), the data go to /var/lib/rapport/<key>: parents are never opened up. Where the
path of the sockets is too long for the kernel, they go to a short runtime folder.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import os
import secrets
import shutil
import stat
import tempfile
from dataclasses import dataclass
from pathlib import Path

from apps.core.embedded import EmbeddedError
from apps.core.embedded.process import Account, can_use, engine_account

ROOT_DATA = Path("/var/lib/rapport")
LONGEST_SOCKET_PATH = 103
"""Bytes; 107 on Linux, 103 on macOS."""

SOCKET_NAME = ".s.PGSQL.5432"
ROLES = ("postgres", "migrator", "app", "backup")
ENCRYPTION_KEY = "encryption.key"


@dataclass(frozen=True)
class Place:
    """Where one set of engines lives. Make it with `prepare`."""

    state: Path
    data: Path
    sockets: Path
    account: Account | None

    @property
    def postgres(self) -> Path:
        return self.data / "postgres"

    @property
    def valkey(self) -> Path:
        return self.data / "valkey"

    @property
    def logs(self) -> Path:
        return self.state / "logs"

    def own_folder(self, path: Path) -> Path:
        """Make `path` a folder that only the engines' account enters, and return it.

        Raises:
            EmbeddedError: something of another user is in its place.
        """
        with contextlib.suppress(FileExistsError):
            path.mkdir(mode=0o700)
        wanted = self.account.uid if self.account else os.geteuid()
        found = path.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid not in {wanted, os.geteuid()}:
            raise EmbeddedError(
                f"{path} belongs to another user. Run as that user, or move the folder away."
            )
        if self.account:
            os.chown(path, self.account.uid, self.account.gid)
        path.chmod(0o700)
        return path


def prepare(state: Path) -> Place:
    """Make the folders of one set of engines below `state` and return where they are.

    Raises:
        EmbeddedError: no right to write there, or no folder short enough for the sockets.
    """
    account = engine_account()
    make_state(state)
    data = state if can_use(account, state) else _data_elsewhere(state)
    unplaced = Place(state=state, data=data, sockets=data / "run", account=account)
    sockets = socket_folder(data / "run", key=_key(state))
    place = Place(state=state, data=data, sockets=sockets, account=account)
    unplaced.own_folder(sockets)
    return place


def make_state(state: Path) -> None:
    """Make the folder that holds everything of one set of engines.

    Raises:
        EmbeddedError: it is another user's, or cannot be written.
    """
    with contextlib.suppress(PermissionError):
        # Root's engines run as another account, which must pass through.
        state.mkdir(mode=0o711 if os.geteuid() == 0 else 0o700, exist_ok=True)
        if state.stat().st_uid == os.geteuid():
            for name in ("logs", "mail"):  # of development, with links that sign people in
                (state / name).mkdir(exist_ok=True)
                (state / name).chmod(0o700)
            return
    raise EmbeddedError(
        f"No right to write in {state}. Run as the user it belongs to, "
        "or clone Rapport into a folder of your own."
    )


def socket_folder(wanted: Path, *, key: str) -> Path:
    """Return `wanted`, or a short runtime folder where a socket in it would have too long a path.

    >>> socket_folder(Path("/clone/.rapport/run"), key="k").as_posix()
    '/clone/.rapport/run'

    Raises:
        EmbeddedError: the runtime folder is too long as well.
    """
    runtime = os.environ.get("XDG_RUNTIME_DIR", "") if os.geteuid() != 0 else ""
    name = f"rapport-{os.geteuid()}-{key}"
    bases = [base for base in (runtime, tempfile.gettempdir(), "/tmp") if base]  # noqa: S108
    for folder in (wanted, *(Path(base) / name for base in bases if Path(base).is_dir())):
        if len(os.fsencode(folder / SOCKET_NAME)) <= LONGEST_SOCKET_PATH:
            return folder
    raise EmbeddedError(
        f"The path of this clone and of {bases[-1]} are too long for a Unix socket. "
        "Set TMPDIR to a folder with a short path."
    )


def passwords(state: Path) -> dict[str, str]:
    """Return the passwords of all roles and `secret_key`; made on first use, in a 0600 file."""
    path = state / "secrets.json"
    if not path.exists():
        made = {name: secrets.token_urlsafe(32) for name in (*ROLES, "secret_key")}
        write_private(path, json.dumps(made, indent=2))
    kept: dict[str, str] = json.loads(path.read_text())
    return kept


def encryption_keys(state: Path) -> str:
    """Return the root keys of what is stored encrypted; one is made on first use, in a 0600 file.

    Apart from `secrets.json`, as a dump must not lie beside the key that reads it.
    """
    path = state / ENCRYPTION_KEY
    if not path.exists():
        write_private(path, base64.urlsafe_b64encode(os.urandom(32)).decode() + "\n")
    return ",".join(path.read_text().split())


def write_private(path: Path, text: str, account: Account | None = None) -> None:
    """Write a file that only its owner reads, whole or not at all."""
    partial = path.with_name(path.name + ".partial")
    partial.unlink(missing_ok=True)
    with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
    if account:
        os.chown(partial, account.uid, account.gid)
    partial.replace(path)


def remove(state: Path) -> None:
    """Delete all folders of one set of engines, with everything in them."""
    for folder in (
        socket_folder(ROOT_DATA / _key(state) / "run", key=_key(state)),
        socket_folder(state / "run", key=_key(state)),
        ROOT_DATA / _key(state),
        state,
    ):
        shutil.rmtree(folder, ignore_errors=True)


def _data_elsewhere(state: Path) -> Path:
    for folder in (ROOT_DATA, ROOT_DATA / _key(state)):
        folder.mkdir(mode=0o711, exist_ok=True)
        folder.chmod(0o711)
    data = ROOT_DATA / _key(state)
    (data / "made-for").write_text(f"{state}\n")
    return data


def _key(state: Path) -> str:
    return hashlib.sha256(os.fsencode(state)).hexdigest()[:12]
