"""One thread to which all others tell what happened; it alone changes anything. Nothing in it polls."""

from __future__ import annotations

import heapq
import itertools
import queue
import time
from collections.abc import Callable

Act = Callable[[], object]


class Loop:
    """Runs what is posted, in order, and what is due."""

    def __init__(self) -> None:
        # put() of a SimpleQueue is reentrant, so signal handlers may post.
        self._posted: queue.SimpleQueue[Act] = queue.SimpleQueue()
        self._due: list[tuple[float, int, Act]] = []
        self._numbers = itertools.count()
        self._ended = False

    def post(self, act: Act) -> None:
        """From any thread: run this soon."""
        self._posted.put(act)

    def later(self, seconds: float, act: Act) -> None:
        """In this thread: run this after so many seconds."""
        heapq.heappush(self._due, (time.monotonic() + seconds, next(self._numbers), act))

    def end(self) -> None:
        """In this thread: `run` returns."""
        self._ended = True

    def run(self) -> None:
        """Run until `end`."""
        while not self._ended:
            timeout = max(self._due[0][0] - time.monotonic(), 0) if self._due else None
            try:
                act = self._posted.get(timeout=timeout)
            except queue.Empty:
                _, _, act = heapq.heappop(self._due)
            act()
