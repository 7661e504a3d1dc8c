"""What came out of the cache outside `.flowctl`, so that clean removes just that and nothing that was there before.

A builder remembers in its work folder what it made; clean takes that folder with it, and of what is restored
afterwards no builder knows.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path, PurePosixPath

from flowctl_core.store.files import STATE_DIR, atomic_write, system_refusals
from flowctl_core.store.git_repository import find_repository

_FILE = "restored.json"


def absent(root: Path, paths: Iterable[str]) -> list[str]:
    """For each path (relative, of an artifact) outside `.flowctl`: what is not there yet, it or a folder above it."""
    missing = []
    for path in paths:
        pure = PurePosixPath(path)
        if pure.parts[0] == STATE_DIR:
            continue
        for place in (*reversed(pure.parents[:-1]), pure):
            if not os.path.lexists(root / place):
                missing.append(place.as_posix())
                break
    return missing


def remember(root: Path, state: Path, paths: Iterable[str]) -> None:
    """Add what now is at these paths to the record, with all that folders hold. Raises StoreError."""
    found = {name for path in paths for name in _below(root, path)}
    if found:
        text = json.dumps(sorted(found.union(_recorded(state))))
        atomic_write(state / _FILE, text.encode(), durable=False)


def remove(root: Path, state: Path) -> list[str]:
    """Remove what the record names, folders only when nothing else is in them; return what is gone, folders whole.

    What git tracks by now is the developer's and stays. The record came with the folder, and may be a stranger's:
    nothing outside the component, and nothing behind a link, is touched. Raises StoreError.
    """
    real = root.resolve()
    recorded = [path for path in _recorded(state) if _inside(real, path)]
    tracked = _tracked(real) if recorded else frozenset()
    gone: list[str] = []
    for path in sorted(recorded, reverse=True):  # what is in a folder before the folder
        place = real / path
        if path in tracked or not os.path.lexists(place):
            continue
        if place.is_dir() and not place.is_symlink():
            with suppress(OSError):  # not empty
                place.rmdir()
                gone = [path, *(one for one in gone if not one.startswith(f"{path}/"))]
        else:
            with system_refusals(place, "removed"):
                place.unlink()
            gone.append(path)
    return sorted(gone)


def _below(root: Path, path: str) -> Iterator[str]:
    yield path
    if not (root / path).is_symlink():
        for folder, folders, names in os.walk(root / path):
            yield from (Path(folder, name).relative_to(root).as_posix() for name in (*folders, *names))


def _inside(root: Path, path: str) -> bool:
    pure = PurePosixPath(path)
    if pure.is_absolute() or ".." in pure.parts or not pure.parts:
        return False
    return (root / pure).parent.resolve() == (root / pure).parent


def _tracked(root: Path) -> frozenset[str]:
    """What git tracks, relative to `root`."""
    repository, _ = find_repository(os.fsencode(root))
    if repository is None:
        return frozenset()
    prefix = os.fsdecode(os.path.relpath(os.fsencode(root), repository.top))
    inside = "" if prefix == "." else f"{prefix}/"
    names = map(os.fsdecode, repository.tracked())
    return frozenset(name.removeprefix(inside) for name in names if name.startswith(inside))


def _recorded(state: Path) -> list[str]:
    try:
        listed = json.loads((state / _FILE).read_bytes())
    except (OSError, ValueError, RecursionError):
        return []
    return [path for path in listed if isinstance(path, str)] if isinstance(listed, list) else []
