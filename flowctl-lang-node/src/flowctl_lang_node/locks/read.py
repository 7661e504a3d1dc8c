"""Reads whichever lockfile the plan names."""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import Any

from flowctl_core.errors import PlanError, SourceError
from flowctl_core.models import Plan, SourceTree
from flowctl_lang_node.locks.graph import LockGraph, UnreadableLockError
from flowctl_lang_node.manifest import Package, read_workspace

_LIMIT = 64 * 1024 * 1024
"""Bytes; a lockfile larger than that is none."""


def read_lock(plan: Plan, root: Path) -> tuple[LockGraph, str, str]:
    """The graph, the file that it was read from, and the plan's package relative to that file's folder.

    Where there is no lockfile, or none that can be read here, what npm itself notes in node_modules counts.
    Raises UnreadableLockError when there is neither.
    """
    manager: Any = plan.details["manager"]
    lockfile: str | None = manager["lockfile"]
    base: str = manager["root"]
    folder = _relative(plan.root, base)
    problem = "there is no lockfile"
    if lockfile:
        try:
            return _read(PurePosixPath(lockfile).name, root, lockfile, base), lockfile, folder
        except UnreadableLockError as error:
            problem = f"{lockfile}: {error}"
    from flowctl_lang_node.locks import npm

    noted = f"{base}/node_modules/.package-lock.json".removeprefix("./")
    try:
        graph = npm.read(_text(root / noted))
    except UnreadableLockError:
        raise UnreadableLockError(problem) from None
    data = {one: manifest.data for one, manifest in _manifests(root, base).items()}
    return npm.with_importers(graph, data), noted, folder


def _read(name: str, root: Path, lockfile: str, base: str) -> LockGraph:
    text = _text(root / lockfile)
    if name in ("package-lock.json", "npm-shrinkwrap.json"):
        from flowctl_lang_node.locks import npm

        return npm.read(text)
    if name == "pnpm-lock.yaml":
        from flowctl_lang_node.locks import pnpm

        return pnpm.read(text)
    if name == "yarn.lock":
        from flowctl_lang_node.locks import yarn

        return yarn.read(text, _manifests(root, base))
    if name == "bun.lock":
        from flowctl_lang_node.locks import bun

        return bun.read(text)
    raise UnreadableLockError("this format cannot be read; `bun install --save-text-lockfile` writes one that can")


def _manifests(root: Path, base: str) -> dict[str, Package]:
    """The package.json files of the workspace, by folder relative to the lockfile's."""
    try:
        workspace = read_workspace(SourceTree(root=root), base)
    except (PlanError, SourceError) as error:
        raise UnreadableLockError(error.message) from error
    if workspace is None:
        return {}
    return {_relative(one.folder, base): one for one in (workspace.root, *workspace.members)}


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
