"""Writes events to the stdin of one process and knows which of them the process has read."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from flowctl_core.dev.edges.batch import Batch
from flowctl_core.dev.edges.edge import Edge
from flowctl_core.dev.edges.pipes import PIPE_SIZE, open_other_end, unread_bytes, widen

NARROW = 2**16
"""Bytes written at once, and held by the pipe, while a process is slow: what it must still work through at an EOF."""

_BUSY = 2**22
"""Bytes a second from which a wider pipe is worth its longer drain."""


@dataclass(frozen=True, slots=True)
class Piece:
    """Events of one edge for the target; `again`: a process before this one may have had them."""

    edge: Edge
    batch: Batch
    again: bool = False


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of what one process was given: read (only the last part of it), unread, and events read per edge."""

    read: list[Piece]
    unread: list[Piece]
    taken: Counter[Edge]


class Origin(Protocol):
    """Where a delivery gets its events: the feed."""

    def take(self, delivery: Delivery, limit: int) -> Sequence[Piece]:
        """The next events, of about `limit` bytes; waits for some; none: give the process its EOF."""

    def wake(self) -> None:
        """Let `take` look at the delivery again."""


class Delivery(threading.Thread):
    """One process's stdin, written by this thread until `end`, the last event, or the death of the process."""

    def __init__(self, origin: Origin, fd: int, *, name: str, keep: int, close: Callable[[], None] | None) -> None:
        super().__init__(name=f"feed {name}", daemon=True)
        self.ending = False
        self.closed = threading.Event()
        self._origin = origin
        self._fd = fd
        self._close = close
        self._keep = keep
        self._limit = NARROW
        self._history: deque[Piece] = deque()
        self._history_events = 0
        self._history_bytes = 0
        self._taken: Counter[Edge] = Counter()
        self._taken_bytes = 0
        self._written_bytes = 0
        self._other_end: int | None = None
        self._since = time.monotonic()
        self._written_since = 0

    def end(self) -> None:
        """Take nothing more, finish what is being written (whole lines), then EOF; `closed` is set when it is given."""
        self.ending = True
        self._origin.wake()

    def run(self) -> None:
        """Write until there is nothing more."""
        try:
            while pieces := self._origin.take(self, self._limit):
                self._remember(pieces)
                data = pieces[0].batch.data if len(pieces) == 1 else b"".join(piece.batch.data for piece in pieces)
                if not self._write(data):
                    return  # `settle` gives back what it did not read
            self._other_end = open_other_end(self._fd)
            self._end_of_file()
        finally:
            self.closed.set()

    def settle(self) -> Outcome:
        """The process is gone: which events it read and which it did not. Ends the thread and closes the pipe."""
        self.end()
        rescued = self._unblock()
        if self._other_end is not None:
            unread = unread_bytes(self._other_end)
            os.close(self._other_end)
            self._other_end = None
        else:
            unread = unread_bytes(self._fd) if self._fd >= 0 else 0
        self._end_of_file()
        read_until = self._written_bytes - unread - rescued
        read: deque[Piece] = deque()
        unread_pieces: deque[Piece] = deque()
        position = self._taken_bytes
        for piece in reversed(self._history):
            position -= len(piece.batch.data)
            before, after = piece.batch.split_at_byte(read_until - position)
            if after is not None:
                unread_pieces.appendleft(Piece(piece.edge, after, piece.again))
                self._taken[piece.edge] -= after.count
            if before is not None:
                read.appendleft(Piece(piece.edge, before, piece.again))
        return Outcome(list(read), list(unread_pieces), self._taken)

    def _unblock(self) -> int:
        """Wait for the thread; when a stray process holds the pipe and does not read, take the bytes out of it."""
        self.join(0.5)
        rescued = 0
        if self.is_alive() and (other := open_other_end(self._fd)) is not None:
            while self.is_alive():
                with contextlib.suppress(BlockingIOError):
                    rescued += len(os.read(other, PIPE_SIZE))
                self.join(0.01)
            os.close(other)
        return rescued

    def _remember(self, pieces: Sequence[Piece]) -> None:
        """Keep what may have to be sent again: `keep` events, and what pipe and hand can hold."""
        for piece in pieces:
            self._history.append(piece)
            self._history_events += piece.batch.count
            self._history_bytes += len(piece.batch.data)
            self._taken[piece.edge] += piece.batch.count
            self._taken_bytes += len(piece.batch.data)
        while True:
            oldest = self._history[0].batch
            if self._history_events - oldest.count < self._keep:
                return
            if self._history_bytes - len(oldest.data) < 3 * PIPE_SIZE:
                return
            self._history.popleft()
            self._history_events -= oldest.count
            self._history_bytes -= len(oldest.data)

    def _write(self, data: bytes) -> bool:
        """Whether all of it went into the pipe."""
        view = memoryview(data)
        try:
            while view:
                written = os.write(self._fd, view)
                self._written_bytes += written
                view = view[written:]
        except OSError:  # the process has died or closed its stdin
            return False
        self._widen_when_busy(len(data))
        return True

    def _widen_when_busy(self, size: int) -> None:
        if self._limit == PIPE_SIZE:
            return
        self._written_since += size
        elapsed = time.monotonic() - self._since
        if elapsed > 0.2:
            if self._written_since > _BUSY * elapsed:
                widen(self._fd)
                self._limit = PIPE_SIZE
            self._since, self._written_since = time.monotonic(), 0

    def _end_of_file(self) -> None:
        fd, self._fd = self._fd, -1
        if fd < 0:
            return
        with contextlib.suppress(OSError):
            if self._close is not None:
                self._close()
            else:
                os.close(fd)
