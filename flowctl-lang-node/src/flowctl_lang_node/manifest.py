"""What the source itself declares: package.json, lockfiles, workspaces, version files."""

from __future__ import annotations

import fnmatch
import json
import re
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import PurePosixPath
from typing import Any

from flowctl_core.errors import PlanError, SourceError
from flowctl_core.models import SourceTree

LOCKFILES = {
    "pnpm-lock.yaml": "pnpm",
    "yarn.lock": "yarn",
    "bun.lock": "bun",
    "bun.lockb": "bun",
    "npm-shrinkwrap.json": "npm",
    "package-lock.json": "npm",
}
"""Lockfile names, the ones that somebody chose on purpose first: npm writes its own unasked."""

_MANAGER = re.compile(r"(npm|pnpm|yarn|bun)(?:@(\d+(?:\.\d+){0,2}[^+\s]*).*)?")


def joined(folder: str, name: str) -> str:
    """A relative POSIX path, normalised; `..` is resolved, and an escape from the tree stays visible."""
    parts: list[str] = []
    for part in PurePosixPath(folder, name).parts:
        if part == ".." and parts and parts[-1] != "..":
            parts.pop()
        elif part != ".":
            parts.append(part)
    return "/".join(parts) or "."


@dataclass(frozen=True)
class Package:
    """One package.json. Fields of an unexpected type count as absent: npm itself ignores them."""

    folder: str
    data: dict[str, Any] = field(default_factory=dict)

    @property
    def path(self) -> str:
        """The manifest's path in the tree."""
        return joined(self.folder, "package.json")

    def text(self, key: str) -> str | None:
        """A string field, None when it is absent, empty or something else."""
        value = self.data.get(key)
        return value if isinstance(value, str) and value else None

    def table(self, key: str) -> dict[str, Any]:
        """An object field, empty when it is absent or something else."""
        value = self.data.get(key)
        return value if isinstance(value, dict) else {}

    @property
    def name(self) -> str | None:
        """The package's name with its scope."""
        return self.text("name")

    @property
    def short_name(self) -> str | None:
        """The package's name without its scope."""
        return self.name.rsplit("/", 1)[-1] if self.name else None

    @cached_property
    def scripts(self) -> dict[str, str]:
        """Scripts that are text."""
        return {key: value for key, value in self.table("scripts").items() if isinstance(value, str)}

    @cached_property
    def dependencies(self) -> dict[str, str]:
        """Runtime and optional dependencies with their ranges."""
        return _strings(self.table("optionalDependencies")) | _strings(self.table("dependencies"))

    @cached_property
    def all_dependencies(self) -> dict[str, str]:
        """Every dependency that an install for development brings in."""
        return _strings(self.table("devDependencies")) | self.dependencies

    @cached_property
    def bins(self) -> dict[str, str]:
        """Programs by name; a bin that is a string has the package's short name."""
        value = self.data.get("bin")
        if isinstance(value, str) and value:
            return {self.short_name or PurePosixPath(value).stem: value}
        return _strings(value) if isinstance(value, dict) else {}

    @property
    def workspace_patterns(self) -> tuple[str, ...]:
        """`workspaces`, in both spellings."""
        value = self.data.get("workspaces")
        if isinstance(value, dict):
            value = value.get("packages")
        return tuple(item for item in value if isinstance(item, str)) if isinstance(value, list) else ()


def _strings(table: dict[str, Any]) -> dict[str, str]:
    return {key: value for key, value in table.items() if isinstance(value, str) and value}


def read_package(source: SourceTree, folder: str = ".") -> Package | None:
    """The package.json in a folder, None when there is none.

    Raises PlanError when it is not JSON or not an object.
    """
    path = joined(folder, "package.json")
    if not source.exists(path):
        return None
    try:
        data = json.loads(source.read_text(path).removeprefix("\ufeff"))
    except json.JSONDecodeError as error:
        raise PlanError(
            f"{path}, line {error.lineno}, column {error.colno}: {error.msg}",
            hint="Make it valid JSON; package.json allows neither comments nor trailing commas.",
        ) from error
    except RecursionError as error:
        raise PlanError(f"{path} is nested too deeply to be a package.json") from error
    if not isinstance(data, dict):
        raise PlanError(f"{path} holds no JSON object", hint='Write an object such as {"name": "sink"}.')
    return Package(folder, data)


@dataclass(frozen=True)
class Workspace:
    """A root package and its members; without workspaces, the root alone."""

    root: Package
    members: tuple[Package, ...] = ()

    def named(self, name: str) -> Package | None:
        """The member or root of that package name or folder."""
        for package in (*self.members, self.root):
            if name in (package.name, package.short_name, package.folder):
                return package
        return None

    def dependencies_of(self, package: Package) -> tuple[Package, ...]:
        """Members that a package needs, each after those that it needs itself."""
        by_name = {member.name: member for member in self.members if member.name}
        order: list[Package] = []
        entered = {package.folder}

        def visit(current: Package) -> None:
            for name in sorted(current.all_dependencies):
                member = by_name.get(name)
                if member is not None and member.folder not in entered:
                    entered.add(member.folder)
                    visit(member)
                    order.append(member)

        visit(package)
        return tuple(order)


def read_workspace(source: SourceTree, folder: str) -> Workspace | None:
    """The package in a folder with its workspace members; members that cannot be read are left out."""
    root = read_package(source, folder)
    if root is None:
        return None
    patterns = root.workspace_patterns or yaml_list(
        _optional(source, joined(folder, "pnpm-workspace.yaml")), "packages"
    )
    if not patterns:
        return Workspace(root)
    wanted = [pattern.strip("/").removeprefix("./") for pattern in patterns if not pattern.startswith("!")]
    refused = [pattern[1:].strip("/").removeprefix("./") for pattern in patterns if pattern.startswith("!")]
    members = []
    for path in source.walk(folder, depth=5):
        if PurePosixPath(path).name != "package.json" or path == root.path:
            continue
        here = str(PurePosixPath(path).parent)
        inner = here if folder == "." else here.removeprefix(folder + "/")
        if _matches(inner, wanted) and not _matches(inner, refused):
            try:
                member = read_package(source, here)
            except (PlanError, SourceError):
                continue
            if member is not None:
                members.append(member)
    return Workspace(root, tuple(members))


def _matches(folder: str, patterns: list[str]) -> bool:
    for pattern in patterns:
        if "**" in pattern:
            prefix = pattern.split("**")[0].rstrip("/")
            if not prefix or folder == prefix or folder.startswith(prefix + "/"):
                return True
        elif folder.count("/") == pattern.count("/") and fnmatch.fnmatchcase(folder, pattern):
            return True
    return False


def _optional(source: SourceTree, path: str) -> str:
    return source.read_text(path) if source.exists(path) else ""


def yaml_list(text: str, key: str) -> tuple[str, ...]:
    """A top-level list of strings in a small YAML file such as pnpm-workspace.yaml.

    Only what such files hold is understood; a whole YAML loader would cost more than the rest of detection.
    """
    found: list[str] = []
    inside = False
    for line in text.splitlines():
        content = line.split(" #")[0].rstrip()
        if not content or content.lstrip().startswith("#"):
            continue
        if content.startswith(f"{key}:"):
            rest = content.split(":", 1)[1].strip()
            if rest.startswith("["):
                return tuple(item.strip().strip("'\"") for item in rest.strip("[]").split(",") if item.strip())
            inside = True
        elif inside and content.lstrip().startswith("- "):
            found.append(content.lstrip()[2:].strip().strip("'\""))
        elif not content[0].isspace():
            inside = False
    return tuple(found)


def yaml_scalar(text: str, key: str) -> str | None:
    """A top-level scalar in a small YAML file such as .yarnrc.yml."""
    match = re.search(rf"^{re.escape(key)}:\s*(.+?)\s*(?:#.*)?$", text, re.MULTILINE)
    return match.group(1).strip("'\"") if match else None


@dataclass(frozen=True)
class Manager:
    """The package manager that the source asks for."""

    name: str
    root: str
    """Folder of the lockfile, or of the workspace's root."""
    lockfile: str | None = None
    version: str | None = None
    """From the packageManager field."""
    declared_in: str | None = None
    berry: bool = False
    """Yarn 2 or newer."""
    yarn_path: str | None = None
    """A yarn that the source carries (`yarnPath`), relative to the tree."""
    plug_and_play: bool = False
    """Yarn without node_modules."""
    warning: str | None = None


def read_manager(source: SourceTree, root: Package, package: Package) -> Manager:
    """Which package manager installs a package: the packageManager field, then the lockfile, then npm."""
    folders = dict.fromkeys((package.folder, root.folder))
    locks = [(folder, lock) for folder in folders for lock in LOCKFILES if source.exists(joined(folder, lock))]
    name, version, declared_in = _declared(root, package)
    warning = None
    if name is None and locks:
        names = list(dict.fromkeys(LOCKFILES[lock] for _, lock in locks))
        name = names[0]
        if len(names) > 1:
            listed = ", ".join(joined(*lock) for lock in locks)
            warning = (
                f"lockfiles of several package managers ({listed}): {name} is used; "
                "delete the others or set packageManager in package.json"
            )
    if name is None and _speaks_bun(package):
        name = "bun"
    name = name or "npm"
    mine = [(folder, lock) for folder, lock in locks if LOCKFILES[lock] == name]
    folder = mine[0][0] if mine else root.folder
    lockfile = joined(*mine[0]) if mine else None
    if name != "yarn":
        return Manager(name, folder, lockfile, version, declared_in, warning=warning)
    settings = _optional(source, joined(folder, ".yarnrc.yml"))
    classic = version is not None and version.startswith("1.")
    berry = not classic and bool(version or settings or "__metadata:" in _optional(source, lockfile or ".")[:2000])
    yarn_path = yaml_scalar(settings, "yarnPath") if berry else None
    if yarn_path and not source.exists(joined(folder, yarn_path)):
        yarn_path = None
    return Manager(
        name,
        folder,
        lockfile,
        version,
        declared_in,
        berry=berry,
        yarn_path=joined(folder, yarn_path) if yarn_path else None,
        plug_and_play=berry and (yaml_scalar(settings, "nodeLinker") or "pnp") == "pnp",
        warning=warning,
    )


def _declared(root: Package, package: Package) -> tuple[str | None, str | None, str | None]:
    for holder in (package, root):
        match = _MANAGER.fullmatch(holder.text("packageManager") or "")
        if match:
            return match.group(1), match.group(2), f"{holder.path} packageManager"
    return None, None, None


def _speaks_bun(package: Package) -> bool:
    """True when the scripts that matter call bun, as projects without any dependency do."""
    return any(re.search(r"(^|[;&|]\s*)bunx?\s", package.scripts.get(name, "")) for name in ("build", "start", "test"))


def node_range(source: SourceTree, root: Package, package: Package) -> tuple[str, str] | None:
    """The declared range of Node.js versions (npm's notation) and where it is declared.

    engines.node is a requirement. A version file (.nvmrc, .node-version) and volta name the version that
    the developers use, so they count as the oldest version, and only where engines says nothing.
    """
    for holder in dict.fromkeys((package.folder, root.folder)):
        manifest = package if holder == package.folder else root
        declared = manifest.table("engines").get("node")
        if isinstance(declared, str) and declared.strip():
            return declared.strip(), f"{manifest.path} engines.node"
        runtime = manifest.table("devEngines").get("runtime")
        if isinstance(runtime, dict) and runtime.get("name") == "node" and isinstance(runtime.get("version"), str):
            return runtime["version"], f"{manifest.path} devEngines.runtime"
    for folder in dict.fromkeys((package.folder, root.folder, ".")):
        for name in (".nvmrc", ".node-version"):
            match = re.match(r"\s*v?(\d+(?:\.\d+){0,2})\s*$", _optional(source, joined(folder, name)))
            if match:
                return f">={match.group(1)}", joined(folder, name)
    volta = package.table("volta").get("node") or root.table("volta").get("node")
    if isinstance(volta, str) and re.fullmatch(r"\d+(\.\d+){0,2}", volta):
        return f">={volta}", f"{package.path} volta.node"
    return None
