"""The runner that build hooks get: it notes what they run, and takes over a head start."""

from __future__ import annotations

from pathlib import Path

from flowctl_core.head_start import HeadStart
from flowctl_core.models import Command, CompletedCommand, OnLine, Runner
from flowctl_core.runners.local import LocalRunner


class BuildRunner:
    """Passes commands on to another runner and remembers them."""

    def __init__(self, inner: Runner, ahead: HeadStart | None) -> None:
        """`ahead` is a command that runs already and read what is there now."""
        self._inner = inner
        self._ahead = ahead
        self.commands: list[Command] = []
        """Every command in the order in which it was asked for."""

    def run(self, command: Command, *, on_line: OnLine | None = None) -> CompletedCommand:
        """See Runner."""
        self.commands.append(command)
        ahead, self._ahead = self._ahead, None
        if ahead is not None:
            if command.early and ahead.command.is_of(command) and isinstance(self._inner, LocalRunner):
                ahead.taken_over()
                return self._inner.run(command, on_line=on_line, early=ahead.command)
            ahead.drop()
            Path(ahead.staging).mkdir()
        return self._inner.run(command, on_line=on_line)
