"""Reads advisories from a directory: OSV's own export, or a checkout of a database that is kept in OSV's format.

OSV exports `<Ecosystem>/<ID>.json` and `<Ecosystem>/all.zip` (https://google.github.io/osv.dev/data/); databases in git
have folders of their own below, and some write YAML. Here all files below the directory are read, whichever they are.
"""

from __future__ import annotations

import os
import stat
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

from flowctl_core.errors import ScanError
from flowctl_core.scan.advisory import Advisory, NotAnAdvisoryError, parse_advisory, parse_yaml_advisory

MAX_ADVISORY = 32 * 2**20
"""Bytes; the largest published ones have a few million."""
_MAX_RATIO = 100
"""JSON shrinks to a tenth; a zip bomb's members to a thousandth."""
_RATIO_MATTERS = 64 * 2**20
_MAX_DEPTH = 16
_SUFFIXES: dict[str, Literal["json", "yaml", "zip"]] = {
    ".json": "json",
    ".yaml": "yaml",
    ".yml": "yaml",
    ".zip": "zip",
}


class FileState(NamedTuple):
    """What changes when a file does."""

    size: int
    mtime_ns: int
    ctime_ns: int


@dataclass(frozen=True)
class Entry:
    """An advisory, or why there is none."""

    name: str
    """Of the file, relative to the database; `all.zip:GHSA-….json` in an archive."""
    content: bytes = b""
    advisory: Advisory | None = None
    problem: str = ""


def list_files(root: Path) -> dict[str, FileState]:
    """Files that may hold advisories, by name relative to the root. Raises ScanError when the root cannot be read.

    Links are followed; a folder is read once, by whatever ways it is reached.
    """
    found: dict[str, FileState] = {}
    try:
        _walk(root, "", found, {_identity(root.stat())}, 0)
    except OSError as error:
        raise ScanError(
            f"the vulnerability database {root} cannot be read: {error.strerror or error}",
            hint="Name a directory with advisories in OSV's format (--database, build.scan.database).",
        ) from error
    return found


def _walk(folder: Path, prefix: str, found: dict[str, FileState], seen: set[tuple[int, int]], depth: int) -> None:
    below: dict[str, tuple[int, int]] = {}
    with os.scandir(folder) as entries:
        for entry in entries:
            file = entry.name
            if file.startswith("."):
                continue
            matters = _suffix(file) in _SUFFIXES
            try:
                status = entry.stat()
            except OSError:  # a link to nothing, or round in a circle
                if matters:
                    found[prefix + file] = FileState(-1, 0, 0)
                continue
            if stat.S_ISDIR(status.st_mode):
                below[file] = _identity(status)
            elif matters and stat.S_ISREG(status.st_mode):
                found[prefix + file] = FileState(status.st_size, status.st_mtime_ns, status.st_ctime_ns)
    for name, identity in sorted(below.items()):
        if depth < _MAX_DEPTH and identity not in seen:
            seen.add(identity)
            _walk(folder / name, f"{prefix}{name}/", found, seen, depth + 1)


def _identity(status: os.stat_result) -> tuple[int, int]:
    return status.st_dev, status.st_ino


def read_entries(root: Path, name: str) -> Iterator[Entry]:
    """The advisories in one file. Raises ScanError for an archive that cannot be read at all, or that is a bomb."""
    path = root / name
    kind = _SUFFIXES[path.suffix.lower()]
    if kind == "zip":
        yield from _read_archive(path, name)
        return
    try:
        with path.open("rb") as file:
            content = file.read(MAX_ADVISORY + 1)
    except OSError as error:
        yield Entry(name, problem=f"cannot be read: {error.strerror or error}")
        return
    yield _entry(name, content, kind)


def _entry(name: str, content: bytes, kind: str) -> Entry:
    if len(content) > MAX_ADVISORY:
        return Entry(name, problem=f"is larger than {MAX_ADVISORY // 2**20} MiB")
    try:
        return Entry(name, content, (parse_yaml_advisory if kind == "yaml" else parse_advisory)(content))
    except NotAnAdvisoryError as error:
        return Entry(name, content, problem=str(error))


def _read_archive(path: Path, name: str) -> Iterator[Entry]:
    try:
        with zipfile.ZipFile(path) as archive:
            members = [m for m in archive.infolist() if not m.is_dir() and _SUFFIXES.get(_suffix(m.filename)) == "json"]
            claimed = sum(member.file_size for member in members)  # zipfile never inflates more than that
            if claimed > max(_RATIO_MATTERS, _MAX_RATIO * path.stat().st_size):
                raise ScanError(
                    f"{name} of the vulnerability database would grow to {claimed // 2**20} MiB: "
                    "this is no archive of advisories",
                    hint="Download it again from a source that you trust.",
                )
            for member in members:
                yield _read_member(archive, member, f"{name}:{member.filename}")
    except (zipfile.BadZipFile, OSError) as error:
        raise ScanError(
            f"{name} of the vulnerability database cannot be read: {error}",
            hint="The download may be incomplete; fetch it again.",
        ) from error


def _read_member(archive: zipfile.ZipFile, member: zipfile.ZipInfo, name: str) -> Entry:
    if member.file_size > MAX_ADVISORY:
        return Entry(name, problem=f"is larger than {MAX_ADVISORY // 2**20} MiB")
    try:
        return _entry(name, archive.read(member), "json")
    except (zipfile.BadZipFile, OSError, RuntimeError, NotImplementedError, ValueError, EOFError) as error:
        return Entry(name, problem=f"cannot be unpacked: {error}")


def _suffix(name: str) -> str:
    """Quicker than splitext, which matters for hundreds of thousands of names."""
    return name[name.rfind(".") :].lower()
