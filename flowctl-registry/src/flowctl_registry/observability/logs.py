"""Structured logs: a line of JSON a record, or text for people at a terminal. They never hold a secret."""

from __future__ import annotations

import json
import logging
import sys
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any

from flowctl_registry.settings import Telemetry

REQUEST_ID: ContextVar[str | None] = ContextVar("request_id", default=None)
"""Id of the request that is being answered; threads that work for it see it too."""
BUILD_ID: ContextVar[str | None] = ContextVar("build_id", default=None)
"""Id of the build that is being worked on."""
_FIELDS = "fields"


def configure(telemetry: Telemetry) -> None:
    """Send this process's log records to stderr."""
    text = telemetry.log_format == "text" or (telemetry.log_format == "auto" and sys.stderr.isatty())
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Text() if text else _Json())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(telemetry.log_level.upper())
    for chatty in ("httpx", "httpcore", "alembic", "urllib3"):
        logging.getLogger(chatty).setLevel(logging.WARNING)


def fields(**values: Any) -> dict[str, dict[str, Any]]:
    """For `extra`: values that stand in the record by name, such as `extra=fields(status=200)`."""
    return {_FIELDS: values}


def _values(record: logging.LogRecord) -> dict[str, Any]:
    found = {"request_id": REQUEST_ID.get(), "build_id": BUILD_ID.get(), **getattr(record, _FIELDS, {})}
    return {name: value for name, value in found.items() if value is not None}


class _Json(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        at = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        entry = {
            "time": at.replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **_values(record),
        }
        if record.exc_info:
            entry["error"] = self.formatException(record.exc_info)
        return json.dumps(entry, ensure_ascii=False, default=str)


class _Text(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        at = datetime.fromtimestamp(record.created).astimezone()
        shown = " ".join(f"{name}={value}" for name, value in _values(record).items())
        # Names that clients sent must not be able to write to a terminal, or to begin a line of their own.
        line = "".join(each if each.isprintable() else "?" for each in f"{record.getMessage()} {shown}")
        line = f"{at:%H:%M:%S} {record.levelname.lower():7} {line.rstrip()}"
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line
