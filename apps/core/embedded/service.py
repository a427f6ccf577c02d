"""What the supervisor needs to know of a process that it keeps running."""

from __future__ import annotations

import signal
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from apps.core.embedded.process import Account


@dataclass(frozen=True)
class Service:
    """One long-running process.

    `is_ready` is asked again and again until it says yes; it must answer within a second.
    `before` runs ahead of each start, also of a restart. `stop_signal` asks for an orderly end,
    for which the process has `patience_s` before it is killed. Engines are stopped last.
    """

    name: str
    argv: Sequence[str | Path]
    environment: Mapping[str, str]
    log: Path
    is_ready: Callable[[], bool]
    before: Callable[[], None] = lambda: None
    stop_signal: signal.Signals = signal.SIGTERM
    patience_s: float = 10.0
    account: Account | None = None
    is_engine: bool = False
    pass_fds: Sequence[int] = ()
