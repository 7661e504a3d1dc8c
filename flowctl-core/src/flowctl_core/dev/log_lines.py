"""Reads what a component says (stderr, and the stdout of those whose events nobody takes) line by line."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable

LONGEST = 16 * 1024
"""Bytes of a line that are shown in one piece."""
_CHUNK = 65536

OnLine = Callable[[str], None]


class LogReader(threading.Thread):
    """Gives each line of a descriptor to `on_line`, in a thread of its own, and closes it at its end."""

    def __init__(self, descriptor: int, on_line: OnLine, *, name: str) -> None:
        super().__init__(name=f"log {name}", daemon=True)
        self._descriptor = descriptor
        self._on_line = on_line

    def run(self) -> None:
        """Read to the end."""
        rest = b""
        try:
            while data := self._read():
                *lines, rest = (rest + data).split(b"\n")
                for line in lines:
                    self._give(line)
                if len(rest) > LONGEST:
                    self._give(rest)
                    rest = b""
            if rest:
                self._give(rest)
        finally:
            with contextlib.suppress(OSError):
                os.close(self._descriptor)

    def _read(self) -> bytes:
        try:
            return os.read(self._descriptor, _CHUNK)
        except OSError:
            return b""

    def _give(self, line: bytes) -> None:
        text = line.decode("utf-8", "backslashreplace").rstrip("\r")
        for start in range(0, max(len(text), 1), LONGEST):
            self._on_line(text[start : start + LONGEST])
