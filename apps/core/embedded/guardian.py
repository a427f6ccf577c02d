"""Ends what a killed supervisor leaves behind.

A second, tiny process, started by the supervisor with a pipe as its standard input. The pipe
closes when the supervisor ends, however it ends; then every process group still on the list is
asked to stop, later killed, and throwaway folders are deleted. It also holds the lock that the
next start waits for, so that nothing new begins beside something old.

Lines on standard input: `watch GROUP SIGNAL`, `forget GROUP`, `delete FOLDER`.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
import time
from collections.abc import Iterable

from apps.core.embedded.process import signal_group

PATIENCE_S = 10.0


def watch(lines: Iterable[str]) -> tuple[dict[int, signal.Signals], list[str]]:
    """Read instructions until the supervisor is gone; return groups to end, folders to delete."""
    groups: dict[int, signal.Signals] = {}
    folders: list[str] = []
    for line in lines:
        verb, _, rest = line.rstrip("\n").partition(" ")
        if verb == "watch":
            group, number = rest.split()
            groups[int(group)] = signal.Signals(int(number))
        elif verb == "forget":
            groups.pop(int(rest), None)
        elif verb == "delete":
            folders.append(rest)
    return groups, folders


def end(groups: dict[int, signal.Signals]) -> None:
    """Ask each group to stop with its own signal; after PATIENCE_S kill what is left."""
    left = {group for group, number in groups.items() if signal_group(group, number)}
    for _ in range(2):
        deadline = time.monotonic() + PATIENCE_S
        while left and time.monotonic() < deadline:
            time.sleep(0.05)
            left = {group for group in left if _alive(group)}
        for group in left:
            signal_group(group, signal.SIGKILL)


def _alive(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except (ProcessLookupError, PermissionError):
        return False
    return True


if __name__ == "__main__":
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    to_end, to_delete = watch(sys.stdin)
    end(to_end)
    for folder in to_delete:
        shutil.rmtree(folder, ignore_errors=True)
