"""The processes of a sandbox as this machine sees them: all that share the namespace of its first one."""

from __future__ import annotations

import os
from pathlib import Path

from flowctl_registry.sandbox.confinement import Limits, Reached, Usage

_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")


def members(first: int) -> list[int]:
    """Process ids; empty when the first is gone, or when it is in the namespace of this process."""
    space = _space(str(first))
    if space is None or space == _space("self"):
        return []
    return [int(each.name) for each in Path("/proc").iterdir() if each.name.isdigit() and _space(each.name) == space]


def sample(first: int, limits: Limits, before: Usage) -> Usage:
    """What the processes take now, where no control group counts it; more than a limit is a breach.

    `before` is the sample before this one: processor time and the memory's peak never fall.
    """
    ticks, pages, tasks = 0, 0, 0
    for pid in members(first):
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue  # it ended meanwhile
        ticks += sum(int(field) for field in fields[11:15])  # its own, and that of children it has waited for
        tasks += int(fields[17])
        pages += int(fields[21])
    cpu_s = max(ticks / _TICKS, before.cpu_s or 0.0)
    peak = max(pages * _PAGE, before.peak_bytes or 0)
    reached: Reached | None = before.reached
    if pages * _PAGE > limits.memory_bytes:
        reached = "memory"
    elif tasks >= limits.processes:
        reached = "processes"
    return Usage(cpu_s, peak, reached)


def _space(pid: str) -> str | None:
    try:
        return os.readlink(f"/proc/{pid}/ns/pid")  # noqa: PTH115 - no file of that name exists
    except OSError:
        return None
