"""Builds that this process does now, and what stops their steps."""

from __future__ import annotations

import threading
from typing import Literal

from flowctl_registry.builds.jobs import Claim

Stop = Literal["cancelled", "replaced", "stopping"]
"""Somebody cancelled the build; it belongs to another run; this worker ends."""


class Run:
    """One build, or one platform of another worker's build."""

    def __init__(self, claim: Claim, *, owner: bool = True) -> None:
        self.claim = claim
        self.owner = owner
        """False: another worker has the build, this one does a step of it."""
        self.stop: Stop | None = None
        self.busy = 0
        """Steps that are being done."""
        self._lock = threading.Lock()
        self._steps: dict[tuple[str, str], threading.Event] = {}
        self._failed = False

    @property
    def parked(self) -> bool:
        """Nothing more may be done or written."""
        return self.stop in ("replaced", "stopping")

    def end(self, why: Stop) -> None:
        """End its steps; a run that is not ours any more stays so."""
        with self._lock:
            if self.stop != "replaced":
                self.stop = why
            for event in self._steps.values():
                event.set()

    def close(self) -> None:
        """Begin no further step; those that run may end."""
        with self._lock:
            self.stop = self.stop or "stopping"

    def begin(self, step: str, platform: str) -> threading.Event:
        """Set when the step is to end."""
        with self._lock:
            event = self._steps.setdefault((step, platform), threading.Event())
            if self.stop is not None or self._failed:
                event.set()
            self.busy += 1
            return event

    def done(self, step: str, platform: str, *, failed: bool) -> None:
        """A step ended; when it failed, those beside it are of no use."""
        with self._lock:
            self.busy -= 1
            self._steps.pop((step, platform), None)
            if failed:
                self._failed = True
                for event in self._steps.values():
                    event.set()
