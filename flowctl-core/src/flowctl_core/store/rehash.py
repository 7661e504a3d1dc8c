"""The digest of a tree of which something changed: list again, read what is new, write the stat index."""

# Byte paths and plain system calls: pathlib is for people, this runs before every build.
# ruff: noqa: PTH115
from __future__ import annotations

import errno
import os
import time
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from stat import S_ISDIR, S_ISLNK, S_ISREG
from typing import TYPE_CHECKING

from flowctl_core.errors import SourceError, StoreError
from flowctl_core.store import files
from flowctl_core.store.git_repository import find_repository
from flowctl_core.store.ignore import IgnoreRules
from flowctl_core.store.listing import Listing, RelistError, Selection, unreadable
from flowctl_core.store.source_digest import kind_of
from flowctl_core.store.stat_index import Stat, StatIndex, stat_of, untrusted

if TYPE_CHECKING:
    from flowctl_core.models import Inputs

ATTEMPTS = 4
_CHUNK = 1 << 18
_COARSE_NS = 2_000_000_000
"""Assumed of a file system whose times are whole seconds (FAT counts in twos), and of a foreign clock."""


class _VanishedError(Exception):
    """A listed file is gone, or no longer what it was."""


def rehash(
    root: bytes,
    inputs: Inputs,
    generated: frozenset[bytes],
    options: bytes,
    known: StatIndex | None,
    index_file: bytes | None,
) -> tuple[StatIndex, int]:
    """A new index, written if it can be, and how many files were read.

    `known` is the old index, whatever it was made for: content that lstat shows unchanged is not read again.
    """
    try:
        if not S_ISDIR(os.lstat(root).st_mode):
            raise SourceError(f"{os.fsdecode(root)} is not a folder")
    except OSError as error:
        raise SourceError(
            f"{os.fsdecode(root)} cannot be read: {error.strerror}", hint="Name a component's folder."
        ) from error
    include_all = tuple(inputs.include) == ("**",)
    selection = Selection(
        include=IgnoreRules(() if include_all else map(os.fsencode, inputs.include)),
        exclude=IgnoreRules(map(os.fsencode, inputs.exclude)),
        generated=generated,
        include_all=include_all,
    )
    target = Path(os.fsdecode(index_file if index_file is not None else root + b"/.flowctl/index"))
    temporary = _open_temporary(target, Path(os.fsdecode(root)) if index_file is None else None)
    try:
        began = _file_system_time(root, temporary)
        for attempt in range(ATTEMPTS):
            try:
                index, hashed = _digest(root, selection, options, known)
                break
            except (_VanishedError, FileNotFoundError):
                time.sleep(0.05 * attempt)
        else:
            raise SourceError(
                f"{os.fsdecode(root)} keeps changing while it is read",
                hint="Something writes to the source tree: stop it, or exclude what it writes by .gitignore.",
            )
        for stats in (index.dir_stats, index.watched_stats, index.file_stats):
            _distrust_young(stats, began)
        if temporary is not None:
            _write(temporary, target, index)
    finally:
        if temporary is not None:
            with suppress(OSError):
                temporary.unlink()
    return index, hashed


def _digest(root: bytes, selection: Selection, options: bytes, known: StatIndex | None) -> tuple[StatIndex, int]:
    listing = None
    if known is not None and known.options == options and _same_rules(root, known):
        with suppress(RelistError):
            listing = Listing(root, selection, known)
    if listing is None:
        listing = Listing(root, selection, None)
    seen_before: dict[bytes, tuple[Stat, bytes]] = {}
    if known is not None:
        hashes = (known.hashes[at : at + 32] for at in range(0, len(known.hashes), 32))
        seen_before = dict(zip(known.files, zip(known.file_stats, hashes, strict=True), strict=True))
    nothing: tuple[Stat | None, bytes] = (None, b"")
    prefix = root + b"/"
    stats: list[Stat] = []
    contents: list[bytes] = []
    whole = sha256()
    hashed = 0
    for name in listing.files:
        stat = stat_of(os.lstat(prefix + name))
        seen, content = seen_before.get(name, nothing)
        if seen != stat:
            stat, content = _hash(prefix + name, name, stat)
            hashed += 1
        stats.append(stat)
        contents.append(content)
        whole.update(b"%b\0%b\0%b" % (name, kind_of(stat[0]), content))
    left_out = _tracked_only(listing.tracked.files, listing.prefix, listing.files)
    index = StatIndex(options, whole.digest(), left_out)
    index.files, index.file_stats, index.hashes = listing.files, stats, b"".join(contents)
    index.dirs, index.dir_stats = listing.dirs, listing.dir_stats
    index.watched, index.watched_stats, index.absent = listing.watched, listing.watched_stats, listing.absent
    index.forced, index.skipped = listing.forced, listing.skipped
    return index, hashed


def _hash(path: bytes, name: bytes, seen: Stat) -> tuple[Stat, bytes]:
    """The content's SHA-256 and what fstat said before and after reading; an unstable file is tried again."""
    if S_ISLNK(seen[0]):
        return seen, sha256(os.readlink(path)).digest()
    for attempt in range(ATTEMPTS):
        time.sleep(0.02 * attempt)
        try:
            fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except FileNotFoundError:
            raise
        except OSError as error:
            if error.errno == errno.ELOOP:  # a link by now
                raise _VanishedError from None
            raise unreadable(name, error) from error
        try:
            before = stat_of(os.fstat(fd))
            if not S_ISREG(before[0]):
                raise _VanishedError
            content = sha256()
            while chunk := os.read(fd, _CHUNK):
                content.update(chunk)
            if stat_of(os.fstat(fd)) == before:
                return before, content.digest()
        except OSError as error:
            raise unreadable(name, error) from error
        finally:
            os.close(fd)
    raise SourceError(
        f"{os.fsdecode(name)} changes while it is read",
        hint="Something writes to it: stop that, or name the file in .gitignore if it is not a source file.",
    )


def _same_rules(root: bytes, known: StatIndex) -> bool:
    """Whether the old listing still says what is ignored; refreshes what is known of git's index.

    git rewrites its index on the slightest occasion. What matters of it is which ignored files it tracks, so
    that is compared before everything is listed again.
    """
    if any(map(os.path.lexists, known.absent)):
        return False
    repository, _ = find_repository(root)
    index_file = repository.index_file if repository is not None else None
    for position, (path, before) in enumerate(zip(known.watched, known.watched_stats, strict=True)):
        try:
            seen = stat_of(os.lstat(path))
        except OSError:
            return False
        if seen == before:
            continue
        if path != index_file or repository is None:
            return False
        prefix = os.path.relpath(root, repository.top) + b"/"
        prefix = b"" if prefix == b"./" else prefix
        tracked = repository.tracked()
        if _tracked_only(tracked, prefix, known.files) != known.tracked_only:
            return False
        if not all(prefix + name in tracked for name in known.forced):
            return False
        known.watched_stats[position] = seen
    return True


def _tracked_only(tracked: frozenset[bytes], prefix: bytes, listed: list[bytes]) -> bytes:
    """SHA-256 of what git tracks in the tree and the listing leaves out."""
    size = len(prefix)
    mine = {path[size:] for path in tracked if path.startswith(prefix)}
    return sha256(b"\0".join(sorted(mine.difference(listed)))).digest()


def _open_temporary(target: Path, source_root: Path | None) -> Path | None:
    """A new empty file beside the index, None when there can be none."""
    try:
        if source_root is not None:
            files.make_state_dir(source_root)
        else:
            target.parent.mkdir(parents=True, exist_ok=True)
        files.sweep_temporaries(target.parent)
        files.sweep_abandoned(target)  # a kill -9 in the middle of a digest; the index itself may be lost at any time
        temporary = files.temporary_name(target)
        temporary.touch(exist_ok=False)
    except (OSError, StoreError):
        return None
    return temporary


def _file_system_time(root: bytes, temporary: Path | None) -> int:
    """Now, as the tree's file system counts it (ns): what is older was not changed since."""
    with suppress(OSError):
        if temporary is not None:
            made = temporary.stat()
            if made.st_dev == os.lstat(root).st_dev:
                return made.st_mtime_ns
    return time.time_ns() - _COARSE_NS


def _distrust_young(stats: list[Stat], began: int) -> None:
    """git's racy-timestamp rule: a change in the same tick as the reading could not be seen later."""
    for position, seen in enumerate(stats):
        newest = max(seen[2], seen[3])
        if newest >= began or (newest % 1_000_000_000 == 0 and newest >= began - _COARSE_NS):
            stats[position] = untrusted(seen)


def _write(temporary: Path, target: Path, index: StatIndex) -> None:
    """Complete the temporary file and put it in place. A failure only makes the next digest slower."""
    with suppress(OSError):
        temporary.write_bytes(index.dump())
        temporary.replace(target)
