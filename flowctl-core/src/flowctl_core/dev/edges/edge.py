"""One edge of the graph: events wait here between the component that gave them and the one that takes them."""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass

from flowctl_core.dev.edges.batch import Batch


@dataclass(frozen=True, slots=True)
class Limits:
    """How much may wait on one edge; what gives events stands still while either is reached."""

    events: int = 100_000
    bytes: int = 16 * 2**20


@dataclass(slots=True)
class EdgeCounters:
    """What happened on an edge since the pipeline started, in events except `bytes`.

    entered: given by the source; events, bytes: written to the target for the first time; lag: still waiting here;
    replayed: written again to a new process after one crashed (or as --replay asks), because the old one may not have
    finished with them; older: read by a process that crashed but too long ago for the replay window; lost: thrown away
    because the target is gone for good.
    """

    entered: int = 0
    events: int = 0
    bytes: int = 0
    lag: int = 0
    replayed: int = 0
    older: int = 0
    lost: int = 0


class Edge:
    """Bounded, in order; made by `Feed.edge`, filled by the source's tap. All is guarded by the feed's condition."""

    def __init__(self, source: str, target: str, *, limits: Limits, changed: threading.Condition) -> None:
        self.source = source
        self.target = target
        self.counters = EdgeCounters()
        self.finished = False
        self.discarding = False
        self._limits = limits
        self._changed = changed
        self._waiting: deque[Batch] = deque()
        self._waiting_bytes = 0

    def __repr__(self) -> str:
        return f"<Edge {self.source} → {self.target}>"

    def push(self, batch: Batch) -> None:
        """Add a batch; waits while the edge is full (an empty one takes a batch of any size)."""
        with self._changed:
            while self._is_full() and not self.discarding:
                self._changed.wait()
            self.counters.entered += batch.count
            if self.discarding:
                self.counters.lost += batch.count
                return
            self._waiting.append(batch)
            self._waiting_bytes += len(batch.data)
            self.counters.lag += batch.count
            self._changed.notify_all()

    def finish(self) -> None:
        """The source will never give anything again."""
        with self._changed:
            self.finished = True
            self._changed.notify_all()

    def pop(self) -> Batch | None:
        """The oldest batch, or None; the caller holds the condition."""
        if not self._waiting:
            return None
        batch = self._waiting.popleft()
        self._waiting_bytes -= len(batch.data)
        return batch

    def discard(self) -> None:
        """Throw away what waits and what comes; the caller holds the condition."""
        self.discarding = True
        self.counters.lost += sum(batch.count for batch in self._waiting)
        self.counters.lag = 0
        self._waiting.clear()
        self._waiting_bytes = 0

    @property
    def is_empty(self) -> bool:
        """Whether nothing waits."""
        return not self._waiting

    def _is_full(self) -> bool:
        return self._waiting_bytes >= self._limits.bytes or self.counters.lag >= self._limits.events
