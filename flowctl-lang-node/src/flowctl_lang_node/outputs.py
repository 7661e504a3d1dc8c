"""Which files a build made inside the source tree, so that clean removes those and nothing else."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from flowctl_core.errors import ToolchainError
from flowctl_core.models import BuildContext, CleanReport, Plan
from flowctl_lang_node import atomic

RECORD = "made.json"
Stat = tuple[int, int]


def snapshot(root: Path, generated: Iterable[str]) -> dict[str, Stat]:
    """Files below the generated paths with mtime (ns) and size; symlinked folders are not entered."""
    found = {}
    for relative in _files(root, generated):
        info = (root / relative).lstat()
        found[relative] = (info.st_mtime_ns, info.st_size)
    return found


def _files(root: Path, generated: Iterable[str]) -> Iterator[str]:
    for path in generated:
        absolute = root / path
        if absolute.is_dir() and not absolute.is_symlink():
            for folder, folders, files in os.walk(absolute, followlinks=False):
                links = [name for name in folders if (Path(folder) / name).is_symlink()]
                for name in (*files, *links):
                    yield (Path(folder) / name).relative_to(root).as_posix()
        elif absolute.is_symlink() or absolute.exists():
            yield path


def remember(plan: Plan, context: BuildContext, before: dict[str, Stat]) -> None:
    """Add what is new or changed since `before` to the record."""
    made = {path for path, stat in snapshot(context.source_root, plan.generated).items() if before.get(path) != stat}
    record = context.work_dir / RECORD
    # Files of an earlier build that the tool did not have to write again are still the build's.
    listed = sorted(made | recorded(context.work_dir))
    atomic.write_text(record, json.dumps(listed))


def recorded(work_dir: Path) -> set[str]:
    """Paths that builds made so far."""
    try:
        listed = json.loads((work_dir / RECORD).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return set()
    return {path for path in listed if isinstance(path, str)} if isinstance(listed, list) else set()


def clean(plan: Plan, context: BuildContext) -> CleanReport:
    """See `flowctl_clean`: removes files that builds made, then folders that this leaves empty.

    Files that git tracks stay, as does everything that was there before. node_modules stays: it is
    dependencies and no output, and may be the developer's own.
    """
    root = context.source_root
    made = {path for path in recorded(context.work_dir) if _below(path, plan.generated)}
    removed: set[str] = set()
    for path in sorted(made - _tracked(context, plan.generated)):
        absolute = root / path
        if not absolute.parent.resolve().is_relative_to(root.resolve()):
            continue
        try:
            absolute.unlink()
        except OSError:
            continue
        removed.add(path)
    gone = []
    for path in plan.generated:
        _remove_empty(root / path)
        if any(_below(one, (path,)) for one in removed):
            whole = not (root / path).exists()
            gone += [path] if whole else sorted(one for one in removed if _below(one, (path,)))
    (context.work_dir / RECORD).unlink(missing_ok=True)
    return CleanReport(removed=tuple(gone))


def _below(path: str, folders: Iterable[str]) -> bool:
    return any(path == folder or path.startswith(folder + "/") for folder in folders)


def _remove_empty(folder: Path) -> None:
    if not folder.is_dir() or folder.is_symlink():
        return
    for inner, _, _ in os.walk(folder, topdown=False, followlinks=False):
        try:
            Path(inner).rmdir()
        except OSError:
            continue


def _tracked(context: BuildContext, generated: Iterable[str]) -> set[str]:
    """Files in the generated paths that git tracks; nothing outside of git, or without git."""
    paths = list(generated)
    if not paths:
        return set()
    try:
        done = context.run(["git", "ls-files", "-z", "--", *paths], on_line=lambda _line: None)
    except ToolchainError:
        return set()
    return {path for path in done.stdout.split("\0") if path} if done.ok else set()
