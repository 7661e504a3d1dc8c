"""What an untrusted command may see, write and use, and how it ended."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Literal, Protocol

from flowctl_registry.errors import SandboxError

Reached = Literal["wall", "cpu", "memory", "processes", "output", "disk", "cancelled"]
"""What ended a command before its time."""
TAKEN = ("/proc", "/dev", "/run/flowctl")
"""Places inside that the sandbox itself fills."""


@dataclass(frozen=True)
class Limits:
    """What one run may take."""

    cpu_s: float = 3_600
    """Of all its processes together."""
    wall_s: float = 1_800
    memory_bytes: int = 4_000_000_000
    """Of all its processes together, with what they keep in /tmp."""
    processes: int = 1_024
    """Processes and threads at one time."""
    file_bytes: int = 4_000_000_000
    """One file at most."""
    disk_bytes: int = 20_000_000_000
    """What it may add to its writable folders, deleted files that are still open included."""
    output_bytes: int = 50_000_000
    """What it may print."""


@dataclass(frozen=True)
class Confinement:
    """Everything that the command gets; nothing else of the machine is there but a read-only system.

    Paths map a place inside to one on this machine. /tmp and /home are the command's own, empty, and forgotten.
    """

    read_only: Mapping[str, Path] = field(default_factory=dict)
    writable: Mapping[str, Path] = field(default_factory=dict)
    """Folders; as root, they and what is in them are given to the user of the sandbox."""
    environment: Mapping[str, str] = field(default_factory=dict)
    """All of it; nothing is inherited (only the proxy's variables are added)."""
    folder: str = "/tmp"  # noqa: S108 - inside, where it is private
    """Where the command starts."""
    proxy: Path | None = None
    """Socket of a `Proxy`; None is no network but a loopback of its own."""
    limits: Limits = Limits()

    def __post_init__(self) -> None:
        """Refuse what would undo the confinement. Raises SandboxError."""
        for inside in (*self.read_only, *self.writable, self.folder):
            path = PurePosixPath(inside)
            taken = next((t for t in TAKEN if path.is_relative_to(t)), None)
            if not path.is_absolute() or ".." in path.parts or str(path) == "/" or taken:
                raise SandboxError(
                    f"{inside} cannot be a place inside the sandbox",
                    hint="Use an absolute path outside " + ", ".join(TAKEN) + ".",
                )
        for name, value in self.environment.items():
            if not name or "=" in name or "\0" in name + value:
                raise SandboxError(f"{name!r} is no name of a variable", hint="Correct the environment of the build.")

    @property
    def network(self) -> Literal["none", "proxy"]:
        """What of the network can be reached."""
        return "none" if self.proxy is None else "proxy"


@dataclass(frozen=True)
class Usage:
    """What a run has taken so far; None is not known here."""

    cpu_s: float | None = None
    peak_bytes: int | None = None
    reached: Reached | None = None
    """A limit that the kernel enforced."""


@dataclass(frozen=True)
class Outcome:
    """How a run ended, after all its processes were gone."""

    exit_code: int | None
    """None when a limit or a cancellation ended it."""
    reached: Reached | None
    wall_s: float
    cpu_s: float | None
    peak_bytes: int | None
    """Memory at most at one time, of all processes together."""


class Running(Protocol):
    """A command in a sandbox."""

    def fileno(self) -> int:
        """Readable when there is output, or no more."""

    def read(self) -> bytes:
        """Some of the output; empty at its end."""

    def poll(self) -> int | None:
        """The exit code, once no process of it is left. Raises SandboxError when the sandbox could not be made."""

    def kill(self) -> None:
        """End all of its processes at once."""

    def usage(self) -> Usage:
        """What it has taken."""

    def processes(self) -> Iterable[int]:
        """Its processes, as far as this machine sees them."""

    def close(self) -> None:
        """End what is left and remove every trace."""


class Sandbox(Protocol):
    """One way to confine a command."""

    name: str

    def start(self, confinement: Confinement, argv: list[str]) -> Running:
        """Start the command. Raises SandboxError."""

    def report(self) -> tuple[str, ...]:
        """Sentences about what cannot be enforced on this machine."""
