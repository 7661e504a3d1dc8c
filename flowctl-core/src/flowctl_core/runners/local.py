"""Runs commands on this machine, each in a process group of its own."""

from __future__ import annotations

import subprocess
import time

from flowctl_core.errors import ToolchainError
from flowctl_core.models.process import Command, CompletedCommand, OnLine


class LocalRunner:
    """Runs commands as child processes."""

    def run(self, command: Command, *, on_line: OnLine | None = None) -> CompletedCommand:
        """See `flowctl_core.models.process.Runner`."""
        started = time.monotonic()
        try:
            done = subprocess.run(
                command.argv,
                cwd=command.cwd,
                env=command.environment,
                capture_output=True,
                text=True,
                errors="replace",
                check=False,
            )
        except FileNotFoundError as error:
            raise ToolchainError(f"{command.argv[0]} was not found") from error
        return CompletedCommand(
            argv=command.argv,
            exit_code=done.returncode,
            stdout=done.stdout,
            stderr=done.stderr,
            duration_s=time.monotonic() - started,
        )
