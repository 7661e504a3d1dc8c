"""Remembers a Cargo.lock that cargo wrote for us where there was none, so that clean can remove it again."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from flowctl_core.errors import ToolchainError
from flowctl_core.models import BuildContext, Plan

NAME = "Cargo.lock"
_RECORD = "lock-written.json"
"""In the work folder: path relative to the source tree, and SHA-256 of what cargo wrote."""


@contextmanager
def noticed(plan: Plan, context: BuildContext) -> Iterator[None]:
    """Note the workspace's Cargo.lock when cargo writes it while the body runs, whether that succeeds or not.

    One that was there before is somebody else's, and so is one outside the source tree.
    """
    path = _path(plan)
    file = context.source_root / path if path is not None else None
    absent = file is not None and not file.is_symlink() and not file.exists()
    ours = absent or (path is not None and _unchanged(context, path))
    try:
        yield
    finally:
        digest = _digest(file) if ours and file is not None else None
        if digest is not None and (absent or not _recorded(context, path, digest)):
            (context.work_dir / _RECORD).write_text(json.dumps([path, digest]), encoding="utf-8")


def remove(plan: Plan, context: BuildContext) -> tuple[str, ...]:
    """Remove the Cargo.lock that was noted; returns its path.

    It stays when git tracks it by now or somebody changed it: then it is the developer's.
    """
    path = _path(plan)
    if path is None or not _unchanged(context, path) or _tracked(context, path):
        return ()
    file = context.source_root / path
    if file.is_symlink() or file.parent.resolve() != context.source_root.resolve() / Path(path).parent:
        return ()
    file.unlink()
    (context.work_dir / _RECORD).unlink()
    return (path,)


def _path(plan: Plan) -> str | None:
    workspace = plan.details.get("workspace")
    return (Path(workspace) / NAME).as_posix() if isinstance(workspace, str) else None


def _unchanged(context: BuildContext, path: str) -> bool:
    digest = _digest(context.source_root / path)
    return digest is not None and _recorded(context, path, digest)


def _recorded(context: BuildContext, path: str | None, digest: str) -> bool:
    try:
        recorded: object = json.loads((context.work_dir / _RECORD).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return recorded == [path, digest]


def _digest(file: Path) -> str | None:
    try:
        return hashlib.sha256(file.read_bytes()).hexdigest()
    except OSError:
        return None


def _tracked(context: BuildContext, path: str) -> bool:
    """True when it is in git's index; False outside of git, or without git."""
    argv = ["git", "--literal-pathspecs", "ls-files", "-z", "--", path]
    try:
        done = context.run(argv, on_line=lambda _line: None)
    except ToolchainError:
        return False
    return done.ok and bool(done.stdout)
