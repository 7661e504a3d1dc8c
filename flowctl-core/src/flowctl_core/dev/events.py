"""What `flowctl dev` tells: events as they happen, and where everything stands."""

from __future__ import annotations

import datetime
from typing import Literal, Protocol

from pydantic import Field

from flowctl_core.models.base import Frozen

EventName = Literal[
    "pipeline",
    "building",
    "built",
    "build-failed",
    "waiting",
    "starting",
    "ready",
    "unhealthy",
    "draining",
    "swapped",
    "crashed",
    "replayed",
    "done",
    "failed",
    "dead-letters",
    "log",
    "note",
    "warning",
    "paused",
    "resumed",
    "stopping",
    "stopped",
    "status",
    "end",
]

State = Literal[
    "waiting", "building", "build failed", "starting", "running", "unhealthy", "draining", "crashed", "done", "failed",
    "stopped",
]  # fmt: skip


def now() -> datetime.datetime:
    """This moment, in UTC."""
    return datetime.datetime.now(datetime.UTC)


class ComponentStatus(Frozen):
    """Where one copy of a component stands."""

    component: str
    """Its id; with replicas `id-1`, `id-2`, …"""
    stage: str
    """`sources`, `processors` or `sinks`."""
    state: State
    """What it does now."""
    pid: int | None = None
    """Its process; null while none runs."""
    rebuilds: int = 0
    """Builds after the first that made something new."""
    restarts: int = 0
    """Starts after a crash."""
    events_in: int = 0
    """Events that it was given, since the pipeline started."""
    events_out: int = 0
    """Events that it gave."""
    in_per_s: float = 0
    """Events a second that it was given, since the last status."""
    out_per_s: float = 0
    """Events a second that it gave."""
    lag: int = 0
    """Events that wait for it."""
    dead_letters: int = 0
    """Lines that it wrote and that are no JSON."""
    replayed: int = 0
    """Events that it was given again, after a crash or as --replay asks."""
    older: int = 0
    """Events that a crashed process had and that lay before the replay window."""
    lost: int = 0
    """Events thrown away because it is gone for good."""
    memory: int | None = None
    """Bytes of resident memory."""
    error: str | None = None
    """The last thing that went wrong."""


class DevEvent(Frozen):
    """One thing that happened in a pipeline: a JSON object on its own line, without fields that say nothing."""

    time: datetime.datetime = Field(default_factory=now)
    """When, in UTC."""
    event: EventName
    """What: `log` is a line that a component wrote, `status` where all components stand, `end` the last event."""
    component: str | None = None
    """Whose; with replicas `id-1`, `id-2`, …"""
    text: str | None = None
    """For people."""
    stream: Literal["stdout", "stderr"] | None = None
    """log: where it was written."""
    pid: int | None = None
    """The process."""
    exit_code: int | None = None
    """How a process ended; -9: by signal 9. end: the command's exit code."""
    duration_s: float | None = None
    """built: how long the build took; swapped: from the change on disk until the new process ran."""
    output: str | None = None
    """build-failed: what the tool printed."""
    hint: str | None = None
    """What to do about it."""
    replayed: int | None = None
    """Events sent again."""
    older: int | None = None
    """Events that lay before the replay window."""
    delay_s: float | None = None
    """crashed: seconds until it starts again."""
    components: tuple[ComponentStatus, ...] | None = None
    """status and end: all components, in the order of their start."""


class Reporter(Protocol):
    """Shows a pipeline to a person or a program; called from several threads."""

    def tell(self, event: DevEvent) -> None:
        """One thing happened."""
        ...
