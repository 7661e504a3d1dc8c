"""Writes reports: tables for people, JSON and YAML for programs."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from typing import Any

from flowctl_core.cli.global_options import GLOBAL, LogLevel, OutputFormat
from flowctl_core.cli.streams import write, write_aside
from flowctl_core.cli.summary import json_text


def is_terminal() -> bool:
    """True when a person sees standard error, where progress goes, on a terminal that can move its cursor."""
    return sys.stderr.isatty() and os.environ.get("TERM", "dumb") != "dumb"


def is_coloured() -> bool:
    """True when what a person sees may have colours (https://no-color.org)."""
    return is_terminal() and not os.environ.get("NO_COLOR")


def machine_readable() -> bool:
    """True when standard output must hold nothing but JSON or YAML."""
    return GLOBAL.output in (OutputFormat.json, OutputFormat.yaml)


def say(text: str = "") -> None:
    """A line for people on standard output; silent under -o json and -o yaml."""
    if not machine_readable():
        write(text + "\n")


def say_aside(text: str) -> None:
    """A line for people on standard error, whatever the output format and the log level."""
    write_aside(text + "\n")


def inform(text: str) -> None:
    """A line of progress on standard error; silent under --log-level warn and error."""
    if GLOBAL.log_level in (LogLevel.debug, LogLevel.info):
        say_aside(text)


def warn(text: str, prefix: str = "") -> None:
    """A warning on standard error; silent under --log-level error."""
    if GLOBAL.log_level is not LogLevel.error:
        say_aside(f"{prefix}warning: {text}")


def counted(number: int, one: str, several: str = "") -> str:
    """`1 build`, `2 builds`."""
    return f"{number} {one if number == 1 else several or one + 's'}"


def emit(data: Any) -> bool:
    """Print data in the machine format that was asked for; False when a person is to be shown a table."""
    if GLOBAL.output is OutputFormat.json:
        write(json_text(data))
        return True
    if GLOBAL.output is OutputFormat.yaml:
        import io

        from ruamel.yaml import YAML

        yaml = YAML(typ="safe", pure=True)
        yaml.default_flow_style = False
        yaml.sort_base_mapping_type_on_output = False  # type: ignore[assignment]  # keep the order that JSON has
        yaml.width = 10_000  # a digest stays on its key's line
        yaml.allow_unicode = True
        text = io.StringIO()
        yaml.dump(json.loads(json.dumps(data, default=str)), text)
        write(text.getvalue())
        return True
    return False


def table(headings: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Columns that line up, on a terminal and in a pipe alike."""
    texts = [[str(cell) for cell in row] for row in rows]
    widths = [max([len(heading), *(len(row[column]) for row in texts)]) for column, heading in enumerate(headings)]
    for line in [list(headings), *texts]:
        write("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() + "\n")
