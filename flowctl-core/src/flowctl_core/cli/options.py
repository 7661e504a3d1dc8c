"""Options that several commands share, and the state that the global ones set."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer


class OutputFormat(enum.StrEnum):
    """How a command reports."""

    table = "table"
    json = "json"
    yaml = "yaml"
    wide = "wide"


class LogLevel(enum.StrEnum):
    """How much is told on standard error."""

    debug = "debug"
    """Also every decision and every command that is run."""
    info = "info"
    """Progress, warnings and errors."""
    warn = "warn"
    """Warnings and errors."""
    error = "error"
    """Nothing but what went wrong."""


@dataclass
class GlobalOptions:
    """The global options, which may stand before or after a command's name; the last one counts."""

    config: Path | None = None
    namespace: str | None = None
    output: OutputFormat = OutputFormat.table
    log_level: LogLevel = LogLevel.info
    yes: bool = False


GLOBAL = GlobalOptions()


def _remember_output(value: OutputFormat | None) -> OutputFormat:
    if value is not None:
        GLOBAL.output = value
    return GLOBAL.output


Output = Annotated[
    OutputFormat | None,
    typer.Option(
        "-o", "--output", callback=_remember_output, help="Report as a table (for people), json, yaml or wide."
    ),
]
PathArgument = Annotated[Path, typer.Argument(help="Folder of the component.", show_default="here")]
Language = Annotated[
    str | None, typer.Option("--language", "-l", help="Build as this language, whatever detection says.")
]
Main = Annotated[str | None, typer.Option("--main", help="Which program to build, where the source has several.")]
Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="Show the toolchain's output as it comes.")]
