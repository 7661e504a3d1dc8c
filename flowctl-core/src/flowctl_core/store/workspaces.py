"""The private folders in which releases are built, kept so that the next one is quick, and their removal."""

from __future__ import annotations

import time
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from flowctl_core.errors import LockedError, StoreError
from flowctl_core.store.files import STATE_DIR, remove_any
from flowctl_core.store.lock import file_lock

FOLDER = "releases"
"""In the cache's folder; below it `<name>/<component's folder>/`, see `release_source`."""
KEPT_S = 30 * 86400.0
"""Seconds that a workspace stays unused before an ordinary prune removes it."""


class Swept(NamedTuple):
    """What went."""

    workspaces: int
    bytes: int


def sweep_workspaces(cache_dir: Path, *, older_than_s: float | None = None, everything: bool = False) -> Swept:
    """Remove workspaces that were not used for so long (None: 30 days), or all; one in use stays. Never raises."""
    limit = time.time() - (KEPT_S if older_than_s is None else older_than_s)
    count = size = 0
    with suppress(OSError):
        for workspace in list((cache_dir / FOLDER).iterdir()):
            with suppress(OSError, LockedError, StoreError):
                if everything or workspace.stat().st_mtime < limit:
                    size += _remove(workspace)
                    count += 1
        (cache_dir / FOLDER).rmdir()  # only when it is empty
    return Swept(count, size)


def _remove(workspace: Path) -> int:
    state = workspace / STATE_DIR
    if not state.is_dir():
        return _take_away(workspace)
    with file_lock(state / "lock", what=str(workspace), timeout_s=0.0):
        return _take_away(workspace)


def _take_away(workspace: Path) -> int:
    size = sum(path.lstat().st_size for path in workspace.rglob("*") if not path.is_dir() or path.is_symlink())
    remove_any(workspace)
    return size
