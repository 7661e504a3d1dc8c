"""What a process and its descendants take, from /proc (Linux)."""

from __future__ import annotations

import os
import re
from pathlib import Path


def family(pid: int) -> list[int]:
    """The process and all below it."""
    parents = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parents[int(folder.name)] = int(_stat(int(folder.name))[1])
        except OSError:
            continue
    found = [pid]
    for each in found:
        found += [child for child, parent in parents.items() if parent == each]
    return found


def cpu_seconds(pids: list[int], *, with_ended: bool = False) -> float:
    """User and system time so far; with that of children that have ended."""
    fields = slice(11, 15 if with_ended else 13)
    return sum(sum(map(int, _stat(pid)[fields])) for pid in pids) / os.sysconf("SC_CLK_TCK")


def megabytes(pid: int, what: str) -> float:
    """`Rss`, or `Pss`: shared pages divided by how many share them."""
    text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    found = re.search(rf"^{what}:\s+(\d+) kB", text, re.MULTILINE)
    assert found is not None
    return int(found[1]) * 1024 / 1e6


def _stat(pid: int) -> list[str]:
    """Fields from the state on: the name before may have anything in it."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
