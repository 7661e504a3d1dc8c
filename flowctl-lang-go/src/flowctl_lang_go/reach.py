"""Follows imports from the program through the source: its packages for one target, and what they ask for.

Reads files, runs nothing. What lies outside the source (the module cache) is named, not followed.
"""

from __future__ import annotations

import posixpath
from collections.abc import Sequence
from dataclasses import dataclass, field

from flowctl_core.errors import SourceError
from flowctl_lang_go.constraints import Target
from flowctl_lang_go.imports import mostly_c, read_cgo_lines
from flowctl_lang_go.manifest import Module, join
from flowctl_lang_go.targets import Tree, is_below, read_header

_C_SOURCES = (".c", ".cc", ".cpp", ".cxx", ".m", ".mm", ".f", ".f90", ".for", ".F", ".S", ".sx")
_SPEAKS_TLS = frozenset({"crypto/tls", "crypto/x509", "net/http", "net/smtp"})


@dataclass
class Reach:
    """What a program is made of, for one target."""

    packages: dict[str, str] = field(default_factory=dict)
    """Folder → import path, in the order in which they were met; vendored ones too."""
    outside: set[str] = field(default_factory=set)
    """Import paths that neither the source nor the standard library has."""
    standard: set[str] = field(default_factory=set)
    """Packages of the standard library that the source itself imports."""
    excluded: set[str] = field(default_factory=set)
    """Folders that are imported and whose Go files all belong to other targets."""
    c_users: set[str] = field(default_factory=set)
    """Folders with a file that has `import "C"`."""
    c_required: set[str] = field(default_factory=set)
    """Those of them that cannot do without: the source's own, those mostly made of C, those with nothing else."""
    frameworks: set[str] = field(default_factory=set)
    """Apple frameworks that `#cgo` lines name."""
    pkg_config: set[str] = field(default_factory=set)
    """Libraries that `#cgo pkg-config` lines name."""

    @property
    def speaks_tls(self) -> bool:
        """True when it does, or when a dependency may: what lies outside the source is not looked into."""
        return bool(self.outside or self.standard & _SPEAKS_TLS)


def follow(tree: Tree, modules: Sequence[Module], start: str, target: Target, *, vendor: str | None) -> Reach:
    """The packages that the one in the folder `start` consists of.

    `modules` are those in the source; `vendor` is the folder of vendored packages, None where it is not used. With
    `target.cgo` off, files with `import "C"` are left out, as Go does.
    """
    reach = Reach()
    queue = [(start, "main")]
    while queue:
        folder, path = queue.pop()
        if folder in reach.packages or folder in reach.excluded:
            continue
        imported = _read_package(tree, folder, path, target, reach, own=vendor is None or not is_below(folder, vendor))
        for name in imported:
            found = _place(tree, modules, name, vendor)
            if found is not None:
                queue.append((found, name))
            elif "." in name.split("/")[0]:
                reach.outside.add(name)
            else:
                reach.standard.add(name)
    return reach


def _read_package(tree: Tree, folder: str, path: str, target: Target, reach: Reach, *, own: bool) -> list[str]:
    """Add one package to what is known; returns its imports in name order."""
    imported: set[str] = set()
    names = _names(tree, folder)
    without_c = with_c = 0
    any_go = False
    for name in names:
        if not name.endswith(".go") or name.endswith("_test.go") or name.startswith(("_", ".")):
            continue
        any_go = True
        header = read_header(tree.source, join(folder, name), target)
        if header is None or not header.wanted or header.package == "documentation":
            continue
        imports = header.imports
        if "C" in imports.paths:
            if not target.cgo:
                continue
            with_c += 1
            needs = read_cgo_lines(imports.comments, target.has)
            reach.frameworks.update(needs.frameworks)
            reach.pkg_config.update(needs.pkg_config)
        else:
            without_c += 1
        imported.update(imports.paths)
    if any_go and not with_c and not without_c:
        reach.excluded.add(folder)
        return []
    reach.packages[folder] = path
    if with_c:
        reach.c_users.add(folder)
        brings_c = any(posixpath.splitext(name)[1] in _C_SOURCES for name in names)
        if own or not without_c or (brings_c and mostly_c(with_c, without_c)):
            reach.c_required.add(folder)
    return sorted(imported - {"C"})


def _place(tree: Tree, modules: Sequence[Module], name: str, vendor: str | None) -> str | None:
    """The folder in the source that an import path leads to."""
    owners = [m for m in modules if m.path and (name == m.path or name.startswith(m.path + "/"))]
    for module in sorted(owners, key=lambda owner: -len(owner.path)):
        folder = join(module.folder, "./" + name[len(module.path) :])
        inner = (one for one in tree.modules if one != module.folder and is_below(one, module.folder))
        if _names(tree, folder) and not any(is_below(folder, one) for one in inner):
            return folder
    if vendor is not None and _names(tree, folder := join(vendor, name)):
        return folder
    return None


def _names(tree: Tree, folder: str) -> list[str]:
    try:
        return sorted(entry.name for entry in tree.source.path(folder).iterdir())
    except (OSError, SourceError):  # a folder that is not there, or leads outside
        return []
