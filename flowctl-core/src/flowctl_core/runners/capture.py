"""Turns what a process prints into lines as they come and into a text of bounded size."""

from __future__ import annotations

from collections import deque

from flowctl_core.models.process import OnLine

CAPTURE_LIMIT = 16 * 2**20
"""Bytes kept of one stream: the first half and the last half of it."""

LINE_LIMIT = 2**20
"""Bytes of one line that reach `on_line`."""


class Capture:
    """One output stream of a process."""

    def __init__(self, on_line: OnLine | None, *, limit: int = CAPTURE_LIMIT, line_limit: int = LINE_LIMIT) -> None:
        self._on_line = on_line
        self._half = limit // 2
        self._line_limit = line_limit
        self._head: list[bytes] = []
        self._head_size = 0
        self._tail: deque[bytes] = deque()
        self._tail_size = 0
        self._dropped = 0
        self._line: list[bytes] = []
        self._line_size = 0

    def feed(self, data: bytes) -> None:
        """Take the next bytes; whole lines go to `on_line` before this returns."""
        self._keep(data)
        if self._on_line is None:
            return
        start = 0
        while (end := data.find(b"\n", start)) >= 0:
            self._extend_line(data[start:end])
            self._emit_line()
            start = end + 1
        self._extend_line(data[start:])

    def close(self) -> None:
        """The stream has ended: a last line without a line end is a line too."""
        if self._line_size:
            self._emit_line()

    def text(self) -> str:
        """What was printed, undecodable bytes replaced; where it was too much, it says how much is missing."""
        head, tail = b"".join(self._head), b"".join(self._tail)
        surplus = len(tail) - self._half
        dropped = self._dropped
        if surplus > 0:
            tail, dropped = tail[surplus:], dropped + surplus
        if not dropped:
            return (head + tail).decode(errors="replace")
        gap = f"\n[… {dropped:,} bytes of output left out here …]\n"
        return head.decode(errors="replace") + gap + tail.decode(errors="replace")

    def _keep(self, data: bytes) -> None:
        room = self._half - self._head_size
        if room > 0:
            self._head.append(data[:room])
            self._head_size += len(self._head[-1])
            data = data[room:]
        if not data:
            return
        self._tail.append(data)
        self._tail_size += len(data)
        while self._tail_size - len(self._tail[0]) >= self._half:
            gone = len(self._tail.popleft())
            self._tail_size -= gone
            self._dropped += gone

    def _extend_line(self, part: bytes) -> None:
        if not part:
            return
        room = self._line_limit - self._line_size
        if room > 0:
            self._line.append(part[:room])
        self._line_size += len(part)

    def _emit_line(self) -> None:
        line = b"".join(self._line).decode(errors="replace").removesuffix("\r")
        if self._line_size > self._line_limit:
            line += f" [… {self._line_size - self._line_limit:,} bytes more]"
        self._line, self._line_size = [], 0
        if self._on_line is not None:
            self._on_line(line)
