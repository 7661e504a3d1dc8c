"""Says why a command could not be started, from what the system answered and what is there."""

from __future__ import annotations

import errno
import os
from collections.abc import Mapping
from pathlib import Path

from flowctl_core.errors import ToolchainError
from flowctl_core.models.process import Command


def cannot_start(command: Command, error: OSError | ValueError) -> ToolchainError:
    """What to tell when a program did not start."""
    program = command.argv[0]
    if isinstance(error, ValueError):  # NUL or lone surrogates
        return ToolchainError(f"{program} cannot be started: an argument or variable is not text: {error}")
    if not command.cwd.is_dir():
        return ToolchainError(f"{program} cannot be started: the folder {command.cwd} does not exist")
    if not os.access(command.cwd, os.X_OK):
        return ToolchainError(f"{program} cannot be started: no permission to enter the folder {command.cwd}")
    found = _locate(program, command.environment, command.cwd)
    if isinstance(error, FileNotFoundError) and found is not None:
        return ToolchainError(
            f"{found} cannot be started: the interpreter that its first line names, or its loader, does not exist",
            hint="Install the interpreter, or reinstall the tool.",
        )
    if isinstance(error, (FileNotFoundError, NotADirectoryError)):
        where = "" if "/" in program else f" on PATH ({command.environment.get('PATH', 'not set')})"
        return ToolchainError(f"{program} was not found{where}", hint=f"Install {Path(program).name}.")
    if isinstance(error, PermissionError):
        return ToolchainError(
            f"{found or program} cannot be started: it is not executable for this user",
            hint=f"chmod +x {found or program}",
        )
    if error.errno == errno.ENOEXEC:
        return ToolchainError(
            f"{found or program} cannot be started: it is neither a program for this machine nor a script with #!",
            hint="Install the tool for this platform.",
        )
    if error.errno == errno.E2BIG:
        size = sum(len(os.fsencode(a)) + 1 for a in command.argv)
        size += sum(len(os.fsencode(n)) + len(os.fsencode(v)) + 2 for n, v in command.environment.items())
        return ToolchainError(
            f"{program} cannot be started: its arguments and environment take {size:,} bytes, too many"
        )
    return ToolchainError(f"{program} cannot be started: {error.strerror or error}")


def _locate(program: str, environment: Mapping[str, str], cwd: Path) -> Path | None:
    """The file that would have been started, executable or not."""
    if "/" in program:
        candidates = [cwd / program]
    else:
        candidates = [cwd / folder / program for folder in environment.get("PATH", os.defpath).split(os.pathsep)]
    return next((path for path in candidates if path.is_file()), None)
