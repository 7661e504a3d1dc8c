"""The source digest: one SHA-256 that stands for all inputs of a build.

It is taken over the sorted list of (path bytes, kind, SHA-256 of the content or of the link's target) of
every input, kind being file, exec or symlink; listing.py says what is an input. A warm digest reads no
content: it compares lstat results with the stat index (stat_index.py), under git's racy-timestamp rule: an
entry that is not older than the moment the digest began is looked at again the next time.
"""

from __future__ import annotations

import os
from stat import S_ISDIR, S_ISLNK

from flowctl_core.store import stat_index

TYPE_CHECKING = False  # typing itself would be the slowest import here; type checkers know the name
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from flowctl_core.models import Inputs
    from flowctl_core.store.stat_index import Stat, StatIndex


class SourceDigest:
    """The digest of a tree and what it was made from."""

    __slots__ = ("_index", "digest", "hashed", "root")

    def __init__(self, root: str, index: StatIndex, hashed: int) -> None:
        """Made by `digest_source`."""
        self._index = index
        self.root = root
        """Absolute path of the tree."""
        self.digest = "sha256:" + index.digest.hex()
        """`sha256:<hex>`."""
        self.hashed = hashed
        """How many files had to be read."""

    @property
    def files(self) -> int:
        """Number of inputs."""
        return len(self._index.files)

    @property
    def skipped(self) -> tuple[str, ...]:
        """Relative paths of sockets, pipes and devices: never inputs, worth a warning."""
        return tuple(os.fsdecode(name) for name in sorted(self._index.skipped))

    def entries(self) -> Iterator[tuple[str, str, str]]:
        """(path, kind, SHA-256 hex) of every input, in the digest's order."""
        index = self._index
        for position, (name, seen) in enumerate(zip(index.files, index.file_stats, strict=True)):
            content = index.hashes[32 * position : 32 * position + 32]
            yield os.fsdecode(name), kind_of(seen[0]).decode(), content.hex()

    def manifest(self) -> dict[str, str]:
        """path → `kind:hex`, for `changed_inputs` and for the cache."""
        return {path: f"{kind}:{content}" for path, kind, content in self.entries()}

    def stamp_entries(self) -> list[tuple[str, Stat | None]]:
        """Everything that must look the same for the digest to be the same.

        (absolute path, (st_mode, st_size, st_mtime_ns, st_ctime_ns, st_ino) of lstat): inputs, their folders
        (a new file changes its folder), ignore files and git's index; None where nothing may be. An entry
        that is too young to be trusted has the size -1, which no lstat gives.
        """
        index, prefix = self._index, self.root.rstrip("/") + "/"
        entries: list[tuple[str, Stat | None]] = []
        for names, stats, base in (
            (index.dirs, index.dir_stats, prefix),
            (index.watched, index.watched_stats, ""),
            (index.files, index.file_stats, prefix),
        ):
            entries += (
                ((base + os.fsdecode(name)) if name else self.root, seen)
                for name, seen in zip(names, stats, strict=True)
            )
        entries += ((os.fsdecode(path), None) for path in index.absent)
        return entries


def digest_source(
    root: Path, inputs: Inputs, *, generated: Iterable[str] = (), index_path: Path | None = None
) -> SourceDigest:
    """Digest the inputs in `root`.

    `generated` are relative paths (Plan.generated and Plan.fetched) that are never inputs. `index_path` is
    the stat index, by default `<root>/.flowctl/index`; when it cannot be read or written the digest is only
    slower. Raises SourceError: not a folder, something unreadable, a file that changes faster than it can be
    read.
    """
    path = os.path.realpath(os.fsencode(root))
    index_file = path + b"/.flowctl/index" if index_path is None else os.fsencode(index_path)
    left_out = frozenset(os.path.normpath(os.fsencode(name)) for name in generated)
    options = _options(path, inputs, left_out)
    # A stranger's tree may bring a link called .flowctl: not followed.
    known = stat_index.load(index_file) if index_path is not None or _is_folder(path + b"/.flowctl") else None
    if known is not None and known.options == options and known.unchanged(path):
        return SourceDigest(os.fsdecode(path), known, 0)
    from flowctl_core.store.rehash import rehash

    index, hashed = rehash(path, inputs, left_out, options, known, None if index_path is None else index_file)
    return SourceDigest(os.fsdecode(path), index, hashed)


def changed_inputs(old: Mapping[str, str], new: Mapping[str, str]) -> list[str]:
    """What differs between two manifests: `added a.go`, `changed b.go`, `removed c.go`, sorted by path."""
    changes = [(path, "added") for path in new.keys() - old.keys()]
    changes += [(path, "removed") for path in old.keys() - new.keys()]
    changes += [(path, "changed") for path in new.keys() & old.keys() if new[path] != old[path]]
    return [f"{what} {path}" for path, what in sorted(changes)]


def kind_of(mode: int) -> bytes:
    """How an input's mode enters the digest: like git, only the owner's execute bit counts."""
    if S_ISLNK(mode):
        return b"symlink"
    return b"exec" if mode & 0o100 else b"file"


def _options(root: bytes, inputs: Inputs, generated: frozenset[bytes]) -> bytes:
    """SHA-256 of everything but the tree that decides what is an input."""
    from hashlib import sha256

    parts = [root]
    for patterns in (inputs.include, inputs.exclude):
        parts += (b"", *map(os.fsencode, patterns))
    parts += (b"", *sorted(generated))
    return sha256(b"".join(b"%d:%b" % (len(part), part) for part in parts)).digest()


def _is_folder(path: bytes) -> bool:
    try:
        return S_ISDIR(os.lstat(path).st_mode)
    except OSError:
        return False
