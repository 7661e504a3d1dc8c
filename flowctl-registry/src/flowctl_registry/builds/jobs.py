"""The port to the job engine: what the rest of the registry knows of it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol


@dataclass(frozen=True)
class StepCall:
    """One step that a worker is to do now."""

    build_id: str
    step: str
    platform: str
    """`""` where the step is not of one platform."""
    attempt: int
    cancelled: threading.Event
    """Set when the build is cancelled: end within 2 s."""


Answer = dict[str, Any]
"""Plain JSON, kept by the engine: a completed step is never done again."""
StepFunction = Callable[[StepCall], Answer]
"""Does one step, however often it was begun before: it finds its own work done. Raises FlowctlError for what will not
pass with another try, `TransientError` for what may."""


class Jobs(Protocol):
    """A durable queue with workers."""

    def submit(self, build_id: str, namespace: str, priority: int) -> None:
        """Queue a build; again changes nothing."""

    def cancel(self, build_id: str) -> None:
        """End a build: its running steps see `cancelled`, the others are not begun."""

    def work(self, worker_id: str, labels: Mapping[str, str], slots: int) -> None:
        """Begin to take builds in this process; returns at once."""

    def stop(self, timeout_s: float) -> None:
        """Take no more, let running steps end; what has not ended by then is taken over by others."""
