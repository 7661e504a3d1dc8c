"""Lockfiles that uv does not read (Poetry, PDM, Pipenv) as constraints that it does."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from flowctl_core.errors import FetchError
from flowctl_lang_python.manifest import normalised


def constraints(path: Path) -> str:
    """Text of a constraints file that pins what the lockfile pins.

    Constraints only bind packages that are wanted, so groups and markers need no translation. A package that
    is locked in several versions (one per Python version or platform) is bound by its markers, where the
    lockfile has them, and is left to the resolver otherwise. Raises FetchError for an unreadable lockfile.
    """
    try:
        content = path.read_text(encoding="utf-8")
        packages = (
            _pipenv(json.loads(content))
            if path.suffix == ".lock" and content.lstrip().startswith("{")
            else _toml(tomllib.loads(content))
        )
    except (OSError, ValueError, RecursionError) as error:
        raise FetchError(
            f"{path.name} cannot be read: {error}", hint="Make it anew with the tool it belongs to."
        ) from error
    names = [name for name, _, _ in packages]
    lines = [
        f"{name}=={version}" + (f" ; {marker}" if names.count(name) > 1 else "")
        for name, version, marker in packages
        if marker or names.count(name) == 1
    ]
    return "".join(f"{line}\n" for line in sorted(set(lines)))


def hashes(path: Path) -> dict[str, frozenset[str]]:
    """The archives' digests that a lockfile lists, `sha256:<hex>` by normalised name of the distribution.

    Empty for one that lists none. Raises FetchError for an unreadable lockfile.
    """
    try:
        content = path.read_text(encoding="utf-8")
        data = json.loads(content) if content.lstrip().startswith("{") else tomllib.loads(content)
    except (OSError, ValueError, RecursionError) as error:
        raise FetchError(
            f"{path.name} cannot be read: {error}", hint="Make it anew with the tool it belongs to."
        ) from error
    found: dict[str, set[str]] = {}
    for name, files in _files(data if isinstance(data, dict) else {}):
        listed = (file.get("hash") if isinstance(file, dict) else file for file in files)
        found.setdefault(normalised(name), set()).update(text for text in listed if isinstance(text, str))
    return {name: frozenset(listed) for name, listed in found.items() if listed}


def _files(data: dict[str, Any]) -> Iterator[tuple[str, list[Any]]]:
    """The files of each package: Poetry 1.x lists them under [metadata.files], Pipenv as bare hashes."""
    metadata = data.get("metadata")
    older = metadata.get("files") if isinstance(metadata, dict) else None
    tables = [older] if isinstance(older, dict) else []
    for section in ("default", "develop"):
        entries = data.get(section)
        if isinstance(entries, dict):
            tables.append({name: entry.get("hashes") for name, entry in entries.items() if isinstance(entry, dict)})
    packages = data.get("package")
    for package in packages if isinstance(packages, list) else ():
        if isinstance(package, dict) and isinstance(package.get("name"), str):
            tables.append({package["name"]: package.get("files")})
    for table in tables:
        yield from ((str(name), files) for name, files in table.items() if isinstance(files, list))


def _toml(data: dict[str, Any]) -> list[tuple[str, str, str]]:
    found = []
    for package in data.get("package", []):
        if not isinstance(package, dict) or _elsewhere(package):
            continue
        name, version, marker = (
            package.get("name"),
            package.get("version"),
            package.get("markers") or package.get("marker"),
        )
        if isinstance(name, str) and isinstance(version, str):
            found.append((name, version, marker if isinstance(marker, str) else ""))
    return found


def _elsewhere(package: dict[str, Any]) -> bool:
    """True for packages that come from git, a URL or a folder: a version would not bind those."""
    kind = package.get("source", {}).get("type") if isinstance(package.get("source"), dict) else None
    return kind in ("git", "url", "file", "directory") or any(key in package for key in ("git", "url", "path"))


def _pipenv(data: Any) -> list[tuple[str, str, str]]:
    found: dict[str, tuple[str, str, str]] = {}
    for section in ("default", "develop"):
        for name, entry in (data.get(section) or {}).items() if isinstance(data, dict) else ():
            version = entry.get("version") if isinstance(entry, dict) else None
            if isinstance(version, str) and version.startswith("=="):
                found.setdefault(name, (name, version[2:], ""))
    return list(found.values())
