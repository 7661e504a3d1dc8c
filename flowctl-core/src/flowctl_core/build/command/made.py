"""Remembers which outputs the command made, so that clean removes those and nothing that was there before."""

from __future__ import annotations

import shutil
from pathlib import Path

from flowctl_core.models import BuildContext, Plan

_RECORD = "made"
"""In the work folder: one relative path a line."""


def note_absent(plan: Plan, context: BuildContext) -> None:
    """Before the command runs: outputs that are not there yet will be its own."""
    made = set(_read(context))
    made.update(path for path in plan.generated if not (context.source_root / path).exists())
    (context.work_dir / _RECORD).write_text("\n".join(sorted(made)), encoding="utf-8")


def remove_made(plan: Plan, context: BuildContext) -> tuple[str, ...]:
    """Remove the outputs that the command made; return the paths that were there."""
    removed = []
    for path in _read(context):
        target = context.source_root / path
        inside = target.parent.resolve().is_relative_to(context.source_root.resolve())
        if path not in plan.generated or not inside:
            continue
        if target.is_dir() and not target.is_symlink():
            shutil.rmtree(target)
        elif target.is_symlink() or target.exists():
            target.unlink()
        else:
            continue
        removed.append(path)
    return tuple(removed)


def _read(context: BuildContext) -> list[str]:
    record: Path = context.work_dir / _RECORD
    try:
        return [line for line in record.read_text(encoding="utf-8").split("\n") if line]
    except (OSError, UnicodeDecodeError):
        return []
