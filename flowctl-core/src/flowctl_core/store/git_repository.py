"""What the digest needs to know of a git repository, read from its files: no git process is started."""

# Byte paths and plain system calls: pathlib is for people, this runs before every build.
# ruff: noqa: PTH112, PTH116, PTH118, PTH120, PTH123
from __future__ import annotations

import os
import struct


class GitRepository:
    """A repository: its top folder and the git folder that belongs to it, which may be elsewhere."""

    __slots__ = ("common_dir", "git_dir", "top")

    def __init__(self, top: bytes, git_dir: bytes) -> None:
        """`top` and `git_dir` are absolute."""
        self.top = top
        self.git_dir = git_dir
        self.common_dir = git_dir
        common = _read_line(git_dir + b"/commondir")  # a linked worktree shares info/exclude
        if common:
            self.common_dir = os.path.normpath(os.path.join(git_dir, common))

    @property
    def exclude_file(self) -> bytes:
        """Path of info/exclude."""
        return self.common_dir + b"/info/exclude"

    @property
    def index_file(self) -> bytes:
        """Path of git's index."""
        return self.git_dir + b"/index"

    def tracked(self) -> frozenset[bytes]:
        """Paths in git's index, relative to the top. Empty when the index cannot be read or understood.

        A tracked file is never ignored, whatever .gitignore says: `git add -f` is how such files come about.
        """
        try:
            with open(self.index_file, "rb") as file:
                data = file.read()
            with open(self.common_dir + b"/config", "rb") as file:
                sha256 = b"objectformat = sha256" in file.read().lower()
            return frozenset(_index_paths(data, 32 if sha256 else 20))
        except (OSError, struct.error, ValueError, IndexError):
            return frozenset()


def open_repository(folder: bytes) -> GitRepository | None:
    """The repository whose top is `folder`, or None. A `.git` file (worktree, submodule) is followed."""
    git = folder + b"/.git"
    try:
        if not os.path.isdir(git):
            line = _read_line(git)
            if line is None or not line.startswith(b"gitdir: "):
                return None
            git = os.path.normpath(os.path.join(folder, line[8:]))
        os.stat(git + b"/HEAD")
    except OSError:
        return None
    return GitRepository(folder, git)


def find_repository(folder: bytes) -> tuple[GitRepository | None, list[bytes]]:
    """The repository that contains `folder`, and the `.git` paths on the way that do not exist (yet)."""
    absent: list[bytes] = []
    while True:
        repository = open_repository(folder)
        if repository is not None:
            return repository, absent
        absent.append(folder.rstrip(b"/") + b"/.git")
        parent = os.path.dirname(folder)
        if parent == folder:
            return None, absent
        folder = parent


def _read_line(path: bytes) -> bytes | None:
    try:
        with open(path, "rb") as file:
            return file.read(4096).split(b"\n", 1)[0].rstrip(b"\r")
    except OSError:
        return None


def _index_paths(data: bytes, hash_size: int) -> list[bytes]:
    """Names in an index of version 2, 3 or 4 (git's Documentation/gitformat-index)."""
    signature, version, count = struct.unpack_from(">4sII", data)
    if signature != b"DIRC" or version not in (2, 3, 4):
        raise ValueError("not an index")
    paths: list[bytes] = []
    at, name = 12, b""
    for _ in range(count):
        start = at
        at += 40 + hash_size
        flags = data[at] << 8 | data[at + 1]
        at += 4 if flags & 0x4000 else 2
        if version == 4:
            strip, at = _variable_width(data, at)
            end = data.index(b"\0", at)
            name = name[: len(name) - strip] + data[at:end]
            at = end + 1
        else:
            end = data.index(b"\0", at)
            name = data[at:end]
            at = start + (end - start + 8) // 8 * 8
        paths.append(name)
    return paths


def _variable_width(data: bytes, at: int) -> tuple[int, int]:
    """An offset-encoded number, as in pack files, and the position after it."""
    byte = data[at]
    value = byte & 0x7F
    while byte & 0x80:
        at += 1
        byte = data[at]
        value = (value + 1) << 7 | byte & 0x7F
    return value, at + 1
