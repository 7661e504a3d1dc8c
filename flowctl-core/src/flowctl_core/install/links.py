"""`~/.flowctl/bin`: links to programs of installed versions, and to nothing else.

A link is made after the version's folder is in its place, so it never leads to what was not verified. The caller holds
the lock of the home.
"""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from pathlib import Path, PurePosixPath

from flowctl_core.install.places import Home
from flowctl_core.models.installation import ProgramLink
from flowctl_core.models.installed import InstalledVersion
from flowctl_core.models.platform import Platform
from flowctl_core.store.files import sweep_temporaries, system_refusals, temporary_name

_UP = ".."
_ROOM = "components"


def link_programs(
    home: Home, record: InstalledVersion, platform: Platform, *, replace: bool = False
) -> tuple[ProgramLink, ...]:
    """Make the links of a version's programs for this machine, in place of those of the component's other versions.

    `replace`: also those of other components. What is no link of ours is never touched. Raises StoreError.
    """
    folder = home.version(record.namespace, record.name, record.version)
    found = []
    for program in record.programs:
        if program.platform != platform:
            continue
        link, path = home.bin / program.name, folder / program.path
        problem = _in_the_way(home, link, record, replace=replace)
        if problem is None:
            _make(home, link, PurePosixPath(_UP, _ROOM, record.namespace, record.name, record.version, program.path))
        needs = program.interpreter
        missing = f"it needs {needs}, which is not on PATH" if needs and shutil.which(needs) is None else None
        found.append(
            ProgramLink(
                name=program.name,
                path=str(path),
                link=None if problem else str(link),
                problem="; ".join(filter(None, (problem, missing))) or None,
            )
        )
    return tuple(found)


def linked(home: Home) -> dict[str, tuple[str, str, str]]:
    """Name of each link of ours: namespace, name and version that it leads to."""
    found = {}
    with suppress(FileNotFoundError, NotADirectoryError), os.scandir(home.bin) as scan:
        for entry in scan:
            owner = _owner(Path(entry.path))
            if owner is not None and not entry.name.startswith("."):
                found[entry.name] = owner
    return found


def unlink_version(home: Home, namespace: str, name: str, version: str) -> tuple[str, ...]:
    """Remove the links that lead to a version; their names. Raises StoreError."""
    gone = tuple(sorted(each for each, owner in linked(home).items() if owner == (namespace, name, version)))
    for each in gone:
        with system_refusals(home.bin / each, "removed"):
            (home.bin / each).unlink(missing_ok=True)
    return gone


def _in_the_way(home: Home, link: Path, record: InstalledVersion, *, replace: bool) -> str | None:
    if not os.path.lexists(link):
        return None
    owner = _owner(link)
    if owner is None:
        return f"{link} is something else, and stays"
    namespace, name, version = owner
    if (namespace, name) == (record.namespace, record.name) or replace:
        return None
    if not home.version(namespace, name, version).is_dir():
        return None
    return f"{link} is the program of {namespace}/{name} {version} (--replace-links gives the name to this one)"


def _owner(link: Path) -> tuple[str, str, str] | None:
    try:
        parts = PurePosixPath(os.readlink(link)).parts  # noqa: PTH115 - the text, not a path made of it
    except OSError:
        return None
    if len(parts) < 6 or parts[:2] != (_UP, _ROOM):
        return None
    return parts[2], parts[3], parts[4]


def _make(home: Home, link: Path, target: PurePosixPath) -> None:
    with system_refusals(link, "made"):
        home.bin.mkdir(parents=True, exist_ok=True)
        sweep_temporaries(home.bin, older_than_s=0)
        with suppress(OSError):
            if os.readlink(link) == str(target):  # noqa: PTH115
                return
        temporary = temporary_name(link)
        temporary.symlink_to(target)
        try:
            temporary.replace(link)
        except OSError:
            with suppress(OSError):
                temporary.unlink()
            raise
