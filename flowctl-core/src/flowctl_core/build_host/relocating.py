"""Lets a workspace move: links that tools wrote with absolute paths become relative."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from flowctl_core.store.files import system_refusals, temporary_name


def make_relative(workspace: Path, folders: Iterable[Path]) -> None:
    """Make links in these folders that lead to another place of the workspace relative ones. Raises StoreError."""
    inside = (os.path.normpath(workspace), os.path.realpath(workspace))
    for folder in folders:
        with system_refusals(folder):
            for here, folders_here, names in os.walk(folder):
                for name in (*folders_here, *names):
                    path = Path(here, name)
                    if path.is_symlink():
                        _relink(path, inside)


def _relink(path: Path, inside: tuple[str, str]) -> None:
    target = str(path.readlink())
    if not any(target.startswith(f"{top}/") for top in inside):
        return
    temporary = temporary_name(path)
    temporary.symlink_to(os.path.relpath(target, path.parent))
    temporary.replace(path)
