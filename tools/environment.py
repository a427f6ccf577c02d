"""The virtual environment: made when missing, made anew when half made, left alone when current.

Standard library only. Packages come from wherever the user's own pip configuration says.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SPACE_NEEDED_MB = 1100
SERVING = ("app", "embedded")
DEVELOPING = (*SERVING, "dev", "semgrep")
# Its pins and those of the other locks exclude each other: it gets .venv/semgrep for itself.
APART = ("semgrep",)


class CannotMakeEnvironment(Exception):
    """What keeps the environment from being made, and the way out, in one line."""


def main(arguments: Sequence[str], root: Path = ROOT) -> int:
    """Bring .venv up to date; return 0, or 1 after saying what to do."""
    try:
        refuse_other_systems()
        refuse_without_venv()
        with one_at_a_time(root):
            update(root, DEVELOPING if "--dev" in arguments else SERVING)
    except CannotMakeEnvironment as error:
        sys.stderr.write(f"rapport: {error}\n")
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def update(root: Path, locks: Sequence[str]) -> None:
    """Install each lock that .venv does not hold as it is now.

    `.venv/installed.json` says what it holds. While anything changes, `.venv/unfinished` is there:
    a run that was interrupted is seen by it, and everything is made anew.

    Raises:
        CannotMakeEnvironment: no right to write, no space, no network, or a package does not fit.
    """
    venv = root / ".venv"
    stamp, unfinished = venv / "installed.json", venv / "unfinished"
    version = "" if unfinished.exists() else python_version(venv)
    installed = _read(stamp)
    current = bool(version) and installed.get("python", version) == version
    wanted = {name: _hash(root / "requirements" / f"{name}.lock") for name in locks}
    missing = [name for name in locks if not current or installed.get(name) != wanted[name]]
    if not missing:
        return
    refuse_without_space(root)
    try:
        if not current:
            _say("Making .venv ...")
            if venv.exists():
                shutil.rmtree(venv)
            venv.mkdir()
            unfinished.touch()
            _run([sys.executable, "-m", "venv", str(venv)], root)
            installed = {}
        unfinished.touch()
        for name in missing:
            _say(f"Installing Python packages: {name} ...")
            _install(venv, root / "requirements" / f"{name}.lock", root)
        stamp.write_text(json.dumps(installed | wanted | {"python": python_version(venv)}))
        unfinished.unlink()
    except OSError as error:
        raise CannotMakeEnvironment(way_out(str(error), root)) from None


def python_version(venv: Path) -> str:
    """Return the version of the Python in `venv`, such as "3.11", or "" if it does not run."""
    code = "import sys, pip; print('%d.%d' % sys.version_info[:2])"
    with contextlib.suppress(OSError):
        return subprocess.run(  # noqa: S603
            [venv / "bin" / "python", "-c", code], capture_output=True, text=True, check=False
        ).stdout.strip()
    return ""


def refuse_other_systems() -> None:
    """Raise CannotMakeEnvironment on Windows, where the embedded engines do not run."""
    if os.name != "posix":
        raise CannotMakeEnvironment("Windows is not supported by itself. Use WSL2 or Docker.")


def refuse_without_venv() -> None:
    """Raise CannotMakeEnvironment where Python came without `venv` or `ensurepip`, as on Debian."""
    try:
        import ensurepip
        import venv
    except ImportError:
        version = f"{sys.version_info.major}.{sys.version_info.minor}"
        raise CannotMakeEnvironment(
            "This Python has no 'venv' module. On Debian or Ubuntu: "
            f"apt-get install python{version}-venv. Then try again."
        ) from None
    del ensurepip, venv


def refuse_without_space(root: Path) -> None:
    """Raise CannotMakeEnvironment where the packages and a first database would not fit."""
    free_mb = shutil.disk_usage(root).free // 1_000_000
    if free_mb < SPACE_NEEDED_MB:
        raise CannotMakeEnvironment(
            f"Only {free_mb} MB are free in {root}; {SPACE_NEEDED_MB} are needed. "
            "Free some space and try again."
        )


@contextlib.contextmanager
def one_at_a_time(root: Path) -> Iterator[None]:
    """Hold a lock on the clone, so that two calls of make do not install over each other."""
    if not os.access(root, os.W_OK):
        raise CannotMakeEnvironment(way_out("Permission denied", root))
    handle = os.open(root, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def way_out(output: str, root: Path) -> str:
    """Turn what pip or the system said into one line that says what to do."""
    known = {
        "No space left": "The disk is full. Free some space and try again.",
        "Permission denied": (
            f"No right to write in {root}. Clone Rapport into a folder of your own, "
            "or call make as the user it belongs to."
        ),
        "do not match the hashes": (
            "A downloaded package is not the one in requirements/. Call 'pip cache purge' and try "
            "again; if it stays, the package source in your pip configuration serves other files."
        ),
        "No matching distribution": (
            "A package could not be found. Check the network and 'pip config list', and try again."
        ),
        "Failed to establish a new connection": (
            "Packages could not be downloaded. Check the network and 'pip config list', "
            "and try again."
        ),
    }
    for sign, line in known.items():
        if sign in output:
            return line
    end = "\n    ".join(output.strip().splitlines()[-12:])
    return f"The environment could not be made. Mend what is said here and try again:\n    {end}"


def _install(venv: Path, lock: Path, root: Path) -> None:
    # A lock is complete. Left to look for dependencies, pip 23 takes a newer release of a package
    # that another asks for with an extra, and then finds it unpinned.
    options = ["--no-deps", "--require-hashes", "--no-input", "--disable-pip-version-check"]
    if lock.stem in APART:
        venv = venv / lock.stem
        _run([sys.executable, "-m", "venv", "--clear", str(venv)], root)
    python = str(venv / "bin" / "python")
    _run([python, "-m", "pip", "install", "--quiet", *options, "-r", str(lock)], root)


def _run(argv: list[str], root: Path) -> None:
    # A user's own 'install into my home' setting cannot hold inside a virtual environment.
    environment = os.environ | {"PIP_USER": "0"}
    done = subprocess.run(  # noqa: S603
        argv, capture_output=True, text=True, errors="replace", env=environment, check=False
    )
    if done.returncode != 0:
        raise CannotMakeEnvironment(way_out(done.stdout + done.stderr, root))


def _read(stamp: Path) -> dict[str, str]:
    with contextlib.suppress(OSError, ValueError):
        kept: dict[str, str] = json.loads(stamp.read_text())
        return kept
    return {}


def _hash(lock: Path) -> str:
    return hashlib.sha256(lock.read_bytes()).hexdigest()


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()
