"""Remembers versions and digests of tools between runs, so that a build does not start each tool to ask."""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from flowctl_core.toolchains.selection import selection_digest

_FORMAT = 1
_ENTRIES = 512
_FAILURE_S = 300.0
"""Seconds for which a failure is remembered: the user may be repairing the tool."""


@dataclass(frozen=True)
class Answer:
    """What a tool said when it was asked for its version."""

    version: str = ""
    digest: str = ""
    problem: str | None = None
    asked_at: float = 0.0
    """Seconds since the epoch."""


class ToolMemory:
    """Answers by tool, valid while the file and all that decides its version stay as they were.

    Kept in a JSON file that is replaced atomically; whatever is wrong with it only makes the next build slower.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._entries: dict[str, Any] = self._load()
        self._changed = False

    def recall(self, key: str) -> Answer | None:
        """The remembered answer, if there is one."""
        try:
            answer = Answer(**self._entries[key])
            too_old = answer.problem is not None and not 0 <= time.time() - answer.asked_at < _FAILURE_S
        except (KeyError, TypeError):
            return None
        return None if too_old else answer

    def remember(self, key: str, answer: Answer) -> None:
        """Keep an answer until `save`."""
        self._entries.pop(key, None)  # the youngest stand last
        self._entries[key] = asdict(answer)
        self._changed = True

    def save(self) -> None:
        """Write to disk; a fault is ignored."""
        if self._path is None or not self._changed:
            return
        entries = dict(list({**self._load(), **self._entries}.items())[-_ENTRIES:])
        temporary = self._path.with_name(f".{self._path.name}.{os.getpid()}-{os.urandom(4).hex()}.tmp")
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            temporary.write_text(json.dumps({"format": _FORMAT, "entries": entries}))
            temporary.replace(self._path)
        except (OSError, ValueError):
            with contextlib.suppress(OSError):
                temporary.unlink()
        self._changed = False

    def _load(self) -> dict[str, Any]:
        if self._path is None:
            return {}
        try:
            content = json.loads(self._path.read_bytes())
            entries = content["entries"] if content["format"] == _FORMAT else {}
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            return {}
        return entries if isinstance(entries, dict) else {}


def memory_key(path: Path, arguments: Iterable[str], environment: Mapping[str, str], cwd: Path) -> str:
    """Names a tool as it is now: file, what it was asked, and what decides its version. Raises OSError."""
    stat = path.stat()
    parts = [
        str(path),
        str(path.resolve()),
        f"{stat.st_dev}:{stat.st_ino}:{stat.st_size}:{stat.st_mtime_ns}:{stat.st_ctime_ns}",
        " ".join(arguments),
        selection_digest(path, environment, cwd),
    ]
    return "|".join(parts)
