"""yarn.lock: the format of yarn 1 (https://classic.yarnpkg.com/lang/en/docs/yarn-lock/), and YAML of yarn 2 and newer.

Both map descriptors (`name@range`) to packages; what package.json files ask for comes from those themselves. Keys are
the first descriptor of an entry. The checksums of yarn 2 are of its own archives and say nothing about the registry's.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from flowctl_lang_node.locks.graph import Importer, LockedPackage, LockGraph, UnreadableLockError
from flowctl_lang_node.locks.yaml_text import read_yaml
from flowctl_lang_node.manifest import Package

_PAIR = re.compile(r'(?:"((?:[^"\\]|\\.)*)"|([^\s":,]+(?::[^\s",]+)*))\s+(?:"((?:[^"\\]|\\.)*)"|(.+))')
_DESCRIPTOR = re.compile(r'"((?:[^"\\]|\\.)*)"|([^\s",][^",]*)')


def read(text: str, manifests: Mapping[str, Package]) -> LockGraph:
    """The graph of a lockfile, for package.json files by folder. Raises UnreadableLockError."""
    entries = _berry(text) if "__metadata:" in text[:4000] else _classic(text)
    by_descriptor: dict[str, str] = {}
    by_name: dict[str, set[str]] = {}
    for key, entry in entries.items():
        for descriptor in entry["descriptors"]:
            by_descriptor[descriptor] = key
        by_name.setdefault(_name(key), set()).add(key)

    def find(name: str, wanted: str) -> str | None:
        for descriptor in (f"{name}@{wanted}", f"{name}@npm:{wanted}"):
            if descriptor in by_descriptor:
                return by_descriptor[descriptor]
        # `resolutions` in package.json lead elsewhere: certain where there is one of that name.
        there = by_name.get(name, set())
        return next(iter(there)) if len(there) == 1 else None

    def found(table: Mapping[str, str]) -> tuple[str, ...]:
        keys = (find(name, wanted) for name, wanted in table.items())
        return tuple(key for key in keys if key is not None and not entries[key]["local"])

    packages = {
        key: LockedPackage(
            name=entry["name"],
            version=entry["version"],
            integrity=entry["integrity"],
            needs=found({name: wanted for name, wanted in entry["needs"].items() if name not in entry["optional"]}),
            may_need=found({name: wanted for name, wanted in entry["needs"].items() if name in entry["optional"]}),
            source=entry["source"],
        )
        for key, entry in entries.items()
        if not entry["local"]
    }
    folders = {manifest.name: folder for folder, manifest in manifests.items() if manifest.name}
    return LockGraph(packages, {folder: _importer(one, found, folders) for folder, one in manifests.items()})


def _importer(manifest: Package, found: Any, folders: Mapping[str, str]) -> Importer:
    optional = manifest.table("optionalDependencies")
    runtime = {name: wanted for name, wanted in manifest.dependencies.items() if name not in optional}
    return Importer(
        runtime=found({name: wanted for name, wanted in runtime.items() if name not in folders}),
        optional=found({name: wanted for name, wanted in manifest.dependencies.items() if name in optional}),
        development=found(
            {name: wanted for name, wanted in manifest.all_dependencies.items() if name not in manifest.dependencies}
        ),
        members=tuple(folders[name] for name in manifest.dependencies if name in folders),
    )


def _name(descriptor: str) -> str:
    return descriptor[: descriptor.index("@", 1)] if "@" in descriptor[1:] else descriptor


def _classic(text: str) -> dict[str, dict[str, Any]]:
    entries: dict[str, dict[str, Any]] = {}
    entry: dict[str, Any] = {}
    section = ""
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        depth = len(line) - len(line.lstrip(" "))
        content = line.strip()
        if depth == 0 and content.endswith(":"):
            descriptors = [one or other for one, other in _DESCRIPTOR.findall(content[:-1])]
            if not descriptors:
                raise UnreadableLockError(f"line {number} is no descriptor: {content[:80]}")
            entry = {"descriptors": descriptors, "needs": {}, "optional": set(), "fields": {}}
            entries[descriptors[0]] = entry
        elif depth == 2 and content.endswith(":"):
            section = content[:-1]
        else:
            match = _PAIR.fullmatch(content)
            if match is None or not entry:
                raise UnreadableLockError(f"line {number} is no field: {content[:80]}")
            name, value = match.group(1) or match.group(2), match.group(3) or match.group(4)
            if depth == 2:
                entry["fields"][name] = value
            else:
                entry["needs"][name] = value
                if section == "optionalDependencies":
                    entry["optional"].add(name)
    for key, one in entries.items():
        fields = one["fields"]
        alias = re.fullmatch(r".[^@]*@npm:(.[^@]*)@.*", key)
        resolved = fields.get("resolved", "")
        one.update(
            name=alias.group(1) if alias else _name(key),
            version=fields.get("version", ""),
            integrity=fields.get("integrity", ""),
            source=resolved if resolved.startswith("git") else "",
            local=False,
        )
    return entries


def _berry(text: str) -> dict[str, dict[str, Any]]:
    entries: dict[str, dict[str, Any]] = {}
    for key, data in read_yaml(text).items():
        if key == "__metadata" or not isinstance(data, dict):
            continue
        descriptors = [one.strip() for one in str(key).split(",")]
        resolution = str(data.get("resolution", ""))
        meta = data.get("dependenciesMeta")
        needs = data.get("dependencies")
        optional = {
            name
            for name, one in (meta.items() if isinstance(meta, dict) else ())
            if isinstance(one, dict) and one.get("optional")
        }
        protocol = resolution[len(_name(resolution)) + 1 :]
        entries[descriptors[0]] = {
            "descriptors": descriptors,
            "name": _name(resolution) if resolution else _name(descriptors[0]),
            "version": str(data.get("version", "")),
            "integrity": "",
            "needs": {str(name): str(wanted) for name, wanted in (needs.items() if isinstance(needs, dict) else ())},
            "optional": optional,
            "source": protocol if protocol.startswith(("git", "http")) and "commit=" in protocol else "",
            "local": protocol.startswith(("workspace:", "link:", "portal:")),
        }
    return entries
