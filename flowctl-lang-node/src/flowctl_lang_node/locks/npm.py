"""package-lock.json and npm-shrinkwrap.json, versions 2 and 3 (npm's own documentation of package-lock.json).

Keys are the places of packages in node_modules; who gets which is found as Node.js does, from the inside outwards.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from flowctl_lang_node.locks.graph import Importer, LockedPackage, LockGraph, UnreadableLockError


def read(text: str) -> LockGraph:
    """The graph of a lockfile. Raises UnreadableLockError."""
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UnreadableLockError(f"it is no JSON: {error}") from error
    entries = data.get("packages") if isinstance(data, dict) else None
    if not isinstance(entries, dict):
        raise UnreadableLockError("it has no `packages`: npm 7 or newer writes that (npm install --lockfile-version 3)")
    entries = {key: entry for key, entry in entries.items() if isinstance(entry, dict)}
    packages = {key: _package(key, entry, entries) for key, entry in entries.items() if _is_package(key, entry)}
    importers = {
        key or ".": _importer(key, entry, entries) for key, entry in entries.items() if "node_modules" not in key
    }
    return LockGraph(packages, importers)


def _is_package(key: str, entry: Mapping[str, Any]) -> bool:
    return "node_modules/" in key and not entry.get("link") and bool(entry.get("version"))


def _package(key: str, entry: Mapping[str, Any], entries: Mapping[str, Any]) -> LockedPackage:
    peers = _optional_peers(entry)
    needs = [*_names(entry, "dependencies"), *(name for name in _names(entry, "peerDependencies") if name not in peers)]
    resolved = str(entry.get("resolved", ""))
    return LockedPackage(
        name=str(entry.get("name") or key.rsplit("node_modules/", 1)[-1]),
        version=str(entry["version"]),
        integrity=str(entry.get("integrity", "")),
        needs=_found(key, needs, entries),
        may_need=_found(key, [*_names(entry, "optionalDependencies"), *peers], entries),
        license=entry["license"] if isinstance(entry.get("license"), str) else "",
        installs=entry.get("hasInstallScript") is True,
        source=resolved if resolved.startswith(("git", "file:")) else "",
    )


def _importer(key: str, entry: Mapping[str, Any], entries: Mapping[str, Any]) -> Importer:
    optional = _names(entry, "optionalDependencies")
    runtime = [name for name in _names(entry, "dependencies") if name not in optional]
    members = []
    for name in (*runtime, *optional):
        link = entries.get(f"node_modules/{name}", {})
        if link.get("link") and isinstance(link.get("resolved"), str):
            members.append(link["resolved"])
    return Importer(
        runtime=_found(key, [*runtime, *_names(entry, "peerDependencies")], entries),
        optional=_found(key, optional, entries),
        development=_found(key, _names(entry, "devDependencies"), entries),
        members=tuple(members),
    )


def _names(entry: Mapping[str, Any], field: str) -> list[str]:
    table = entry.get(field)
    return list(table) if isinstance(table, dict) else []


def _optional_peers(entry: Mapping[str, Any]) -> list[str]:
    meta = entry.get("peerDependenciesMeta")
    return (
        [name for name, one in meta.items() if isinstance(one, dict) and one.get("optional")]
        if isinstance(meta, dict)
        else []
    )


def _found(key: str, names: list[str], entries: Mapping[str, Any]) -> tuple[str, ...]:
    found = []
    for name in names:
        here = key
        while True:
            place = f"{here}/node_modules/{name}" if here else f"node_modules/{name}"
            if place in entries:
                if not entries[place].get("link"):
                    found.append(place)
                break
            if not here:
                break
            # The folder above the last node_modules; for a member its own folder, then the root.
            here = here.rpartition("/node_modules/")[0] if "/node_modules/" in here else ""
    return tuple(found)


def with_importers(graph: LockGraph, manifests: Mapping[str, Mapping[str, Any]]) -> LockGraph:
    """The graph of npm's note in node_modules, which has the packages only, with package.json files by folder."""
    places: dict[str, Any] = {key: {} for key in graph.packages}
    found = {folder: _importer("" if folder == "." else folder, data, places) for folder, data in manifests.items()}
    return LockGraph(graph.packages, found)
