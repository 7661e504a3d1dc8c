"""Files that survive a power cut. obstore renames a finished file into place, but syncs neither it nor its folder."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator
from pathlib import Path

_STAGED = re.compile(r"[0-9a-f]{64}#[0-9]+")


def make_durable(root: Path, path: Path) -> None:
    """Sync a file that was renamed into place, and the folders from it up to `root`. Raises OSError."""
    _sync(path)
    for folder in path.parents:
        _sync(folder)
        if folder == root:
            return


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def staged(root: Path, older_than_s: float) -> Iterator[Path]:
    """Files that killed uploads left behind: obstore writes `<name>#<n>` before it renames."""
    limit = time.time() - older_than_s
    for path in (root / "sha256").glob("??/*#*"):
        try:
            if _STAGED.fullmatch(path.name) and path.stat().st_mtime < limit:
                yield path
        except FileNotFoundError:  # finished in the meantime
            continue
