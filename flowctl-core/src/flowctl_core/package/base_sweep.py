"""Removes base images that are not used any more from the cache."""

from __future__ import annotations

import time
from contextlib import suppress
from pathlib import Path

FOLDER = "images"
"""In the cache's folder; what is below it stands in `base`."""
KEPT_S = 30 * 86400.0
"""Seconds that a blob stays unused before an ordinary prune removes it."""


def sweep_bases(cache_dir: Path, *, older_than_s: float | None = None, everything: bool = False) -> int:
    """Remove blobs and notes that were not used for so long (None: 30 days), or all; returns the bytes freed.

    Never raises. A build that finds a blob gone fetches it again; a layout that has it keeps it.
    """
    limit = time.time() - (KEPT_S if older_than_s is None else older_than_s)
    freed = 0
    with suppress(OSError):
        for path in list((cache_dir / FOLDER).rglob("*")):
            with suppress(OSError):
                status = path.lstat()
                if not path.is_dir() and (everything or status.st_mtime < limit):
                    path.unlink()
                    freed += status.st_size if status.st_nlink == 1 else 0
    return freed
