"""Which entries leave the cache, and the removal of files that no entry needs (mark and sweep)."""

from __future__ import annotations

import time
from collections.abc import Iterable
from contextlib import suppress
from typing import TYPE_CHECKING

from flowctl_core.store.files import sweep_temporaries

if TYPE_CHECKING:
    from flowctl_core.store.cache_entry import CacheEntry
    from flowctl_core.store.content import ContentStore

GRACE_S = 3600.0
"""A file that was written or claimed within so many seconds stays, referenced or not."""


def choose(
    entries: Iterable[CacheEntry],
    content: ContentStore,
    *,
    max_size: int,
    used_before: float | None,
    everything: bool,
) -> tuple[list[CacheEntry], set[str], set[str]]:
    """(entries to remove, digests that the others need, digests that only removed ones needed).

    Entries whose files are incomplete go in any case. The most recently used are kept first, as long as their
    files fit into `max_size` bytes together; a file that several need counts once.
    """
    doomed: list[CacheEntry] = []
    needed: set[str] = set()
    released: set[str] = set()
    total = 0
    full = False
    for entry in sorted(entries, key=lambda e: e.last_used, reverse=True):
        files = references(entry, content)
        if files is None or everything or (used_before is not None and entry.last_used < used_before):
            doomed.append(entry)
            released.update(files or ())
            continue
        more = sum(size for digest, size in files.items() if digest not in needed)
        # Strictly by last use: an older small entry does not outlive a newer big one.
        full = full or total + more > max_size
        if full:
            doomed.append(entry)
            released.update(files)
            continue
        total += more
        needed.update(files)
    return doomed, needed, released - needed


def references(entry: CacheEntry, content: ContentStore) -> dict[str, int] | None:
    """Digest → bytes of all files that an entry needs; None when one is missing."""
    digests: set[str] = set()
    for artifact in entry.artifacts:
        digests.add(artifact.digest)
        if artifact.kind == "tree":
            members = content.members(artifact.digest)
            if members is None:
                return None
            digests.update(members)
    sizes: dict[str, int] = {}
    for digest in digests:
        size = content.size(digest)
        if size is None:
            return None
        sizes[digest] = size
    if entry.manifest and (size := content.size(entry.manifest)) is not None:
        sizes[entry.manifest] = size
    return sizes


def remove_unreferenced(
    content: ContentStore, needed: set[str], released: set[str], *, grace_s: float
) -> tuple[int, int]:
    """Remove files that are not needed; (files, bytes) that went.

    `released` ones go at once; others, of which nobody knows, only when they are older than `grace_s`. The
    caller holds the cache's lock alone, so no writer is between putting a file and writing its entry; the
    grace is for those who put files into the store without a cache.
    """
    limit = time.time() - grace_s
    files = size = 0
    for digest, path, seen in content.stored():
        if digest in needed or (grace_s > 0 and digest not in released and seen.st_mtime > limit):
            continue
        with suppress(OSError):
            path.unlink()
            files += 1
            size += seen.st_size
    sweep_temporaries(content.temporary_folder, older_than_s=grace_s)
    return files, size
