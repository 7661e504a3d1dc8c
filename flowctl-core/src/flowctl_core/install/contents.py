"""The content store of installed files: `~/.flowctl/store`, each file once, under its digest.

    store/content/sha256/ab/<hex>   complete and measured; read-only, programs executable
    store/partial/<hex>             being received, continued by the next run; locked by who receives it

Installed versions have hard links to it (copies where the file system has none), so a version that shares files with
another takes no room and no download for them.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from flowctl_core.store.content import ContentStore
from flowctl_core.store.copying import hash_bytes
from flowctl_core.store.files import remove_any, sync_folder, system_refusals, temporary_name
from flowctl_core.store.lock import file_lock

_READ = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
_LOCK_TIMEOUT_S = 24 * 3600.0
PROGRAM, DOCUMENT = 0o555, 0o444
"""Modes: nobody writes to what several versions share."""


class Contents:
    """Files under their digests, and those that are on their way. Methods raise StoreError."""

    def __init__(self, folder: Path) -> None:
        """`folder`: `~/.flowctl/store`; made when something is put there."""
        self.folder = folder
        self._store = ContentStore(folder)
        self.partial = folder / "partial"
        """For files on their way."""

    def path(self, digest: str) -> Path:
        """Where the file of that digest is, if it is there."""
        return self._store.path(digest)

    def has(self, digest: str, size: int) -> bool:
        """Whether a file is there whole, by its bytes; a damaged one is removed."""
        path = self.path(digest)
        with system_refusals(path, "read"):
            try:
                fd = os.open(path, _READ)
            except FileNotFoundError:
                return False
            try:
                good = os.fstat(fd).st_size == size and "sha256:" + hash_bytes(fd) == digest
            finally:
                os.close(fd)
            if not good:
                path.unlink(missing_ok=True)
            return good

    @contextmanager
    def receiving(self, digest: str) -> Iterator[Path]:
        """The place for a file on its way; what an earlier run received of it may be there. Others wait."""
        partial = self.partial / digest.removeprefix("sha256:")
        with system_refusals(self.partial, "made"):
            self.partial.mkdir(parents=True, exist_ok=True)
        with file_lock(partial.with_suffix(".lock"), what=str(partial), timeout_s=_LOCK_TIMEOUT_S):
            yield partial

    def keep(self, partial: Path, digest: str, mode: int) -> None:
        """Give a received file its name and mode. The caller has measured its bytes."""
        target = self.path(digest)
        with system_refusals(target):
            target.parent.mkdir(parents=True, exist_ok=True)
            partial.chmod(mode)
            partial.replace(target)
            sync_folder(target.parent)
            with suppress(OSError):  # whoever waits for it makes the file anew
                partial.with_suffix(".lock").unlink()

    def read(self, digest: str) -> bytes:
        """A small file, compared with its digest again. Raises StoreError, ValueError when it is not there."""
        with system_refusals(self.path(digest), "read"):
            data = self._store.get_bytes(digest)
        if data is None:
            raise ValueError(f"{digest} is not in {self.folder}")
        return data

    def link(self, digest: str, destination: Path, mode: int) -> None:
        """Put a file that was measured in the place of `destination`, at once or not at all.

        A hard link where that is possible and the mode is right, otherwise a copy.
        """
        source, temporary = self.path(digest), temporary_name(destination)
        with system_refusals(destination):
            destination.parent.mkdir(parents=True, exist_ok=True)
            try:
                if not _hard_link(source, temporary, mode) and not self._store.copy_to(digest, temporary, mode):
                    raise FileNotFoundError(errno.ENOENT, "it is not there, or damaged", str(source))
                temporary.replace(destination)
            finally:
                with suppress(OSError):
                    temporary.unlink()

    def sweep(self, wanted: set[str], older_than_s: float, now: float) -> int:
        """Remove what no installed version has and nobody asked for lately; the number of bytes that are free now."""
        freed = 0
        for digest, path, info in self._store.stored():
            if digest not in wanted and now - max(info.st_mtime, info.st_atime) > older_than_s:
                with suppress(OSError):
                    path.unlink()
                    freed += info.st_size
        with suppress(OSError):
            for path in self.partial.iterdir():
                with suppress(OSError):
                    if now - path.stat().st_mtime > older_than_s:
                        remove_any(path)
        return freed


def _hard_link(source: Path, target: Path, mode: int) -> bool:
    """False where it has to be a copy: another file system, one without links, too many of them, another mode."""
    try:
        if source.lstat().st_mode & 0o7777 != mode:
            return False
        os.link(source, target, follow_symlinks=False)
    except OSError:
        return False
    return True
