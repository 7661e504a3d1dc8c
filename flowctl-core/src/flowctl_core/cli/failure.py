"""The one place where an error becomes text and an exit code."""

from __future__ import annotations

import signal
from collections.abc import Callable

from flowctl_core.cli.console import is_coloured, machine_readable, say_aside
from flowctl_core.cli.streams import write
from flowctl_core.cli.summary import json_text
from flowctl_core.errors import CancelledError, FlowctlError, InternalError, StoreError

_FAULT = "this is a fault in flowctl itself; please report it with the lines that Python printed"


def exit_code(act: Callable[[], int]) -> int:
    """Do what the command line asks for and return its exit code; the only place that turns errors into one."""
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        return act()
    except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 - whatever it was, the user is told
        return show_failure(as_flowctl_error(error))


def as_flowctl_error(error: BaseException) -> FlowctlError:
    """What happened, in words for the user."""
    if isinstance(error, FlowctlError):
        return error
    if isinstance(error, KeyboardInterrupt):
        return CancelledError("interrupted; every tool that was running has been ended")
    if isinstance(error, OSError):
        return StoreError.of(error)
    import traceback  # a fault of ours: say so, and show all of it

    return InternalError(_FAULT, output="".join(traceback.format_exception(error)))


def _interrupt(signum: int, _frame: object) -> None:
    raise KeyboardInterrupt


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
