"""Takes what cargo says it made."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from flowctl_core.errors import StoreError
from flowctl_core.models import Plan

_SUFFIXES = {"cdylib": (".so", ".dylib", ".dll", ".wasm"), "staticlib": (".a", ".lib")}


def outputs(plan: Plan, messages: str) -> Iterator[tuple[str, Path]]:
    """Kind (`bin`, `cdylib`, `staticlib`) and file of what cargo reports for the plan's package."""
    program = plan.details.get("bin")
    libraries = plan.details.get("library")
    wanted = [str(kind) for kind in libraries] if isinstance(libraries, list) else []
    last: dict[str, Path] = {}
    for message in _artifacts(messages):
        target = message.get("target") or {}
        kinds = target.get("kind") or []
        executable = message.get("executable")
        if program is not None and "bin" in kinds and target.get("name") == program and executable:
            last["bin"] = Path(executable)
        # A dependency may be a cdylib as well; the chosen package is compiled last.
        for kind in wanted if program is None else ():
            if kind in kinds:
                for file in map(Path, message.get("filenames") or []):
                    if file.suffix in _SUFFIXES[kind]:
                        last[kind] = file
    yield from last.items()


def _artifacts(messages: str) -> Iterator[dict[str, Any]]:
    for line in messages.splitlines():
        if not line.startswith('{"'):
            continue
        try:
            message = json.loads(line)
        except ValueError:
            continue
        if isinstance(message, dict) and message.get("reason") == "compiler-artifact":
            yield message


def copy(made: Path, target: Path) -> None:
    """A copy, not a link: cargo writes into its own file on the next build. Raises StoreError."""
    part = target.with_name(f".{target.name}.part")
    try:
        shutil.copy2(made, part)
        part.replace(target)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise StoreError(
            f"{target.name} could not be written: {error.strerror}",
            hint="Free some space, or make the folder writable.",
        ) from error
