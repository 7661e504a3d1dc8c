"""Files that appear whole or not at all; the system's refusals as StoreError."""

from __future__ import annotations

import errno
import os
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from flowctl_core.errors import StoreError

STATE_DIR = ".flowctl"
"""Where flowctl keeps its state and output inside a source tree."""

LOCK_FILE = "lock"
"""In STATE_DIR; see lock.py."""


@contextmanager
def system_refusals(path: Path, doing: str = "written") -> Iterator[None]:
    """Raise StoreError with a hint in place of an OSError."""
    try:
        yield
    except OSError as error:
        raise StoreError.of(error, path, doing) from error


def temporary_name(path: Path) -> Path:
    """An unused name beside `path`, from which a rename onto it is atomic."""
    return path.with_name(f".{path.name[:100]}.{os.getpid()}-{os.urandom(4).hex()}.tmp")


def atomic_write(path: Path, data: bytes, *, mode: int = 0o666, durable: bool = True) -> None:
    """Write a file so that readers see the old content or the new one, and nothing between.

    `mode` is subject to the umask. `durable` also survives a power failure (fsync), not only kill -9. A
    symlink at `path` is replaced, not followed. Raises StoreError; the old file is then as it was.
    """
    temporary = temporary_name(path)
    with system_refusals(path):
        try:
            fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
            with os.fdopen(fd, "wb") as file:
                file.write(data)
                file.flush()
                if durable:
                    os.fsync(fd)
            temporary.replace(path)
            if durable:
                sync_folder(path.parent)
        except BaseException:
            with suppress(OSError):
                temporary.unlink()
            raise


def atomic_replace(source: Path, target: Path) -> None:
    """Put `source` (a file, link or folder on the same file system) in the place of `target`.

    A folder in the way is moved aside first and removed afterwards, since rename replaces only files and
    empty folders. Raises StoreError.
    """
    with system_refusals(target):
        try:
            source.replace(target)
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST, errno.EISDIR, errno.ENOTDIR):
                raise
            aside = temporary_name(target)
            target.rename(aside)
            try:
                source.replace(target)
            except BaseException:
                aside.replace(target)
                raise
            remove_any(aside)


def remove_any(path: Path) -> None:
    """Remove a file, a link or a folder with all it holds, however deep, also when folders in it are
    read-only.

    Never follows a link. A path that is missing is fine. Raises OSError.
    """
    try:
        is_folder = stat.S_ISDIR(path.lstat().st_mode)
    except FileNotFoundError:
        return
    if not is_folder:
        path.unlink(missing_ok=True)
        return
    # Not shutil.rmtree: it gives up on read-only folders (Go's module cache) and, before Python 3.13, on
    # trees deeper than the recursion limit.
    folders = [os.fspath(path)]
    for folder in folders:  # grows meanwhile
        with suppress(FileNotFoundError):
            with suppress(PermissionError):
                Path(folder).chmod(0o700)
            with os.scandir(folder) as scan:
                entries = list(scan)
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    folders.append(entry.path)
                else:
                    Path(entry.path).unlink(missing_ok=True)
    for folder in reversed(folders):
        with suppress(FileNotFoundError):
            Path(folder).rmdir()


def sync_folder(folder: Path) -> None:
    """Make renames in a folder survive a power failure; a file system that cannot is accepted."""
    with suppress(OSError):
        fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)


def sweep_temporaries(folder: Path, *, older_than_s: float = 3600.0) -> None:
    """Remove temporary files that killed processes left in a folder. Never raises."""
    limit = time.time() - older_than_s
    with suppress(OSError):
        for path in folder.glob(".*.tmp"):
            with suppress(OSError):
                if path.lstat().st_mtime < limit:
                    remove_any(path)


def sweep_abandoned(path: Path) -> None:
    """Remove temporary files of `path` whose writer is gone from this machine, however young. Never raises.

    Only for files that may be lost: a writer in another process namespace (a container on the same tree) looks gone.
    """
    from flowctl_core.liveness import is_alive  # not on the no-op path, which reads this module

    with suppress(OSError):
        for left in path.parent.glob(f".{path.name[:100]}.*-*.tmp"):
            writer = left.name[len(path.name[:100]) + 2 :].partition("-")[0]
            if writer.isascii() and writer.isdigit() and not is_alive(int(writer)):
                with suppress(OSError):
                    remove_any(left)


def make_own_folder(state: Path, *names: str) -> Path:
    """Make `<state>/<name>/…` and return it; a link or file that stands in its place is removed, never followed.

    Only for places in `.flowctl`, where nothing is the user's. Raises StoreError.
    """
    folder = state
    for name in names:
        folder = folder / name
        with system_refusals(folder, "made"):
            if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
                folder.unlink()
            folder.mkdir(exist_ok=True)
    return folder


def make_state_dir(source_root: Path) -> Path:
    """Make `<source_root>/.flowctl`, which keeps itself out of git, and return it.

    Raises StoreError when it cannot be written, or is a link or a file.
    """
    folder = source_root / STATE_DIR
    ignore = folder / ".gitignore"
    while True:
        with system_refusals(folder, "made"):
            try:
                folder.mkdir()
            except FileExistsError:
                if folder.is_symlink() or (not folder.is_dir() and os.path.lexists(folder)):
                    raise StoreError(
                        f"{folder} is not a folder",
                        hint="Remove it: flowctl keeps its state in a folder of that name.",
                    ) from None
        try:
            if not ignore.exists():
                atomic_write(ignore, b"*\n", durable=False)
        except StoreError as error:
            # `flowctl component clean` of another process may just have removed the folder.
            if not isinstance(error.__cause__, FileNotFoundError) or not source_root.is_dir():
                raise
        else:
            return folder
