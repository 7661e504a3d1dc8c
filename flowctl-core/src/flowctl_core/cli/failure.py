"""The one place where an error becomes text and an exit code."""

from __future__ import annotations

import json
import sys

from flowctl_core.cli.console import machine_readable, say_aside
from flowctl_core.errors import FlowctlError


def failure_document(error: FlowctlError) -> dict[str, object]:
    """The error as it is printed under `-o json`."""
    return {
        "error": {
            "code": error.code,
            "message": error.message,
            "hint": error.hint,
            "output": error.output,
            "exit_code": error.exit_code,
        }
    }


def show_failure(error: FlowctlError) -> int:
    """Print the tool's own words, the problem and what to do; return the exit code."""
    if machine_readable():
        sys.stdout.write(json.dumps(failure_document(error), indent=2, ensure_ascii=False) + "\n")
        return error.exit_code
    if error.output:
        say_aside(error.output.rstrip() + "\n")
    red, bold, reset = ("\033[31m", "\033[1m", "\033[0m") if sys.stderr.isatty() else ("", "", "")
    say_aside(f"{red}{bold}error:{reset} {error.message}")
    if error.hint:
        say_aside(f"{bold}hint:{reset}  {error.hint}")
    return error.exit_code
