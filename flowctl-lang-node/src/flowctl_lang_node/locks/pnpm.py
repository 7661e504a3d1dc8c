"""pnpm-lock.yaml, versions 6 and 9 (https://github.com/pnpm/spec/tree/master/lockfile).

Keys are those of `snapshots` (version 9) or of `packages` without the leading slash (version 6): `name@1.0.0(peer@2)`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flowctl_lang_node.locks.graph import Importer, LockedPackage, LockGraph, UnreadableLockError
from flowctl_lang_node.locks.yaml_text import read_yaml
from flowctl_lang_node.manifest import joined


def read(text: str) -> LockGraph:
    """The graph of a lockfile. Raises UnreadableLockError."""
    data = read_yaml(text)
    version = str(data.get("lockfileVersion", ""))
    if version.split(".")[0] not in ("6", "9"):
        raise UnreadableLockError(f"lockfileVersion {version or 'none'} is not known here, only 6 and 9")
    described = {key.removeprefix("/"): entry for key, entry in _table(data, "packages").items()}
    snapshots = _table(data, "snapshots") if version.startswith("9") else described
    snapshots = {key: entry if isinstance(entry, dict) else {} for key, entry in snapshots.items()}
    packages = {key: _package(key, entry, described, snapshots) for key, entry in snapshots.items()}
    importers = _table(data, "importers") or {".": data}
    return LockGraph(packages, {folder: _importer(folder, one, snapshots) for folder, one in importers.items()})


def _package(
    key: str, snapshot: Mapping[str, Any], described: Mapping[str, Any], snapshots: Mapping[str, Any]
) -> LockedPackage:
    bare = key.split("(")[0]
    entry = described.get(bare) or described.get(key) or {}
    resolution = _table(entry, "resolution")
    name, _, version = bare.rpartition("@")
    source = str(resolution.get("repo") or resolution.get("tarball") or resolution.get("directory") or "")
    return LockedPackage(
        name=str(entry.get("name") or name),
        version=str(entry.get("version") or version),
        integrity=str(resolution.get("integrity", "")),
        needs=_keys(snapshot, "dependencies", snapshots),
        may_need=_keys(snapshot, "optionalDependencies", snapshots),
        installs=entry.get("requiresBuild") is True,
        source=f"git+{source}" if resolution.get("type") == "git" else "",
    )


def _importer(folder: str, importer: Mapping[str, Any], snapshots: Mapping[str, Any]) -> Importer:
    members = []
    for field in ("dependencies", "optionalDependencies"):
        for value in _table(importer, field).values():
            version = _version(value)
            if version.startswith("link:"):
                members.append(joined(folder, version.removeprefix("link:")))
    return Importer(
        runtime=_keys(importer, "dependencies", snapshots),
        optional=_keys(importer, "optionalDependencies", snapshots),
        development=_keys(importer, "devDependencies", snapshots),
        members=tuple(members),
    )


def _keys(entry: Mapping[str, Any], field: str, snapshots: Mapping[str, Any]) -> tuple[str, ...]:
    found = []
    for name, value in _table(entry, field).items():
        version = _version(value).removeprefix("/")
        # An alias names the package itself: `name@1.0.0` in place of `1.0.0`.
        key = next((key for key in (f"{name}@{version}", version) if key in snapshots), None)
        if key is not None:
            found.append(key)
    return tuple(found)


def _version(value: Any) -> str:
    return str(value.get("version", "")) if isinstance(value, dict) else str(value)


def _table(entry: Mapping[str, Any], field: str) -> dict[str, Any]:
    value = entry.get(field)
    return value if isinstance(value, dict) else {}
