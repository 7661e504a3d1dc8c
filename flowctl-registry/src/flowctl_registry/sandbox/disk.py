"""Watches what a run writes to its folders, and gives the folders to its user."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import subprocess
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

from flowctl_registry.errors import SandboxError
from flowctl_registry.sandbox.confinement import Confinement

_EVERY_S = 0.5
_SHARE = 20
"""Looking takes at most one part in this many of the time: large trees are looked at less often."""
_BLOCK = 512
"""Of st_blocks, whatever the file system."""


class DiskWatch:
    """Counts the blocks of the writable folders against what they held at the start."""

    def __init__(self, confinement: Confinement) -> None:
        """Raises SandboxError where a writable folder is none."""
        self._folders = sorted(set(confinement.writable.values()))
        for folder in self._folders:
            if folder.is_symlink() or not folder.is_dir():
                what = "a symlink" if folder.is_symlink() else "no folder"
                raise SandboxError(f"{folder} is {what}", hint="Make a new folder for each build.")
        self._limits = confinement.limits
        self._devices = {folder.stat().st_dev for folder in self._folders}
        self._before = self._used()
        self._next = time.monotonic() + _EVERY_S

    def is_over(self, now: float, processes: Iterable[int]) -> bool:
        """Whether more was added than allowed; looks only when it is time. `processes` are those of the run."""
        if not self._folders or now < self._next:
            return False
        began = time.monotonic()
        try:
            over = self._used() + self._deleted(processes) - self._before > self._limits.disk_bytes
        except SandboxError:
            over = True  # folders nested so deep hide what is in them
        self._next = now + max(_EVERY_S, (time.monotonic() - began) * _SHARE)
        return over

    def has_full_file(self) -> bool:
        """Whether a file stands at the limit for one: a tool met it and made an error of it."""
        try:
            return any(entry.st_size >= self._limits.file_bytes for _, _, entry in self._entries())
        except SandboxError:
            return True

    def _used(self) -> int:
        seen: set[tuple[int, int]] = set()
        total = 0
        for _, _, entry in self._entries():
            if entry.st_nlink > 1 and stat.S_ISREG(entry.st_mode):
                if (entry.st_dev, entry.st_ino) in seen:
                    continue
                seen.add((entry.st_dev, entry.st_ino))
            total += entry.st_blocks * _BLOCK
        return total

    def _entries(self) -> Iterator[tuple[int, str, os.stat_result]]:
        for folder in self._folders:
            yield from entries(folder)

    def _deleted(self, processes: Iterable[int]) -> int:
        """Bytes of files without a name that a process of the run keeps open."""
        seen: dict[tuple[int, int], int] = {}
        for pid in processes:
            with contextlib.suppress(OSError):  # it ended meanwhile
                for fd in Path(f"/proc/{pid}/fd").iterdir():
                    with contextlib.suppress(OSError):
                        found = fd.stat()
                        if found.st_nlink == 0 and stat.S_ISREG(found.st_mode) and found.st_dev in self._devices:
                            seen[found.st_dev, found.st_ino] = found.st_blocks * _BLOCK
        return sum(seen.values())


def entries(top: Path) -> Iterator[tuple[int, str, os.stat_result]]:
    """What is in a folder, at any depth, without following a symlink: descriptor of its folder, name, status.

    Other processes may change the folder meanwhile. Raises SandboxError where the nesting has no end.
    """
    waiting = [str(top)]
    while waiting:
        folder = waiting.pop()
        try:
            fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        except (FileNotFoundError, NotADirectoryError, PermissionError):
            continue  # it went away or became another; who closes it to us, closes it to itself
        except OSError as error:
            if error.errno == errno.ELOOP:
                continue  # a symlink meanwhile
            if error.errno == errno.ENAMETOOLONG:
                raise SandboxError(f"folders in {top} are nested too deep", hint=f"Remove {top}: `rm -rf`.") from None
            raise
        try:
            for name in os.listdir(fd):  # noqa: PTH208 - of a descriptor
                with contextlib.suppress(FileNotFoundError):
                    found = os.stat(name, dir_fd=fd, follow_symlinks=False)
                    yield fd, name, found
                    if stat.S_ISDIR(found.st_mode):
                        waiting.append(f"{folder}/{name}")
        finally:
            os.close(fd)


def remove(folder: Path) -> None:
    """Remove a folder that an untrusted command filled, however deep or closed. Raises SandboxError."""
    for prepare in ([], ["chmod", "-R", "u+rwX", "--", str(folder)]):
        if prepare:
            subprocess.run(prepare, capture_output=True)
        done = subprocess.run(["rm", "-rf", "--", str(folder)], capture_output=True, text=True)
        if done.returncode == 0:
            return
    raise SandboxError(f"{folder} cannot be removed", hint="Look at its owner.", output=done.stderr)


def give(folder: Path, user: tuple[int, int]) -> None:
    """Make a folder and all in it the user's, before anything of that user runs. Raises OSError."""
    if (found := folder.lstat()).st_uid != user[0]:
        os.chown(folder, *user, follow_symlinks=False)
    for fd, name, found in entries(folder):
        if found.st_uid != user[0]:
            os.chown(name, *user, dir_fd=fd, follow_symlinks=False)
