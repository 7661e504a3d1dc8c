"""The state that the global options set. Without the option parser, which a plain build does without."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from pathlib import Path


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
