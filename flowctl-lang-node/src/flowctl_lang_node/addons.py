"""Native addons: compiled files that a single executable cannot load, found by name."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from flowctl_core.errors import BuildError
from flowctl_core.models import BuildContext, Limitation, Plan, Progress
from flowctl_lang_node.dependencies import production
from flowctl_lang_node.locks.graph import LockedPackage, LockGraph, UnreadableLockError
from flowctl_lang_node.locks.read import read_lock

HELPERS = (
    "node-gyp-build",
    "node-gyp-build-optional-packages",
    "prebuild-install",
    "@mapbox/node-pre-gyp",
    "node-pre-gyp",
    "bindings",
    "pkg-prebuilds",
    "cmake-js",
    "node-addon-api",
    "nan",
    "node-gyp",
)
"""Packages that only native addons depend on."""
REMEDY = (
    "replace it by a package without compiled code; or, where the program can do without it, name it with `external:` "
    "below spec.build in component.yaml; or build an image with a Dockerfile"
)


def refuse_bundled(root: Path, packages: Iterable[str], addons: Iterable[str], progress: Progress) -> None:
    """Raise BuildError when the bundle needs a package that is a native addon.

    `packages` are the folders of packages in the bundle, `addons` the compiled files that it asks for, both relative to
    the source tree. An addon that all packages which ask for it name as optional is left out, and said.
    """
    manifests = {folder: _manifest(root / folder) for folder in packages}
    native = {folder for folder in manifests if "node_modules" in Path(folder).parts and is_native(root / folder)}
    native |= {_package_folder(file) for file in addons}
    needed = []
    for folder in sorted(native):
        name = _manifest(root / folder).get("name") or folder or "the source itself"
        version = _manifest(root / folder).get("version") or ""
        users = [one for one in manifests.values() if name in _table(one, "dependencies")]
        if not users and any(_is_optional(one, str(name)) for one in manifests.values()):
            progress.note(f"{name} is a native addon and optional: the executables do without it")
            continue
        needed.append(f"{name} {version}".strip())
    if needed:
        plural = "are native addons" if len(needed) > 1 else "is a native addon"
        raise BuildError(
            f"{', '.join(needed)} {plural}, which a single executable cannot load",
            hint=REMEDY[0].upper() + REMEDY[1:] + ".",
        )


def is_native(folder: Path) -> bool:
    """True when an installed package compiles code or brings compiled code."""
    if (folder / "binding.gyp").is_file() or (folder / "prebuilds").is_dir():
        return True
    return any(folder.glob("*.node")) or any(folder.glob("build/Release/*.node"))


def _package_folder(file: str) -> str:
    parts = Path(file).parts
    last = max((index for index, part in enumerate(parts) if part == "node_modules"), default=-1)
    if last < 0:
        return ""
    end = last + (3 if parts[last + 1].startswith("@") else 2)
    return "/".join(parts[:end])


def _manifest(folder: Path) -> dict[str, Any]:
    try:
        data = json.loads((folder / "package.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return data if isinstance(data, dict) else {}


def _table(manifest: dict[str, Any], key: str) -> dict[str, Any]:
    value = manifest.get(key)
    table = value if isinstance(value, dict) else {}
    if key == "dependencies":
        # npm itself lists optional ones in both.
        return {name: wanted for name, wanted in table.items() if name not in _table(manifest, "optionalDependencies")}
    return table


def _is_optional(manifest: dict[str, Any], name: str) -> bool:
    meta = _table(manifest, "peerDependenciesMeta").get(name)
    return name in _table(manifest, "optionalDependencies") or (isinstance(meta, dict) and meta.get("optional") is True)


def limitations(plan: Plan, context: BuildContext) -> tuple[Limitation, ...]:
    """See `flowctl_limitations`: native addons among what the program cannot do without, as the lockfile tells.

    Only a lockfile is read: nothing is installed yet. What it does not tell is found in the bundle itself.
    """
    if not plan.details["installs"]:
        return ()
    try:
        graph, file, folder = read_lock(plan, context.source_root)
    except UnreadableLockError:
        return ()
    release: Any = plan.details["release"]
    named = []
    for key in sorted(production(graph, folder)):
        package = graph.packages[key]
        helper = _helper(graph, package)
        if helper and package.name not in release["external"]:
            named.append(f"{package.name} {package.version} (needs {helper})")
    if not named:
        return ()
    plural = "are native addons" if len(named) > 1 else "is a native addon"
    reason = f"{', '.join(named)} {plural}, which a single executable cannot load ({file})"
    return tuple(Limitation(platform=platform, reason=reason, remedy=REMEDY) for platform in plan.platforms)


def _helper(graph: LockGraph, package: LockedPackage) -> str:
    """The dependency that tells a native addon: what finds, downloads or compiles its binary."""
    if package.name in HELPERS:
        return ""
    needed = {graph.packages[key].name for key in package.needs if key in graph.packages}
    return next((helper for helper in HELPERS if helper in needed), "")
