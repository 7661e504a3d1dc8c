"""Options that several commands share."""

from __future__ import annotations

import enum
from pathlib import Path
from typing import Annotated

import typer

from flowctl_core.cli.global_options import GLOBAL, OutputFormat


class FailOn(enum.StrEnum):
    """The least severity of a known vulnerability that makes a command fail."""

    critical = "critical"
    high = "high"
    medium = "medium"
    low = "low"


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
