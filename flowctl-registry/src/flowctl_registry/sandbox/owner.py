"""Marks what a run leaves on the machine if its service is killed, so that the next one can remove it."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from pathlib import Path


def owner() -> str:
    """Names this process among all that ever ran on this machine since its start."""
    return f"{os.getpid()}-{_started(os.getpid())}"


def is_owner_alive(name: str) -> bool:
    """Whether the process of that name still runs."""
    pid, _, started = name.partition("-")
    return pid.isdigit() and _started(int(pid)) == started


def _started(pid: int) -> str:
    """When a process began, in the kernel's ticks: tells it from a later one of the same number."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        text = ""
    return (text.rpartition(")")[2].split() or ["0"] * 20)[19]


def new_folder(kind: str) -> Path:
    """A temporary folder for this process's user alone; those of processes that are gone are removed."""
    top = Path(tempfile.gettempdir())
    for old in top.glob(f"{kind}-*"):
        with contextlib.suppress(OSError):  # another process removes it too
            if old.lstat().st_uid == os.geteuid() and not is_owner_alive(_owner_of(old, kind)):
                shutil.rmtree(old, ignore_errors=True)
    return Path(tempfile.mkdtemp(prefix=f"{kind}-{owner()}-"))


def _owner_of(folder: Path, kind: str) -> str:
    return "-".join(folder.name.removeprefix(f"{kind}-").split("-")[:2])
