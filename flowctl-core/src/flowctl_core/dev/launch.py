"""What starting a copy of a component takes and gives, whether it becomes a process or a container."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from flowctl_core.dev.environment import Ports
from flowctl_core.dev.pipeline import DevComponent


@dataclass(frozen=True)
class Launch:
    """One copy that is to start."""

    component: DevComponent
    replica: int
    """From 0."""
    argv: tuple[str, ...]
    """Program and arguments; for an image its arguments only."""
    folder: Path
    """Where it runs."""
    environment: dict[str, str] = field(repr=False)
    ports: Ports
    takes_events: bool
    """False: its stdin is empty from the start."""
    image: str | None = None
    """What a container is made of; None: it is a process."""

    @property
    def name(self) -> str:
        """`archive`, or `archive-2` for the second of several."""
        return copy_name(self.component, self.replica)


class Instance(Protocol):
    """One copy while it runs. The descriptors block, and belong to whoever takes them."""

    pid: int | None
    stdin: int | None
    """Where events are written; None unless the launch takes events."""
    stdout: int
    stderr: int
    close_stdin: Callable[[], None] | None
    """Gives the EOF where closing `stdin` would not; None: close the descriptor."""

    def wait(self) -> int:
        """Stay until it and everything that it started has ended; the exit code, -N for signal N."""
        ...

    def terminate(self) -> None:
        """Ask it, and what it started, to end (SIGTERM)."""
        ...

    def kill(self) -> None:
        """End it, and what it started, at once."""
        ...

    def memory(self) -> int | None:
        """Bytes of memory that it holds; None: nobody knows."""
        ...


class Launcher(Protocol):
    """Starts copies of components."""

    def start(self, launch: Launch) -> Instance:
        """Start one. Raises FlowctlError with the reason when it cannot."""
        ...

    def close(self) -> None:
        """Nothing more will be started: remove what only existed for these copies."""
        ...


def copy_name(component: DevComponent, replica: int) -> str:
    """What one copy is called in logs and to the control plane."""
    return component.id if component.replicas <= 1 else f"{component.id}-{replica + 1}"
