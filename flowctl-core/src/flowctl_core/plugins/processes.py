"""Ends a process together with everything it started, in whatever process groups that is."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

_ROUNDS = 20
"""A process may start another one while it is being ended; each round looks again."""


def end_descendants(pid: int) -> None:
    """Kill everything below `pid`, not `pid` itself, and wait until it is gone."""
    for _ in range(_ROUNDS):
        below = descendants(pid)
        if not below:
            return
        kill(below)
        time.sleep(0.02)


def kill(pids: list[int]) -> None:
    """SIGKILL to each process; those that are gone already are passed over."""
    for pid in pids:
        with suppress(ProcessLookupError, PermissionError):
            os.kill(pid, signal.SIGKILL)


def descendants(pid: int) -> list[int]:
    """Living processes below `pid`."""
    children: dict[int, list[int]] = {}
    for child, parent in _parents():
        children.setdefault(parent, []).append(child)
    found: list[int] = []
    todo = [pid]
    while todo:
        below = children.get(todo.pop(), [])
        found += below
        todo += below
    return found


def _parents() -> Iterator[tuple[int, int]]:
    """(process, its parent) for all processes that are not dead already."""
    if sys.platform == "linux":
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                with suppress(OSError, ValueError, IndexError):
                    # The name in parentheses may hold anything, spaces and parentheses too.
                    fields = (entry / "stat").read_text(errors="replace").rpartition(")")[2].split()
                    if fields[0] not in "ZX":
                        yield int(entry.name), int(fields[1])
        return
    listing = subprocess.run(
        ["ps", "-axo", "pid=,ppid=,stat="],
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    for line in listing.stdout.splitlines():
        pid, parent, state = line.split()[:3]
        if not state.startswith("Z"):
            yield int(pid), int(parent)
