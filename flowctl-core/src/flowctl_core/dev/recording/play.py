"""Gives recorded events to edges as the recorded component itself would have (`flowctl dev --replay-from FILE`)."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence

from flowctl_core.dev.edges.batch import Batch
from flowctl_core.dev.edges.tap import Outlet
from flowctl_core.dev.recording.errors import RecordingError
from flowctl_core.dev.recording.read import Recording

_BATCH_EVENTS = 1000
_BATCH_BYTES = 2**18


class Player(threading.Thread):
    """Stands in for components: their recorded events go to `outlets`, as fast as these take them.

    To give a component the events of several in the recorded order, let these share one edge: edges take turns.
    When all are given, every outlet is finished and the pipeline ends by itself; `problem` says what ended it early.
    """

    def __init__(self, recording: Recording, outlets: Mapping[str, Sequence[Outlet]]) -> None:
        super().__init__(name="player", daemon=True)
        self.events = 0
        self.problem: RecordingError | None = None
        self._recording = recording
        self._outlets = outlets
        self._stopping = False

    def run(self) -> None:
        """Give all events."""
        waiting: list[bytes] = []
        size = 0
        component = ""
        try:
            for event in self._recording.events(self._outlets.keys()):
                if self._stopping:
                    return
                if waiting and (event.component != component or len(waiting) >= _BATCH_EVENTS or size >= _BATCH_BYTES):
                    self._give(component, waiting)
                    waiting, size = [], 0
                if not waiting:
                    component = event.component
                waiting.append(event.line)
                size += len(event.line)
            if waiting:
                self._give(component, waiting)
        except RecordingError as error:
            self.problem = error
        finally:
            for outlets in self._outlets.values():
                for outlet in outlets:
                    outlet.finish()

    def stop(self) -> None:
        """Give no more; what stands at a full edge stands until that is discarded."""
        self._stopping = True

    def _give(self, component: str, lines: list[bytes]) -> None:
        batch = Batch(b"\n".join(lines) + b"\n", len(lines), self.events + 1)
        for outlet in self._outlets[component]:
            outlet.push(batch)
        self.events += batch.count
