"""bun.lock, version 0 and 1 (https://bun.sh/docs/install/lockfile): JSON with comments and trailing commas.

Keys are the places of packages: `ms`, or `parent/ms` where a parent has one of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flowctl_lang_node.locks.graph import Importer, LockedPackage, LockGraph, UnreadableLockError
from flowctl_lang_node.tsconfig import read_jsonc


def read(text: str) -> LockGraph:
    """The graph of a lockfile. Raises UnreadableLockError."""
    data = read_jsonc(text)
    entries, workspaces = data.get("packages"), data.get("workspaces")
    if not isinstance(entries, dict) or not isinstance(workspaces, dict):
        raise UnreadableLockError("it has no `packages` and `workspaces`")
    entries = {key: entry for key, entry in entries.items() if isinstance(entry, list) and entry}
    members = {
        key: str(entry[0]).partition("@workspace:")[2]
        for key, entry in entries.items()
        if "@workspace:" in str(entry[0])
    }
    packages = {key: _package(key, entry, entries, members) for key, entry in entries.items() if key not in members}
    importers = {
        folder or ".": _importer(one, entries, members) for folder, one in workspaces.items() if isinstance(one, dict)
    }
    return LockGraph(packages, importers)


def _package(key: str, entry: list[Any], entries: Mapping[str, Any], members: Mapping[str, str]) -> LockedPackage:
    name, _, version = str(entry[0]).rpartition("@")
    if "@git" in str(entry[0]) or "@http" in str(entry[0]):
        name = str(entry[0])[: str(entry[0]).index("@", 1)]
        version = str(entry[0])[len(name) + 1 :]
    facts = next((item for item in entry if isinstance(item, dict)), {})
    integrity = next((item for item in entry[1:] if isinstance(item, str) and item.startswith("sha")), "")
    optional_peers = facts.get("optionalPeers") if isinstance(facts.get("optionalPeers"), list) else []
    peers = [one for one in _names(facts, "peerDependencies") if one not in (optional_peers or ())]
    return LockedPackage(
        name=name,
        version=version,
        integrity=integrity,
        needs=_found(key, [*_names(facts, "dependencies"), *peers], entries, members),
        may_need=_found(key, [*_names(facts, "optionalDependencies"), *(optional_peers or ())], entries, members),
        source=version if version.startswith("git") else "",
    )


def _importer(workspace: Mapping[str, Any], entries: Mapping[str, Any], members: Mapping[str, str]) -> Importer:
    own = str(workspace.get("name", ""))
    runtime, optional = _names(workspace, "dependencies"), _names(workspace, "optionalDependencies")
    return Importer(
        runtime=_found(own, runtime, entries, members),
        optional=_found(own, optional, entries, members),
        development=_found(own, _names(workspace, "devDependencies"), entries, members),
        members=tuple(members[name] for name in (*runtime, *optional) if name in members),
    )


def _names(entry: Mapping[str, Any], field: str) -> list[str]:
    table = entry.get(field)
    return list(table) if isinstance(table, dict) else []


def _found(key: str, names: list[str], entries: Mapping[str, Any], members: Mapping[str, str]) -> tuple[str, ...]:
    parts = _parts(key)
    found = []
    for name in names:
        for depth in range(len(parts), -1, -1):
            place = "/".join((*parts[:depth], name))
            if place in entries:
                if place not in members:
                    found.append(place)
                break
    return tuple(found)


def _parts(key: str) -> list[str]:
    """The names in a place; a scope belongs to its name: `@a/b/c` has two."""
    parts: list[str] = []
    for part in key.split("/") if key else ():
        if parts and parts[-1].startswith("@") and "/" not in parts[-1]:
            parts[-1] = f"{parts[-1]}/{part}"
        else:
            parts.append(part)
    return parts
