"""Sees what Python code does to the machine: processes, connections, writes below a folder."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

_PROCESSES = {
    "subprocess.Popen",
    "os.exec",
    "os.fork",
    "os.forkpty",
    "os.posix_spawn",
    "os.spawn",
    "os.startfile",
    "os.system",
    "pty.spawn",
}
_CONNECTIONS = {"socket.connect", "socket.getaddrinfo", "socket.sendto"}
_PATH_WRITES = {
    "os.chmod",
    "os.chown",
    "os.link",
    "os.mkdir",
    "os.remove",
    "os.rename",
    "os.rmdir",
    "os.symlink",
    "os.truncate",
    "os.utime",
}
_WRITE_FLAGS = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


@dataclass
class Observation:
    """What happened while it was open; each entry is a sentence fragment for an assertion message."""

    root: str
    started: list[str] = field(default_factory=list)
    connected: list[str] = field(default_factory=list)
    written: list[str] = field(default_factory=list)

    def see(self, event: str, arguments: tuple[Any, ...]) -> None:
        """Take one audit event in."""
        if event in _PROCESSES:
            self.started.append(f"{event} {arguments[:2]}")
        elif event in _CONNECTIONS:
            self.connected.append(f"{event} {arguments[-1:]}")
        elif event == "open":
            path, _, flags = arguments
            if isinstance(flags, int) and flags & _WRITE_FLAGS:
                self._write(event, path)
        elif event in _PATH_WRITES:
            for path in arguments[:2]:
                self._write(event, path)

    def _write(self, event: str, path: object) -> None:
        if isinstance(path, str | bytes | os.PathLike):
            absolute = os.path.abspath(os.fsdecode(path))  # noqa: PTH100 - called for each file that is opened
            if absolute == self.root or absolute.startswith(self.root + os.sep):
                self.written.append(f"{event} {absolute}")


_open: list[Observation] = []
_installed = False


@contextmanager
def observe(root: Path) -> Iterator[Observation]:
    """Observe this process; writes count only below `root`. Audit hooks see extension modules' calls as
    well."""
    global _installed
    if not _installed:
        # An audit hook cannot be taken out again; with nothing open it only looks at an empty list.
        sys.addaudithook(_hook)
        _installed = True
    observation = Observation(str(root.resolve()))
    _open.append(observation)
    try:
        yield observation
    finally:
        _open.remove(observation)


def _hook(event: str, arguments: tuple[Any, ...]) -> None:
    for observation in _open:
        observation.see(event, arguments)
