"""Removes indexes over vulnerability databases that are not used any more."""

from __future__ import annotations

import time
from contextlib import suppress
from pathlib import Path

FOLDER = "osv"
"""In the cache's folder; below it one SQLite file for each directory of advisories."""
KEPT_S = 30 * 86400.0
"""Seconds that an index stays unused before an ordinary prune removes it."""


def sweep_indexes(cache_dir: Path, *, older_than_s: float | None = None, everything: bool = False) -> int:
    """Remove indexes that were not used for so long (None: 30 days), or all; returns the bytes freed. Never raises.

    One that is in use loses its name only: its reader keeps it to the end.
    """
    limit = time.time() - (KEPT_S if older_than_s is None else older_than_s)
    freed = 0
    with suppress(OSError):
        for path in list((cache_dir / FOLDER).iterdir()):
            with suppress(OSError):
                status = path.stat()
                if everything or status.st_mtime < limit:
                    path.unlink()
                    freed += status.st_size
        (cache_dir / FOLDER).rmdir()  # only when it is empty
    return freed
