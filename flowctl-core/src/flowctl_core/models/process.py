"""Commands and their results; the Runner protocol that executes them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Protocol, runtime_checkable

from flowctl_core.models.base import Frozen

OnLine = Callable[[str], None]
"""Called with each line of output, without its line end."""


class Command(Frozen):
    """A program to run: an argv list, never a shell string."""

    argv: tuple[str, ...]
    cwd: Path
    environment: dict[str, str]
    """The complete environment of the process."""
    timeout_s: float | None = None
    network: bool = False
    """True only in fetch; a sandboxed runner gives no network otherwise."""
    early: bool = False
    """True: the whole build is this command, it reads nothing but the plan's inputs, and it writes only into the
    output folder and caches that the toolchain itself keeps sound. The next build may then start it while flowctl
    still looks at the source; if the plan or an input turns out different, it is ended and started anew."""


class CompletedCommand(Frozen):
    """How a command ended."""

    argv: tuple[str, ...]
    exit_code: int
    """Negative: ended by that signal."""
    stdout: str
    stderr: str
    duration_s: float

    @property
    def ok(self) -> bool:
        """True for exit code 0."""
        return self.exit_code == 0

    @property
    def output(self) -> str:
        """Both streams, for people."""
        return "\n".join(part for part in (self.stdout.rstrip(), self.stderr.rstrip()) if part)


@runtime_checkable
class Runner(Protocol):
    """Executes commands: locally, in a sandbox, or in a test's record."""

    def run(self, command: Command, *, on_line: OnLine | None = None) -> CompletedCommand:
        """Run to the end.

        Raises ToolchainError when the program does not exist, ToolTimeoutError after `timeout_s`,
        CancelledError when cancelled; in the last two its whole process group is gone on return.
        """
        ...
