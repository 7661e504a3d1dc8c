"""The packages of a source tree: one package, or a workspace with its members, as cargo would gather them."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from flowctl_core.models import SourceTree
from flowctl_lang_rust.manifest import (
    Package,
    join,
    outside,
    package_table,
    read_package,
    read_toml,
    strings,
    table,
)


@dataclass(frozen=True)
class Project:
    """What the Cargo.toml of a folder covers."""

    folder: str
    """Where the toolchain runs, relative to the source tree."""
    workspace: str | None
    """Folder of the workspace's Cargo.toml (the package's own folder when it stands alone); None when it lies
    outside the source tree or cannot be told."""
    members: tuple[Package, ...]
    """The packages that can be chosen with `--package`, in order of their folders."""
    default_members: tuple[Package, ...]
    """Those that cargo takes when nothing is chosen."""
    companions: tuple[Package, ...] = ()
    """Packages in the tree that members depend on by path without being members."""
    inherits_from_outside: bool = False
    """True when a member says `workspace = true` and no workspace in the tree answers."""

    @property
    def packages(self) -> tuple[Package, ...]:
        """Members and companions."""
        return (*self.members, *self.companions)

    def outside_dependencies(self) -> tuple[tuple[str, str], ...]:
        """Path dependencies that leave the source tree, as (package name, path)."""
        return tuple((p.name, path) for p in self.packages for path in p.path_dependencies if outside(path))


def read_project(source: SourceTree, folder: str) -> Project:
    """The project whose Cargo.toml stands in `folder`.

    Raises PlanError when a manifest is missing, is not TOML or names no package.
    """
    data = read_toml(source, join(folder, "Cargo.toml"))
    if isinstance(data.get("workspace"), dict):
        return _read_workspace(source, folder, data)
    root = _enclosing_workspace(source, folder, data)
    shared, shared_folder = ({}, folder) if root is None else (root[1], root[0])
    package = read_package(source, folder, data, shared, shared_folder)
    stray = root is None and (_inherits(data) or outside(_pointer(folder, data) or "."))
    return Project(
        folder=folder,
        workspace=root[0] if root else (None if stray else folder),
        members=(package,),
        default_members=(package,),
        companions=tuple(_companions(source, [package], shared, shared_folder)),
        inherits_from_outside=stray,
    )


def _read_workspace(source: SourceTree, folder: str, data: Mapping[str, Any]) -> Project:
    workspace = table(data, "workspace")
    folders = [] if not package_table(data) else [folder]
    patterns = [join(folder, pattern) for pattern in strings(workspace.get("members"))]
    excluded = tuple(join(folder, path) for path in strings(workspace.get("exclude")))
    found = _match(source, folder, patterns)
    folders += [f for f in found if f not in folders and not _excluded(f, excluded, patterns)]
    packages = {f: _read_member(source, f, data if f == folder else None, workspace, folder) for f in folders}
    # A path dependency below the workspace's folder is a member too, unless it is excluded.
    waiting = list(packages.values())
    while waiting:
        for path in waiting.pop().path_dependencies:
            if path in packages or outside(path) or not _below(path, folder):
                continue
            if source.exists(join(path, "Cargo.toml")) and not _excluded(path, excluded, patterns):
                packages[path] = _read_member(source, path, None, workspace, folder)
                waiting.append(packages[path])
    members = tuple(packages[f] for f in sorted(packages))
    chosen = _match(source, folder, [join(folder, p) for p in strings(workspace.get("default-members"))])
    if "default-members" in workspace:
        default = tuple(m for m in members if m.folder in chosen)
    else:
        default = tuple(m for m in members if m.folder == folder) or members
    return Project(
        folder=folder,
        workspace=folder,
        members=members,
        default_members=default,
        companions=tuple(_companions(source, members, workspace, folder)),
    )


def _read_member(
    source: SourceTree, folder: str, data: Mapping[str, Any] | None, workspace: Mapping[str, Any], root: str
) -> Package:
    if data is None:
        data = read_toml(source, join(folder, "Cargo.toml"))
    return read_package(source, folder, data, workspace, root)


def _companions(
    source: SourceTree, members: Iterable[Package], workspace: Mapping[str, Any], root: str
) -> Iterator[Package]:
    seen = {member.folder for member in members}
    waiting = list(members)
    while waiting:
        for path in waiting.pop().path_dependencies:
            if path in seen or outside(path) or not source.exists(join(path, "Cargo.toml")):
                continue
            seen.add(path)
            companion = _read_member(source, path, None, workspace, root)
            waiting.append(companion)
            yield companion


def _enclosing_workspace(
    source: SourceTree, folder: str, data: Mapping[str, Any]
) -> tuple[str, Mapping[str, Any]] | None:
    """Folder and `[workspace]` table of the workspace that a package belongs to, where it is in the tree."""
    pointer = _pointer(folder, data)
    candidates = [pointer] if pointer is not None else list(_parents(folder))
    for candidate in candidates:
        path = join(candidate, "Cargo.toml")
        if outside(candidate) or not source.exists(path):
            continue
        above = read_toml(source, path)
        workspace = above.get("workspace")
        if not isinstance(workspace, dict):
            continue
        patterns = [join(candidate, pattern) for pattern in strings(workspace.get("members"))]
        excluded = tuple(join(candidate, p) for p in strings(workspace.get("exclude")))
        return None if _excluded(folder, excluded, patterns) else (candidate, workspace)
    return None


def _pointer(folder: str, data: Mapping[str, Any]) -> str | None:
    pointer = package_table(data).get("workspace")
    return join(folder, pointer) if isinstance(pointer, str) else None


def _parents(folder: str) -> Iterator[str]:
    while folder not in (".", ""):
        folder = posixpath.dirname(folder) or "."
        yield folder


def _inherits(data: Mapping[str, Any]) -> bool:
    """True when any field of the package or any dependency says `workspace = true`."""
    fields = [*package_table(data).values(), data.get("lints")]
    for key in ("dependencies", "dev-dependencies", "build-dependencies"):
        fields += table(data, key).values()
    return any(isinstance(field, dict) and field.get("workspace") is True for field in fields)


def _below(path: str, folder: str) -> bool:
    return folder == "." or path == folder or path.startswith(folder + "/")


def _excluded(folder: str, excluded: Iterable[str], members: Iterable[str]) -> bool:
    """Cargo's rule: below an excluded path, unless a member entry names it or a folder above it literally."""
    if any(_below(folder, member) for member in members):
        return False
    return any(_below(folder, path) for path in excluded)


def _match(source: SourceTree, root: str, patterns: list[str]) -> list[str]:
    """Folders with a Cargo.toml that member patterns (`crates/*`) match, in the order of the patterns."""
    found: list[str] = []
    folders: list[str] | None = None
    for pattern in patterns:
        if not any(sign in pattern for sign in "*?["):
            if not outside(pattern) and source.exists(join(pattern, "Cargo.toml")) and pattern not in found:
                found.append(pattern)
            continue
        if folders is None:
            files = source.walk(root)
            folders = [posixpath.dirname(f) or "." for f in files if posixpath.basename(f) == "Cargo.toml"]
        try:
            expression = re.compile(_glob(pattern))
        except re.error:  # a range such as [z-a]: matches nothing, as in cargo
            continue
        found += [f for f in folders if expression.fullmatch(f) and f not in found]
    return found


def _glob(pattern: str) -> str:
    """A glob as a regular expression: `*` and `?` stay within a folder, `**` crosses folders."""
    out = ""
    position = 0
    while position < len(pattern):
        sign = pattern[position]
        closing = pattern.find("]", position + 2) if sign == "[" else -1
        if pattern.startswith("**/", position):
            out, position = out + "(?:.*/)?", position + 3
        elif pattern.startswith("**", position):
            out, position = out + ".*", position + 2
        elif sign == "*":
            out, position = out + "[^/]*", position + 1
        elif sign == "?":
            out, position = out + "[^/]", position + 1
        elif closing > 0:
            inside = pattern[position + 1 : closing].replace("\\", "\\\\").replace("[", "\\[")
            inside = "^" + inside[1:] if inside.startswith("!") else inside
            out, position = out + f"[{inside}]", closing + 1
        else:
            out, position = out + re.escape(sign), position + 1
    return out
