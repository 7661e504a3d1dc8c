"""What build backends leave in the source: found by comparing before and after, remembered for clean."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from flowctl_core.models import PRUNED, BuildContext, Plan
from flowctl_lang_python.launcher import write
from flowctl_lang_python.recipe import Recipe

_FILE = "generated.json"
_COMPILED = (".so", ".pyd", ".dylib")
_FOLDERS = ("build", "target")


@contextmanager
def watched(plan: Plan, context: BuildContext) -> Iterator[None]:
    """Remember what appears in the source while the body runs, whether it succeeds or not."""
    before = _present(plan, context)
    try:
        yield
    finally:
        made = _present(plan, context) - before
        if made:
            write(context.work_dir / _FILE, json.dumps(sorted(made.union(_remembered(context)))))


def remove(context: BuildContext) -> tuple[str, ...]:
    """Remove what was remembered, as long as it still looks like what a backend makes; returns the paths."""
    removed = []
    for path in _remembered(context):
        target = context.source_root / path
        if not _made_by_backends(path) or not _inside(context.source_root, target):
            continue
        if target.is_dir():
            shutil.rmtree(target)
        elif target.is_file():
            target.unlink()
        else:
            continue
        removed.append(path)
    (context.work_dir / _FILE).unlink(missing_ok=True)
    return tuple(removed)


def _present(plan: Plan, context: BuildContext) -> set[str]:
    root = context.source_root / plan.root
    found = {path for folder in (root, root / "src") for path in folder.glob("*.egg-info") if path.is_dir()}
    if Recipe.of(plan).compiled:
        found |= {root / name for name in _FOLDERS if (root / name).is_dir()}
        if (root / "Cargo.lock").is_file():
            found.add(root / "Cargo.lock")
        for folder, folders, files in os.walk(root):
            folders[:] = [name for name in folders if name not in PRUNED and not name.startswith(".")]
            found |= {Path(folder) / name for name in files if name.endswith(_COMPILED)}
    return {path.relative_to(context.source_root).as_posix() for path in found if not path.is_symlink()}


def _made_by_backends(path: str) -> bool:
    pure = PurePosixPath(path)
    return pure.suffix in (".egg-info", *_COMPILED) or pure.name in (*_FOLDERS, "Cargo.lock")


def _inside(root: Path, target: Path) -> bool:
    """True when neither the path nor a folder on the way is a symlink, so nothing elsewhere can be removed."""
    return not target.is_symlink() and target.resolve() == root.resolve() / target.relative_to(root)


def _remembered(context: BuildContext) -> list[str]:
    try:
        data = json.loads((context.work_dir / _FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return []
    return [path for path in data if isinstance(path, str)] if isinstance(data, list) else []
