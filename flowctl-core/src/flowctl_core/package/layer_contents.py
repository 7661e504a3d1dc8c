"""Looks into a layer without unpacking it: what its bytes are uncompressed, what is in it, what is wrong with it.

Streams: at most one block, one long name and the list of entries are in memory. A layer that unpacks to more than a
layer of its size plausibly does is left off (a "bomb").
"""

from __future__ import annotations

import gzip
import io
import tarfile
import zlib
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path, PurePosixPath
from typing import IO, Literal

from flowctl_core.package.blobs import refusals

RATIO = 100
"""A layer may unpack to so many times its size; programs reach 3, text 10."""
ALWAYS_ALLOWED = 2**30
"""Bytes that any layer may unpack to."""
LIMIT = 32 * 2**30
"""Bytes that no layer may unpack to."""
ENTRY_LIMIT = 500_000
_NAME_LIMIT = 2**20
"""Bytes of a PAX or GNU header, which hold long names."""
_PIECE = 2**20

Kind = Literal["file", "folder", "link", "other"]


@dataclass(frozen=True)
class Entry:
    """One entry of a layer."""

    kind: Kind
    mode: int
    text: str = ""
    """Where a link points."""
    linked: str = ""
    """For a hard link, the path of the same file."""


@dataclass
class Contents:
    """What a layer is."""

    diff_id: str = ""
    """Digest of the uncompressed bytes; empty when they could not be read to the end."""
    entries: dict[str, Entry] = field(default_factory=dict)
    """By absolute path; the last of two equal ones."""
    faults: list[str] = field(default_factory=list)
    """What no layer may have: entries that lead out of the image, an archive that is damaged or a bomb."""
    flaws: list[str] = field(default_factory=list)
    """What a layer of ours may not have, and those of others do: setuid, devices, duplicates."""


class _BombError(Exception):
    """More bytes than the layer may unpack to."""


class _DamagedError(Exception):
    """What tarfile itself would take for the end of the archive, or read whole into memory."""


_LONG = (
    tarfile.GNUTYPE_LONGNAME,
    tarfile.GNUTYPE_LONGLINK,
    tarfile.XHDTYPE,
    tarfile.XGLTYPE,
    tarfile.SOLARIS_XHDTYPE,
)


class _Member(tarfile.TarInfo):
    """A member whose header is sound and cannot fill the memory."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> _Member:
        if not any(buf):  # nothing, or the zeros that end an archive
            return super().frombuf(buf, encoding, errors)
        try:
            member = super().frombuf(buf, encoding, errors)
        except tarfile.HeaderError as error:
            raise _DamagedError(str(error)) from error
        if member.type in _LONG and member.size > _NAME_LIMIT:
            raise _DamagedError(f"a name in it has more than {_NAME_LIMIT} bytes")
        return member


class _Counted(io.RawIOBase):
    """Bytes that are counted and hashed while they are read."""

    def __init__(self, source: IO[bytes], limit: int) -> None:
        self._source = source
        self._limit = limit
        self._hash = sha256()
        self.size = 0

    def read(self, size: int = -1) -> bytes:
        data = self._source.read(size)
        self.size += len(data)
        if self.size > self._limit:
            raise _BombError
        self._hash.update(data)
        return data

    @property
    def digest(self) -> str:
        return "sha256:" + self._hash.hexdigest()


def can_read(media_type: str) -> bool:
    """True for layers that can be looked into: tar and tar+gzip, not zstd."""
    return media_type.endswith((".tar", "+gzip", ".gzip"))


def look_into(path: Path, media_type: str, *, limit: int = LIMIT) -> Contents:
    """Read a layer to its end. Faults are reported, not raised; StoreError when the file cannot be read."""
    found = Contents()
    with refusals(path), path.open("rb") as file:
        size = path.stat().st_size
        allowed = min(limit, max(ALWAYS_ALLOWED, size * RATIO))
        packed: IO[bytes] = file
        if not media_type.endswith(".tar"):
            packed = gzip.GzipFile(fileobj=file, mode="rb")  # type: ignore[assignment]
        stream = _Counted(packed, allowed)
        try:
            _read_entries(stream, found)
            found.diff_id = stream.digest
        except _BombError:
            found.faults.append(f"it unpacks to more than {allowed} bytes from {size}, as no honest layer does")
        except (_DamagedError, tarfile.TarError, gzip.BadGzipFile, zlib.error, EOFError, ValueError) as error:
            found.faults.append(f"it is damaged: {error or type(error).__name__}")
    return found


def _read_entries(stream: _Counted, found: Contents) -> None:
    with tarfile.open(fileobj=stream, mode="r|", bufsize=_PIECE, tarinfo=_Member) as archive:
        count = 0
        while (member := archive.next()) is not None:
            archive.members = []  # type: ignore[attr-defined]  # else all of them stay in memory
            count += 1
            if count > ENTRY_LIMIT:
                raise _DamagedError(f"it has more than {ENTRY_LIMIT} entries")
            _add(member, found)
    while stream.read(_PIECE):
        pass


def _add(member: tarfile.TarInfo, found: Contents) -> None:
    name = member.name
    parts = PurePosixPath(name).parts
    if ".." in parts:
        found.faults.append(f"{name} leads out of the image")
        return
    path = "/" + "/".join(part for part in parts if part not in ("/", "//"))
    if name.startswith("/"):
        found.flaws.append(f"{name} is an absolute name")
    if path in found.entries and not (member.isdir() and found.entries[path].kind == "folder"):
        found.flaws.append(f"{path} is in it twice")
    for parent in PurePosixPath(path).parents:
        above = found.entries.get(str(parent))
        if above is not None and above.kind != "folder":
            found.flaws.append(f"{path} is below {parent}, which is no folder")
    found.entries[path] = _entry(member, path, found)


def _entry(member: tarfile.TarInfo, path: str, found: Contents) -> Entry:
    if member.isdir():
        return Entry("folder", member.mode)
    if member.mode & 0o6000 and not member.issym():
        found.flaws.append(f"{path} runs with the rights of its owner (setuid or setgid)")
    if member.issym():
        if _leads_out(path, member.linkname):
            found.flaws.append(f"{path} links to {member.linkname}, which is out of the image")
        return Entry("link", member.mode, text=member.linkname)
    if member.islnk():
        target = PurePosixPath(member.linkname)
        if ".." in target.parts:
            found.faults.append(f"{path} is the same file as {member.linkname}, which is out of the image")
        return Entry("file", member.mode, linked="/" + str(target).lstrip("/").removeprefix("./"))
    if not member.isreg():
        found.flaws.append(f"{path} is neither a file, a folder nor a link")
        return Entry("other", member.mode)
    return Entry("file", member.mode)


def _leads_out(path: str, text: str) -> bool:
    """A relative link with more `..` than there are folders above it."""
    if text.startswith("/"):
        return False
    depth = len(PurePosixPath(path).parts) - 2
    for part in PurePosixPath(text).parts:
        depth += -1 if part == ".." else 1
        if depth < 0:
            return True
    return False
