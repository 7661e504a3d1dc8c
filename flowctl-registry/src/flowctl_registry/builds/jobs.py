"""The ports of build workers: the steps that they do, and the engine that remembers what was done."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from flowctl_registry.builds.runs import Run

Answer = dict[str, Any]
"""Plain JSON, kept by the engine: a completed step is never done again."""


class PostponedError(Exception):
    """Raised by a step whose build goes back into the queue, until builds that it asked for have ended."""


@dataclass(frozen=True)
class StepCall:
    """One step that a worker is to do now."""

    build_id: str
    step: str
    platform: str
    """`""` where the step is not of one platform."""
    attempt: int
    """1 for the first try, counted over all workers."""
    cancelled: threading.Event
    """Set when the build is cancelled, or belongs to another worker now: end within 2 s."""
    worker: str = ""
    """Id of the worker that does it."""
    answers: Mapping[str, Any] = field(default_factory=dict)
    """What the steps before answered, by step; `build` has a mapping of its answers by platform."""
    log: Callable[[bytes], None] = field(default=lambda _data: None)
    """Takes what is printed, for the build's log; any thread may call it."""


StepFunction = Callable[[StepCall], Answer]
"""Does one step, however often it was begun before: it finds its own work done. Runs in a thread that lives as long as
the worker. Raises FlowctlError for what will not pass with another try; `TransientError` (any UnavailableError) and
StorageFullError for what may.

Answers that the workflow itself reads: `clone` {"commit": sha}, `decide` {"version": text, "platforms": [text, …]},
`publish` {"version_id": number}; `build` may answer {"refused": why} for a platform that cannot be built here."""


@dataclass(frozen=True)
class StepSet:
    """The steps of a worker, by name, and how it keeps its disk tidy."""

    functions: Mapping[str, StepFunction]
    tidy: Callable[[str], None] = field(default=lambda _worker: None)
    """Removes what the worker of that id keeps of builds that have ended. Called when it starts and when builds end;
    may raise FlowctlError, and is called again later."""


@dataclass(frozen=True)
class Claim:
    """A build that this worker has taken: only the holder of its token may write about it."""

    build_id: str
    attempt: int
    token: str
    resumed: bool
    """True: another run began it."""


class Jobs(Protocol):
    """The durable engine: it runs a build's workflow, and goes on where another worker left off."""

    def launch(self) -> None:
        """Begin to work in this process."""

    def run(self, run: Run) -> None:
        """Run, or go on with, the workflow of a build; returns at once."""

    def helping(self) -> list[Run]:
        """Platforms of other workers' builds that are done here."""

    def adopt(self, living: set[str]) -> None:
        """Go on with platforms that a worker with our labels had begun, and that is none of `living`."""

    def forget(self, days: int, gone: list[str]) -> None:
        """Remove the history of workflows that ended so long ago, and what is kept for workers that are `gone`."""
