"""The one place where an error becomes text and an exit code."""

from __future__ import annotations

from flowctl_core.cli.console import is_coloured, machine_readable, say_aside
from flowctl_core.cli.streams import write
from flowctl_core.cli.summary import json_text
from flowctl_core.errors import FlowctlError


def failure_document(error: FlowctlError) -> dict[str, object]:
    """The error as it is printed under `-o json`."""
    from flowctl_core.cli.documents import FailureDocument

    return FailureDocument.of(error).model_dump(mode="json")


def show_failure(error: FlowctlError) -> int:
    """Print the tool's own words, the problem and what to do; return the exit code."""
    if machine_readable():
        write(json_text(failure_document(error)))
        return error.exit_code
    if error.output:
        say_aside(error.output.rstrip() + "\n")
    red, bold, reset = ("\033[31m", "\033[1m", "\033[0m") if is_coloured() else ("", "", "")
    say_aside(f"{red}{bold}error:{reset} {error.message}")
    if error.hint:
        say_aside(f"{bold}hint:{reset}  {error.hint}")
    return error.exit_code
