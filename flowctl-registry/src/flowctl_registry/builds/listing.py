"""What a commit holds, as `git ls-tree -r -l -z` lists it; names that no export may write are refused."""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass

from flowctl_core.errors import SourceError

_LINE = re.compile(rb"[0-7]{6} (blob|commit) ([0-9a-f]{40}|[0-9a-f]{64}) +([0-9]+|-)\t(.+)", re.DOTALL)
_PATH_BYTES = 4_000
_PARTS = 100
_SHORT = re.compile(r"git~[0-9]+")


@dataclass(frozen=True)
class Entry:
    """A file, link or submodule."""

    path: str
    kind: str
    """`blob`, or `commit` for a submodule."""
    object: str
    size: int


def read_listing(listing: bytes) -> Iterator[Entry]:
    """All entries. Raises SourceError for one that cannot be read."""
    for line in listing.split(b"\0"):
        if not line:
            continue
        parts = _LINE.fullmatch(line)
        if parts is None:
            raise SourceError("the repository has an entry that cannot be read", hint="Check it with `git fsck`.")
        size = 0 if parts[3] == b"-" else int(parts[3])
        yield Entry(os.fsdecode(parts[4]), parts[1].decode(), parts[2].decode(), size)


def check_path(path: str) -> None:
    """Raises SourceError for a name that leads out of the tree, or into git's own folder on some file system."""
    parts = path.split("/")
    if len(os.fsencode(path)) > _PATH_BYTES or len(parts) > _PARTS or any(_is_trick(part) for part in parts):
        shown = ascii(path[:200])
        raise SourceError(f"the repository has a file that is called {shown}", hint="Such names are not taken.")


def _is_trick(part: str) -> bool:
    if part in ("", ".", ".."):
        return True
    # HFS+ ignores some characters, NTFS final dots, blanks and what follows a colon
    plain = "".join(c for c in part if unicodedata.category(c) != "Cf").casefold().partition(":")[0].rstrip(". ")
    return plain == ".git" or _SHORT.fullmatch(plain) is not None
