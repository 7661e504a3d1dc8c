"""What build backends leave in the source: found by comparing before and after, remembered for clean and as output."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from flowctl_core.errors import ToolchainError
from flowctl_core.models import PRUNED, BuildContext, Plan
from flowctl_lang_python.launcher import write
from flowctl_lang_python.recipe import Recipe

_FILE = "generated.json"
"""What was not there before: clean removes it."""
_WRITTEN = "compiled.json"
"""Compiled modules that were made or written anew: part of what the build made, also where clean must leave them."""
_COMPILED = (".so", ".pyd", ".dylib")
_FOLDERS = ("build", "target")


@contextmanager
def watched(plan: Plan, context: BuildContext) -> Iterator[None]:
    """Remember what appears in the source while the body runs, whether it succeeds or not."""
    before = _present(plan, context)
    try:
        yield
    finally:
        after = _present(plan, context)
        made = after.keys() - before.keys()
        written = {path for path, seen in after.items() if path.endswith(_COMPILED) and before.get(path) != seen}
        for name, paths in ((_FILE, made), (_WRITTEN, written)):
            if paths:
                write(context.work_dir / name, json.dumps(sorted(paths.union(_remembered(context, name)))))


def compiled(context: BuildContext) -> tuple[str, ...]:
    """Compiled modules in the source that installing wrote: an editable install imports them from there."""
    return tuple(path for path in _remembered(context, _WRITTEN) if (context.source_root / path).is_file())


def remove(context: BuildContext) -> tuple[str, ...]:
    """Remove what was remembered, as long as it still looks like what a backend makes; returns the paths.

    What git tracks by now is the developer's.
    """
    removed = []
    remembered = _remembered(context, _FILE)
    tracked = _tracked(context, remembered)
    for path in remembered:
        target = context.source_root / path
        if path in tracked or not _made_by_backends(path) or not _inside(context.source_root, target):
            continue
        if target.is_dir():
            shutil.rmtree(target)
        elif target.is_file():
            target.unlink()
        else:
            continue
        removed.append(path)
    for name in (_FILE, _WRITTEN):
        (context.work_dir / name).unlink(missing_ok=True)
    return tuple(removed)


def _present(plan: Plan, context: BuildContext) -> dict[str, tuple[int, int, int]]:
    """What backends may have made, by path relative to the source tree, with inode, size and time of each."""
    root = context.source_root / plan.root
    found = {path for folder in (root, root / "src") for path in folder.glob("*.egg-info") if path.is_dir()}
    if Recipe.of(plan).compiled:
        found |= {root / name for name in _FOLDERS if (root / name).is_dir()}
        if (root / "Cargo.lock").is_file():
            found.add(root / "Cargo.lock")
        for folder, folders, files in os.walk(root):
            if folder == str(root / "build") or "CACHEDIR.TAG" in files:  # intermediate; cargo marks its target/
                folders.clear()
                continue
            folders[:] = [name for name in folders if name not in PRUNED and not name.startswith(".")]
            found |= {Path(folder) / name for name in files if name.endswith(_COMPILED)}
    seen = {path: path.lstat() for path in found if not path.is_symlink()}
    return {
        path.relative_to(context.source_root).as_posix(): (info.st_ino, info.st_size, info.st_mtime_ns)
        for path, info in seen.items()
    }


def _tracked(context: BuildContext, paths: list[str]) -> set[str]:
    """Those of the paths that git tracks, or that hold something it tracks; none outside of git, or without git."""
    if not paths:
        return set()
    try:
        done = context.run(["git", "--literal-pathspecs", "ls-files", "-z", "--", *paths], on_line=lambda _line: None)
    except ToolchainError:
        return set()
    listed = [path for path in done.stdout.split("\0") if path] if done.ok else []
    return {path for path in paths if any(one == path or one.startswith(f"{path}/") for one in listed)}


def _made_by_backends(path: str) -> bool:
    pure = PurePosixPath(path)
    return pure.suffix in (".egg-info", *_COMPILED) or pure.name in (*_FOLDERS, "Cargo.lock")


def _inside(root: Path, target: Path) -> bool:
    """True when neither the path nor a folder on the way is a symlink, so nothing elsewhere can be removed."""
    return not target.is_symlink() and target.resolve() == root.resolve() / target.relative_to(root)


def _remembered(context: BuildContext, name: str) -> list[str]:
    try:
        data = json.loads((context.work_dir / name).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return []
    return [path for path in data if isinstance(path, str)] if isinstance(data, list) else []
