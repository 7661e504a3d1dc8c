"""Reads whichever lockfile the plan names."""

from __future__ import annotations

import json
from pathlib import Path, PurePosixPath
from typing import Any

from flowctl_core.models import Plan
from flowctl_lang_node.locks.graph import LockGraph, UnreadableLockError

_LIMIT = 64 * 1024 * 1024
"""Bytes; a lockfile larger than that is none."""


def read_lock(plan: Plan, root: Path) -> tuple[LockGraph, str, str]:
    """The graph, the file that it was read from, and the plan's package relative to that file's folder.

    Where there is no lockfile, or none that can be read here, what npm itself notes in node_modules counts.
    Raises UnreadableLockError when there is neither.
    """
    manager: Any = plan.details["manager"]
    lockfile: str | None = manager["lockfile"]
    folder = _relative(plan.root, manager["root"])
    problem = "there is no lockfile"
    if lockfile:
        try:
            return _read(PurePosixPath(lockfile).name, root / lockfile), lockfile, folder
        except UnreadableLockError as error:
            problem = f"{lockfile}: {error}"
    from flowctl_lang_node.locks import npm

    noted = f"{manager['root']}/node_modules/.package-lock.json".removeprefix("./")
    try:
        graph = npm.read(_text(root / noted))
    except UnreadableLockError:
        raise UnreadableLockError(problem) from None
    manifests = {one: _manifest(root / manager["root"] / one) for one in dict.fromkeys((".", folder))}
    return npm.with_importers(graph, manifests), noted, folder


def _manifest(folder: Path) -> dict[str, Any]:
    try:
        data = json.loads(_text(folder / "package.json"))
    except ValueError:
        return {}
    return data if isinstance(data, dict) else {}


def _read(name: str, path: Path) -> LockGraph:
    if name in ("package-lock.json", "npm-shrinkwrap.json"):
        from flowctl_lang_node.locks import npm

        return npm.read(_text(path))
    raise UnreadableLockError("this format is not known here")


def _text(path: Path) -> str:
    try:
        if path.stat().st_size > _LIMIT:
            raise UnreadableLockError(f"it is larger than {_LIMIT // 2**20} MiB")
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise UnreadableLockError(f"it cannot be read: {error.strerror}") from error


def _relative(folder: str, base: str) -> str:
    if base == ".":
        return folder
    return "." if folder == base else folder.removeprefix(f"{base}/")
