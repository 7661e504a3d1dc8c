"""The canonical listing of a folder: what makes two folders equal, and all that is needed to make one again.

JSON, one list `[path, kind, mode, content]` an entry, sorted by path bytes; kind is file (content: its
digest), dir (empty) or symlink (its target). Paths are relative, POSIX; bytes that are not UTF-8 are
surrogate escapes. Owners, times, extended attributes and hard links are not part of it.
"""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple


class Entry(NamedTuple):
    """One file, folder or link."""

    path: str
    kind: str
    mode: int
    content: str


def describe(folder: Path, digest_of: Callable[[Path], str]) -> tuple[list[Entry], int]:
    """The listing of a folder and the bytes of its files; `digest_of` is asked for each file.

    Links are recorded, never followed. Raises OSError; ValueError for a pipe, a socket or a device.
    """
    entries = [Entry("", "dir", stat.S_IMODE(folder.stat().st_mode), "")]
    size = 0
    pending = [""]
    while pending:
        base = pending.pop()
        with os.scandir(folder / base) as scan:
            found = list(scan)
        for item in found:
            path = base + item.name
            seen = item.stat(follow_symlinks=False)
            mode = stat.S_IMODE(seen.st_mode)
            if stat.S_ISLNK(seen.st_mode):
                entries.append(Entry(path, "symlink", 0, os.fspath(Path(item.path).readlink())))
            elif stat.S_ISDIR(seen.st_mode):
                entries.append(Entry(path, "dir", mode, ""))
                pending.append(path + "/")
            elif stat.S_ISREG(seen.st_mode):
                entries.append(Entry(path, "file", mode, digest_of(Path(item.path))))
                size += seen.st_size
            else:
                raise ValueError(f"{path} is a pipe, a socket or a device")
    entries.sort(key=lambda entry: os.fsencode(entry.path))
    return entries, size


def dump(entries: list[Entry]) -> bytes:
    """The canonical bytes."""
    return json.dumps(entries, separators=(",", ":"), ensure_ascii=True).encode()


def load(data: bytes) -> list[Entry]:
    """Read a listing; ValueError when it makes no sense, leads out of its folder or writes through a link."""
    entries: list[Entry] = []
    folders: set[str] = set()
    seen: set[str] = set()
    loaded = json.loads(data)
    if not isinstance(loaded, list):
        raise ValueError("not a listing")
    for item in loaded:
        if not (isinstance(item, list) and len(item) == 4 and isinstance(item[2], int)):
            raise ValueError("not a listing")
        entry = Entry(*item)
        texts = (entry.path, entry.kind, entry.content)
        if not all(isinstance(text, str) and "\0" not in text for text in texts):
            raise ValueError("not a listing")
        parent, _, name = entry.path.rpartition("/")
        is_root = entry.path == "" and not seen
        # Everything lies in a folder that the listing itself makes, so nothing can be written through a link.
        if not is_root and (name in ("", ".", "..") or parent not in folders or entry.path in seen):
            raise ValueError(f"'{entry.path}' does not lie in the folder")
        if entry.kind not in ("file", "dir", "symlink") or (is_root and entry.kind != "dir"):
            raise ValueError(f"'{entry.path}' is of an unknown kind")
        seen.add(entry.path)
        if entry.kind == "dir":
            folders.add(entry.path)
        entries.append(entry)
    if not entries:
        raise ValueError("an empty listing")
    return entries


def restore(entries: list[Entry], target: Path, copy: Callable[[str, Path, int], bool]) -> bool:
    """Make the listed folder at `target`, where nothing is; `copy(digest, path, mode)` brings each file.

    False as soon as a file cannot be had; what was made so far stays for the caller to remove. Raises
    OSError.
    """
    folders: list[tuple[Path, int]] = []
    for entry in entries:
        path = target / entry.path if entry.path else target
        if entry.kind == "dir":
            path.mkdir(mode=0o700)
            folders.append((path, entry.mode))
        elif entry.kind == "symlink":
            path.symlink_to(entry.content)
        elif not copy(entry.content, path, entry.mode):
            return False
    for path, mode in reversed(folders):  # a read-only folder only once it is filled
        path.chmod(mode & 0o7777)
    return True
