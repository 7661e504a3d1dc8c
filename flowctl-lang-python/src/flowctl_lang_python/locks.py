"""Lockfiles that uv does not read (Poetry, PDM, Pipenv) as constraints that it does."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

from flowctl_core.errors import FetchError


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
