"""Counting downloads without a write for each."""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter

from sqlalchemy import Engine, update

from flowctl_core.errors import FlowctlError
from flowctl_registry.database.engine import writing
from flowctl_registry.database.tables import components

_LOG = logging.getLogger(__name__)
_EVERY_S = 10


class DownloadCounter:
    """Counts in memory, and adds to the database now and then; a process that is killed loses the last seconds."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._lock = threading.Lock()
        self._counts: Counter[int] = Counter()
        self._next = time.monotonic() + _EVERY_S

    def note(self, component_id: int) -> None:
        """One more. Every ten seconds the caller waits for the write."""
        if self.add(component_id):
            self.flush()

    def add(self, component_id: int) -> bool:
        """One more; True when it is time that the caller writes them: `flush`."""
        with self._lock:
            self._counts[component_id] += 1
            if time.monotonic() < self._next:
                return False
            self._next = time.monotonic() + _EVERY_S
        return True

    def flush(self) -> None:
        """Write what was counted; what cannot be written is kept for the next time."""
        with self._lock:
            counts, self._counts = self._counts, Counter()
        if not counts:
            return
        try:
            writing(
                self._engine,
                lambda connection: [
                    connection.execute(
                        update(components)
                        .where(components.c.id == component_id)
                        .values(downloads=components.c.downloads + count)
                    )
                    for component_id, count in sorted(counts.items())  # in one order: two processes never deadlock
                ],
            )
        except FlowctlError as error:
            _LOG.warning("downloads are not counted now: %s", error.message)
            with self._lock:
                self._counts.update(counts)
