"""Finds the entry points of the group `flowctl` among the installed distributions.

`importlib.metadata.entry_points()` reads and parses every distribution's files and is slow to import; here
each `entry_points.txt` is searched for the group's header first (under 1 ms for 55 distributions, against 3
to 5 ms and the import), so no cache has to be kept up to date. A test holds the two to the same answers.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

GROUP = "flowctl"
_METADATA = (".dist-info", ".egg-info")
_ENTRY_LIMIT = 1024 * 1024
"""Bytes read of an `entry_points.txt`; real ones have a few hundred."""


@dataclass(frozen=True)
class PluginReference:
    """Where a plugin is: what an entry point says, and which distribution says it."""

    name: str
    value: str = ""
    """`module:attribute`; empty only when `plugin` is given."""
    distribution: str = ""
    """Normalised name (PEP 503) of the distribution."""
    version: str = ""
    metadata: Path | None = None
    """The distribution's `.dist-info` folder, where it is installed."""
    plugin: object = field(default=None, compare=False)
    """The plugin object itself, for plugins that are not installed (tests)."""


def installed_plugins(path: Sequence[str] | None = None, *, group: str = GROUP) -> tuple[PluginReference, ...]:
    """Entry points of `group` on `path` (default `sys.path`), ordered by distribution and name.

    Where a distribution is on the path twice, the first one counts, as it does for `import`.
    """
    header = f"[{group}]".encode()
    seen: set[str] = set()
    found: list[PluginReference] = []
    for folder in _metadata_folders(path):
        content = _read(folder / "entry_points.txt")
        if header not in content:
            # A distribution without plugins still hides a second one of its name further down the path.
            seen.add(_identity_from_name(folder)[0])
            continue
        distribution, version = _identity(folder)
        if distribution in seen:
            continue
        seen.add(distribution)
        found += [
            PluginReference(name, value, distribution, version, folder)
            for name, value in _section(content.decode("utf-8", "replace"), group)
        ]
    return tuple(sorted(found, key=lambda reference: (reference.distribution, reference.name)))


def find_distribution(name: str, path: Sequence[str] | None = None) -> tuple[str, Path] | None:
    """Version and metadata folder of an installed distribution, or None."""
    wanted = normalise(name)
    for folder in _metadata_folders(path):
        if _identity_from_name(folder)[0] == wanted:
            return _identity(folder)[1], folder
    return None


def normalise(name: str) -> str:
    """A distribution's name as package indexes compare it (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def _metadata_folders(path: Sequence[str] | None) -> Iterator[Path]:
    for entry in sys.path if path is None else path:
        try:
            with os.scandir(entry or ".") as entries:
                names = sorted(item.name for item in entries if item.name.endswith(_METADATA))
        except OSError:  # missing, a zip archive, not readable: nothing that we could import plugins from quickly
            continue
        yield from (Path(entry or ".", name) for name in names)


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(_ENTRY_LIMIT)
    except OSError:
        return b""


def _identity_from_name(folder: Path) -> tuple[str, str]:
    """Name and version as the folder's name gives them; an old `.egg-info` may have no version there."""
    name, _, version = folder.name.rpartition(".")[0].partition("-")
    if folder.suffix == ".egg-info":
        version = version.partition("-py")[0]
    return normalise(name), version


def _identity(folder: Path) -> tuple[str, str]:
    name, version = _identity_from_name(folder)
    if version:
        return name, version
    from importlib.metadata import Distribution

    distribution = Distribution.at(folder)
    try:
        return normalise(distribution.metadata["Name"] or name), distribution.version or ""
    except KeyError:
        return name, ""


def _section(text: str, group: str) -> Iterator[tuple[str, str]]:
    """`name = value` lines of one section, read as `importlib.metadata` does."""
    inside = False
    for raw in text.splitlines():
        line = raw.strip()
        if line.startswith("[") and line.endswith("]"):
            inside = line == f"[{group}]"
        elif inside and line and not line.startswith("#"):
            name, _, value = line.partition("=")
            yield name.strip(), value.strip()
