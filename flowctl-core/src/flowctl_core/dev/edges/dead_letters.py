"""The file that keeps lines which are no events, so that nothing a component wrote is lost unseen."""

from __future__ import annotations

import datetime
import json
import threading
from pathlib import Path

from flowctl_core.dev.edges.lines import BadLine

SIZE_LIMIT = 64 * 2**20
"""Bytes of the file; further dead letters are only counted."""


class DeadLetters:
    """Appends to one file of JSON lines: time, component, line (its number), reason, text.

    The text is the line's beginning; what is not UTF-8 in it stands as \\xff. The file is made with the first
    dead letter. When it cannot be written, or is full, events go on: `problem` says why and `unwritten` counts.
    """

    def __init__(self, path: Path, *, size_limit: int = SIZE_LIMIT) -> None:
        self.path = path
        self.written = 0
        self.unwritten = 0
        self.problem: str | None = None
        self._room = size_limit
        self._lock = threading.Lock()

    def write(self, component: str, bad: list[BadLine]) -> None:
        """Add these lines of one component."""
        now = datetime.datetime.now(datetime.UTC).isoformat(timespec="milliseconds")
        text = "".join(_entry(now, component, line) for line in bad).encode()
        with self._lock:
            if len(text) > self._room:
                self.unwritten += len(bad)
                self.problem = f"{self.path.name} is full"
                return
            try:
                self.path.parent.mkdir(parents=True, exist_ok=True)
                with self.path.open("ab") as file:
                    file.write(text)
            except OSError as error:
                self.unwritten += len(bad)
                self.problem = f"{self.path.name} cannot be written: {error.strerror or error}"
                return
            self._room -= len(text)
            self.written += len(bad)


def _entry(now: str, component: str, bad: BadLine) -> str:
    document = {"time": now, "component": component, "line": bad.number, "reason": bad.reason}
    document["text"] = bad.line.decode(errors="backslashreplace")
    return json.dumps(document, ensure_ascii=False) + "\n"
