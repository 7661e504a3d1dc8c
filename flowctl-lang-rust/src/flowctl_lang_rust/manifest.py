"""Reads one Cargo.toml: what cargo itself would infer from it and from the files beside it, without cargo.

The rules are those of the Cargo Book's «Cargo Targets» and «The Manifest Format» (target auto-discovery,
editions, inheritance with `workspace = true`).
"""

from __future__ import annotations

import posixpath
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from flowctl_core.errors import PlanError, SourceError
from flowctl_core.models import SourceTree

_POSITION = re.compile(r"\(at line (\d+), column (\d+)\)")
_DEPENDENCY_TABLES = (
    "dependencies",
    "dev-dependencies",
    "build-dependencies",
    "dev_dependencies",
    "build_dependencies",
)
LINKED_TYPES = ("cdylib", "staticlib")
"""Crate types that other languages load: an artifact of their own, unlike an rlib."""


@dataclass(frozen=True)
class Bin:
    """A program of a package."""

    name: str
    path: str
    """Relative to the source tree."""
    required_features: tuple[str, ...] = ()


@dataclass(frozen=True)
class Library:
    """The library of a package."""

    name: str
    """Crate name, as file names have it (`-` became `_`)."""
    path: str
    """Relative to the source tree."""
    crate_types: tuple[str, ...] = ("lib",)

    @property
    def linked(self) -> tuple[str, ...]:
        """The crate types that are artifacts: `cdylib`, `staticlib`."""
        return tuple(kind for kind in LINKED_TYPES if kind in self.crate_types)


@dataclass(frozen=True)
class Package:
    """A package, with everything inherited from its workspace filled in."""

    folder: str
    """Folder of its Cargo.toml, relative to the source tree; `.` is the tree itself."""
    name: str
    edition: str = "2015"
    rust_version: str | None = None
    version: str | None = None
    default_run: str | None = None
    bins: tuple[Bin, ...] = ()
    library: Library | None = None
    default_features: frozenset[str] = frozenset()
    path_dependencies: tuple[str, ...] = ()
    """Folders relative to the source tree; those that start with `..` lie outside it."""

    @property
    def manifest(self) -> str:
        """Path of its Cargo.toml, relative to the source tree."""
        return join(self.folder, "Cargo.toml")

    def missing_features(self, program: Bin) -> tuple[str, ...]:
        """Features that the program requires and that are not on by default."""
        return tuple(f for f in program.required_features if f not in self.default_features)


def join(folder: str, path: str) -> str:
    """A path below a folder, both relative to the source tree, normalised; may start with `..`."""
    return posixpath.normpath(posixpath.join(folder, path))


def outside(path: str) -> bool:
    """True when a normalised relative path leaves the source tree."""
    return path == ".." or path.startswith(("../", "/"))


def read_toml(source: SourceTree, path: str) -> dict[str, Any]:
    """A TOML file of the source tree.

    Raises PlanError, naming file and line, when it cannot be read or is not TOML.
    """
    try:
        # cargo, too, passes over a byte order mark.
        return tomllib.loads(source.read_text(path).removeprefix("\ufeff"))
    except SourceError as error:
        raise PlanError(error.message, hint=error.hint) from error
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        text = str(error) or "nested too deeply"
        where = _POSITION.search(text)
        line = f":{where.group(1)}" if where else ""
        raise PlanError(
            f"{path}{line} is not valid TOML: {text}", hint="Correct the file; cargo refuses it too."
        ) from error


def table(data: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    """The table under a key, or an empty one when there is none or it is something else."""
    value = data.get(key)
    return value if isinstance(value, dict) else {}


def strings(value: object) -> tuple[str, ...]:
    """The strings of a list; an empty tuple for anything else."""
    return tuple(item for item in value if isinstance(item, str)) if isinstance(value, list) else ()


def _string(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


def package_table(data: Mapping[str, Any]) -> Mapping[str, Any]:
    """The `[package]` table (`[project]` in very old manifests)."""
    return table(data, "package") or table(data, "project")


def read_package(
    source: SourceTree,
    folder: str,
    data: Mapping[str, Any],
    workspace: Mapping[str, Any] | None,
    workspace_folder: str,
) -> Package:
    """The package that a parsed Cargo.toml declares.

    `workspace` is the `[workspace]` table it inherits from, `workspace_folder` where that stands.
    Raises PlanError when the package has no name.
    """
    own = package_table(data)
    shared = table(workspace or {}, "package")

    def inherited(key: str) -> object:
        value = own.get(key)
        return shared.get(key) if isinstance(value, dict) and value.get("workspace") is True else value

    name = _string(own.get("name"))
    if name is None:
        raise PlanError(f"{join(folder, 'Cargo.toml')} has no package.name", hint="Add `name` to [package].")
    edition = _string(inherited("edition")) or "2015"
    return Package(
        folder=folder,
        name=name,
        edition=edition,
        rust_version=_string(inherited("rust-version")),
        version=_string(inherited("version")),
        default_run=_string(own.get("default-run")),
        bins=tuple(_bins(source, folder, name, data, edition)),
        library=_library(source, folder, name, data),
        default_features=_default_features(table(data, "features")),
        path_dependencies=tuple(_path_dependencies(folder, data, workspace or {}, workspace_folder)),
    )


def _bins(source: SourceTree, folder: str, package: str, data: Mapping[str, Any], edition: str) -> Iterator[Bin]:
    """Declared programs, then the inferred ones that no declaration names or points to."""
    inferred = dict(_inferred_bins(source, folder, package))
    declared = data.get("bin")
    entries = [entry for entry in declared if isinstance(entry, dict)] if isinstance(declared, list) else []
    names, paths = set(), set()
    for entry in entries:
        name = _string(entry.get("name")) or package
        given = _string(entry.get("path"))
        path = join(folder, given) if given else inferred.get(name, _usual_path(source, folder, name, package))
        names.add(name)
        paths.add(path)
        yield Bin(name=name, path=path, required_features=strings(entry.get("required-features")))
    autobins = package_table(data).get("autobins")
    if not isinstance(autobins, bool):
        autobins = not (entries and edition == "2015")
    if autobins:
        for name, path in inferred.items():
            if name not in names and path not in paths:
                yield Bin(name=name, path=path)


def _inferred_bins(source: SourceTree, folder: str, package: str) -> Iterator[tuple[str, str]]:
    main = join(folder, "src/main.rs")
    if source.exists(main):
        yield package, main
    programs = join(folder, "src/bin")
    if not source.is_dir(programs):
        return
    for path in source.walk(programs, depth=1):
        inner = posixpath.relpath(path, programs)
        stem, dot, suffix = inner.rpartition(".")
        if "/" not in inner and dot and suffix == "rs" and not stem.startswith("."):
            yield stem, path
        elif inner.count("/") == 1 and inner.endswith("/main.rs"):
            yield inner.split("/")[0], path


def _usual_path(source: SourceTree, folder: str, name: str, package: str) -> str:
    main = join(folder, "src/main.rs")
    if name != package and not source.exists(main):
        return join(folder, f"src/bin/{name}.rs")
    return main


def _library(source: SourceTree, folder: str, package: str, data: Mapping[str, Any]) -> Library | None:
    declared = table(data, "lib")
    path = join(folder, _string(declared.get("path")) or "src/lib.rs")
    automatic = package_table(data).get("autolib") is not False
    if "lib" not in data and not (automatic and source.exists(path)):
        return None
    types = strings(declared.get("crate-type")) or strings(declared.get("crate_type"))
    if declared.get("proc-macro") is True or declared.get("proc_macro") is True:
        types = ("proc-macro",)
    name = (_string(declared.get("name")) or package).replace("-", "_")
    return Library(name=name, path=path, crate_types=types or ("lib",))


def _default_features(features: Mapping[str, Any]) -> frozenset[str]:
    """The features that `default` turns on, directly and through others."""
    found: set[str] = set()
    waiting = list(strings(features.get("default")))
    while waiting:
        feature = waiting.pop()
        if feature not in found:
            found.add(feature)
            waiting += strings(features.get(feature))
    return frozenset(found)


def _path_dependencies(
    folder: str, data: Mapping[str, Any], workspace: Mapping[str, Any], workspace_folder: str
) -> Iterator[str]:
    shared = table(workspace, "dependencies")
    targets = [target for target in table(data, "target").values() if isinstance(target, dict)]
    seen: set[str] = set()
    for holder in (data, *targets):
        for key in _DEPENDENCY_TABLES:
            for name, wanted in table(holder, key).items():
                base = folder
                if isinstance(wanted, dict) and wanted.get("workspace") is True:
                    base, wanted = workspace_folder, shared.get(name)
                path = _string(wanted.get("path")) if isinstance(wanted, dict) else None
                if path is not None and (where := join(base, path)) not in seen:
                    seen.add(where)
                    yield where
