"""The stat index: what every input looked like to lstat when it was last hashed.

A warm digest compares lstat results and reads no content. The index lies in the source tree, so it may come
from a stranger: it is plain fixed-width records behind a checksum, nothing in it is executed, and the names
in it are only ever handed to lstat. A damaged one is as good as none. Inode numbers and change times cannot
be foreseen by whoever made an archive, so a shipped index is never believed.

Nothing but the standard library's cheapest modules is imported here: the no-op path of the command uses it.
"""

# Byte paths and plain system calls: pathlib is for people, this runs before every build.
# ruff: noqa: PTH123
from __future__ import annotations

import os
from binascii import crc32
from operator import attrgetter
from struct import Struct, error, iter_unpack

MAGIC = b"flowctl stat index 1"
Stat = tuple[int, int, int, int, int]
stat_of = attrgetter("st_mode", "st_size", "st_mtime_ns", "st_ctime_ns", "st_ino")
"""The Stat of an os.stat_result. Every write changes st_ctime_ns, also when st_mtime_ns is set back."""


def untrusted(seen: Stat) -> Stat:
    """Stands for an entry that must be looked at again: its size is -1, which no lstat gives."""
    return (seen[0], -1, seen[2], seen[3], seen[4])


_STAT = "<IqqqQ"
_PACK = Struct(_STAT).pack
_HEAD = Struct("<20s32s32s32s")
_SIZE = Struct("<Q")


class StatIndex:
    """All of an index. Names are bytes relative to the source tree; `watched` and `absent` are absolute."""

    __slots__ = (
        "absent",
        "digest",
        "dir_stats",
        "dirs",
        "file_stats",
        "files",
        "forced",
        "hashes",
        "options",
        "skipped",
        "tracked_only",
        "watched",
        "watched_stats",
    )

    def __init__(self, options: bytes, digest: bytes, tracked_only: bytes) -> None:
        """Start empty; each argument is a SHA-256.

        `options`: of everything but the tree that decides what is an input; `digest`: the source digest;
        `tracked_only`: of what git tracks and the listing leaves out.
        """
        self.options = options
        self.digest = digest
        self.tracked_only = tracked_only
        self.files: list[bytes] = []
        self.file_stats: list[Stat] = []
        self.hashes = b""
        """32 bytes for each of `files`: SHA-256 of the content, or of a link's target."""
        self.dirs: list[bytes] = []
        """Every folder that was listed; the root is empty."""
        self.dir_stats: list[Stat] = []
        self.watched: list[bytes] = []
        """Files that decide what is ignored: .gitignore files, info/exclude, git's index."""
        self.watched_stats: list[Stat] = []
        self.absent: list[bytes] = []
        """Paths that would change the answer if they came to be."""
        self.forced: list[bytes] = []
        """Files that a pattern ignores and that count because git tracks them."""
        self.skipped: list[bytes] = []
        """Entries that are neither file, folder nor link."""

    def dump(self) -> bytes:
        """The bytes that `parse` reads."""
        sections = (
            _names(self.files),
            _stats(self.file_stats),
            self.hashes,
            _names(self.dirs),
            _stats(self.dir_stats),
            _names(self.watched),
            _stats(self.watched_stats),
            _names(self.absent),
            _names(self.forced),
            _names(self.skipped),
        )
        parts = [_HEAD.pack(MAGIC, self.options, self.digest, self.tracked_only)]
        for section in sections:
            parts += (_SIZE.pack(len(section)), section)
        body = b"".join(parts)
        return body + _SIZE.pack(crc32(body))

    def unchanged(self, root: bytes) -> bool:
        """True when lstat says of everything what it said when the index was written."""
        try:
            return (
                list(map(stat_of, map(os.lstat, _under(root, self.dirs)))) == self.dir_stats
                and list(map(stat_of, map(os.lstat, self.watched))) == self.watched_stats
                and not any(map(os.path.lexists, self.absent))
                and list(map(stat_of, map(os.lstat, _under(root, self.files)))) == self.file_stats
            )
        except (OSError, ValueError):
            return False


def parse(data: bytes) -> StatIndex | None:
    """Read an index; None when it is damaged, of another version or makes no sense."""
    try:
        if _SIZE.unpack(data[-_SIZE.size :])[0] != crc32(memoryview(data)[: -_SIZE.size]):
            return None
        magic, options, digest, tracked_only = _HEAD.unpack_from(data)
        if magic != MAGIC:
            return None
        at, sections = _HEAD.size, []
        for _ in range(10):
            (size,) = _SIZE.unpack_from(data, at)
            at += _SIZE.size
            if size > len(data) - at:
                return None
            sections.append(data[at : at + size])
            at += size
        index = StatIndex(options, digest, tracked_only)
        index.files = sections[0].split(b"\0")[:-1]
        index.file_stats = list(iter_unpack(_STAT, sections[1]))
        index.hashes = sections[2]
        index.dirs = sections[3].split(b"\0")[:-1]
        index.dir_stats = list(iter_unpack(_STAT, sections[4]))
        index.watched = sections[5].split(b"\0")[:-1]
        index.watched_stats = list(iter_unpack(_STAT, sections[6]))
        index.absent = sections[7].split(b"\0")[:-1]
        index.forced = sections[8].split(b"\0")[:-1]
        index.skipped = sections[9].split(b"\0")[:-1]
    except error:
        return None
    sound = (
        len(index.files) == len(index.file_stats)
        and len(index.hashes) == 32 * len(index.files)
        and len(index.dirs) == len(index.dir_stats)
        and len(index.watched) == len(index.watched_stats)
    )
    return index if sound else None


def load(path: bytes | str | os.PathLike[str]) -> StatIndex | None:
    """Read an index file; None when there is none or it cannot be used. A symlink is not followed."""
    try:
        with open(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK), "rb") as file:
            return parse(file.read())
    except OSError:
        return None


def unchanged_digest(root: str | os.PathLike[str], index_path: str | os.PathLike[str]) -> str | None:
    """The source digest (`sha256:…`) if nothing changed since the index was written, else None.

    For the no-op path: a few milliseconds, no other import. It answers for the inputs that the index was
    written for, so compare the digest with the one in the stamp.
    """
    index = load(index_path)
    if index is None or not index.unchanged(os.path.realpath(os.fsencode(root))):
        return None
    return "sha256:" + index.digest.hex()


def _names(names: list[bytes]) -> bytes:
    return b"".join(name + b"\0" for name in names)


def _stats(stats: list[Stat]) -> bytes:
    return b"".join(_PACK(*stat) for stat in stats)


def _under(root: bytes, names: list[bytes]) -> list[bytes]:
    prefix = root.rstrip(b"/") + b"/"
    return [prefix + name for name in names]
