"""The standard streams: whatever the caller made of them, a command does its work and ends with its own exit code.

Imported on the no-op path: nothing but os and sys.
"""

from __future__ import annotations

import os
import sys

WRITE_FAILED = 40
"""StoreError's exit code."""


def prepare() -> None:
    """Open on nothing what the caller closed; let no character be one that cannot be printed.

    Without this the next file to be opened would become standard output, and tools would write into it.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)  # takes the lowest free number: this one
            setattr(sys, name, open(number, "w" if number else "r", encoding="utf-8"))  # noqa: PTH123, SIM115
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:  # names of files need not be text: they become \udcXX, in JSON and elsewhere
            reconfigure(errors="backslashreplace")


def write(text: str) -> None:
    """Write to standard output. A reader that has gone (`| head -1`) is no reason to stop. Raises other OSErrors."""
    try:
        sys.stdout.write(text)
    except BrokenPipeError:
        _discard(1)


def write_aside(text: str) -> None:
    """Write to standard error at once; never raises, since nobody could be told."""
    try:
        sys.stderr.write(text)
        sys.stderr.flush()
    except (OSError, ValueError):
        _discard(2)


def finish(code: int) -> int:
    """Write what is still in memory; return the exit code, another one if standard output could not be written."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        _discard(1)
    except OSError as error:
        _discard(1)
        write_aside(f"error: standard output cannot be written: {error.strerror}\n")
        return code or WRITE_FAILED
    return code


def _discard(number: int) -> None:
    """What is written to this descriptor from now on, at the interpreter's end too, goes nowhere."""
    nothing = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, number)
    os.close(nothing)
