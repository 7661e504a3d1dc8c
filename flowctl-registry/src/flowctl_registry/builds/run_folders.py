"""Folders of one run in a sandbox, below the data folder; those of a service that was killed are removed."""

from __future__ import annotations

import hashlib
import socket
import tempfile
from pathlib import Path

from flowctl_registry.sandbox.disk import remove
from flowctl_registry.sandbox.owner import is_owner_alive, owner

_TOP = "runs"


def new_run(data: Path) -> Path:
    """An empty folder of this process's user alone, for the caller to remove. Raises OSError."""
    top = data.absolute() / _TOP
    top.mkdir(mode=0o700, parents=True, exist_ok=True)
    return Path(tempfile.mkdtemp(prefix=f"{_machine()}-{owner()}-", dir=top))


def sweep_runs(data: Path) -> None:
    """Remove those of this machine whose process is gone; workers in several containers may share a data folder."""
    for folder in (data.absolute() / _TOP).glob(f"{_machine()}-*"):
        if not is_owner_alive("-".join(folder.name.split("-")[1:3])):
            remove(folder)


def _machine() -> str:
    return hashlib.sha256(socket.gethostname().encode()).hexdigest()[:8]
