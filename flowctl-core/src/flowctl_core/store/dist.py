"""Puts a release where people look for it: a folder that holds the old release or the new one, at every moment."""

from __future__ import annotations

import ctypes
import errno
import os
import sys
from contextlib import suppress
from pathlib import Path

from flowctl_core.errors import StoreError
from flowctl_core.liveness import is_alive
from flowctl_core.store.files import STATE_DIR, make_state_dir, remove_any, system_refusals, temporary_name

DIST = "dist"
MARK = "metadata/build-info.json"
"""A folder that has this file is a release of ours."""
_AT_FDCWD = -100
_RENAME_EXCHANGE = 2  # linux/fs.h
_RENAME_SWAP = 2  # sys/stdio.h of macOS


def choose_dist(root: Path, asked: Path | None, generated: tuple[str, ...], tracked: frozenset[str]) -> Path:
    """The folder for the release.

    `dist` in the component's folder, unless the source itself has or makes something of that name: then
    `.flowctl/dist`. `asked` is what the user named. Raises StoreError when that is something else than a release.
    """
    if asked is not None:
        if not _is_free(asked):
            raise StoreError(
                f"{asked} is there and is no release of flowctl",
                hint="Name another folder with --dist, or remove that one.",
            )
        return asked
    target = root / DIST
    made = any(path.rstrip("/").split("/")[0] == DIST for path in generated)
    if made or DIST in tracked or not _is_free(target):
        return make_state_dir(root) / DIST
    return target


def _is_free(target: Path) -> bool:
    if not os.path.lexists(target):
        return True
    if target.is_symlink() or not target.is_dir():
        return False
    return (target / MARK).is_file() or not any(target.iterdir())


def new_release_folder(target: Path) -> Path:
    """An empty folder beside the target, on the same file system; leftovers of killed runs are removed."""
    with system_refusals(target.parent, "made"):
        target.parent.mkdir(parents=True, exist_ok=True)
        for left in target.parent.glob(f".{target.name}.*.tmp"):
            _remove_if_abandoned(left)
        folder = temporary_name(target)
        folder.mkdir()
        (folder / ".gitignore").write_text("*\n", encoding="utf-8")
    return folder


def _remove_if_abandoned(left: Path) -> None:
    """The name carries the process that made it: one that still runs may be at work."""
    with suppress(OSError, ValueError):
        pid = int(left.name.rsplit(".", 2)[1].partition("-")[0])
        if not is_alive(pid):
            remove_any(left)


def place_release(made: Path, target: Path) -> None:
    """Put the finished folder in the target's place. Raises StoreError; the old release is then as it was.

    Where the system can exchange two names at once there is no moment without a release; elsewhere the old one is
    moved aside first.
    """
    with system_refusals(target):
        if os.path.lexists(target) and not _is_free(target):
            raise StoreError(
                f"{target} is something else now", hint="Somebody put it there while the release was built."
            )
        if not target.exists():
            made.rename(target)
            return
        if not _exchange(made, target):
            aside = temporary_name(target)
            target.rename(aside)
            try:
                made.rename(target)
            except BaseException:
                aside.rename(target)
                raise
            made = aside
    with suppress(OSError):
        remove_any(made)


def _exchange(one: Path, other: Path) -> bool:
    """Exchange two names atomically (renameat2(2), renamex_np(2)); False where the system or file system cannot."""
    library = ctypes.CDLL(None, use_errno=True)
    first, second = os.fsencode(one), os.fsencode(other)
    if sys.platform == "darwin" and hasattr(library, "renamex_np"):
        answer = library.renamex_np(first, second, _RENAME_SWAP)
    elif hasattr(library, "renameat2"):
        answer = library.renameat2(_AT_FDCWD, first, _AT_FDCWD, second, _RENAME_EXCHANGE)
    else:
        return False
    if answer == 0:
        return True
    number = ctypes.get_errno()
    if number in (errno.EINVAL, errno.ENOSYS, errno.ENOTSUP):
        return False
    raise OSError(number, os.strerror(number), str(other))


def is_release(folder: Path) -> bool:
    """True for a folder that holds a release of ours."""
    return folder.is_dir() and (folder / MARK).is_file()


def shown(root: Path, target: Path) -> str:
    """The target as people are told of it: relative to the component's folder where it is inside."""
    return target.relative_to(root).as_posix() if target.is_relative_to(root) else str(target)


__all__ = ["DIST", "MARK", "STATE_DIR", "choose_dist", "is_release", "new_release_folder", "place_release", "shown"]
