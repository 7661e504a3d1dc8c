"""The modules that are linked into the program, on any of the plan's platforms, and Go's standard library."""

from __future__ import annotations

import base64
import binascii
from collections import defaultdict
from typing import Any

from packageurl import PackageURL

from flowctl_core.models import BuildContext, Dependency, DependencyReport, Plan, Platform
from flowctl_lang_go.c_users import CUsers, find_c_users
from flowctl_lang_go.failures import build_failure
from flowctl_lang_go.fetch import json_objects
from flowctl_lang_go.manifest import join
from flowctl_lang_go.pinned import pinned, target_environment
from flowctl_lang_go.platforms import able, loose_files, uses_c
from flowctl_lang_go.toolchain import build_flags, run_go

_STANDARD = "std"


def dependencies(plan: Plan, context: BuildContext) -> DependencyReport:
    """See `flowctl_dependencies`. Raises what a build raises when modules are missing.

    A module is a dependency when a package of it is linked; who imports that package is its parent. What go.mod lists
    beyond that is not in the program.
    """
    context = pinned(plan, context)
    own = plan.details.get("modules")
    members = set(own) if isinstance(own, dict) else set()
    modules: dict[str, dict[str, Any]] = {}
    parents: dict[str, set[str]] = defaultdict(set)
    for platform in able(plan):
        packages = _packages(plan, context, platform)
        owner = {str(package["ImportPath"]): _owner(package) for package in packages}
        for package in packages:
            parent = owner[str(package["ImportPath"])]
            if parent not in (_STANDARD, "") and parent not in members:
                modules.setdefault(parent, package["Module"])
            for name in package.get("Imports") or ():
                child = owner.get(str((package.get("ImportMap") or {}).get(name, name)), "")
                if child not in (parent, _STANDARD, ""):
                    parents[child].add("" if parent in members or not parent else parent)
    sums = _sums(plan, context)
    purls = {path: _purl(module) for path, module in modules.items()}
    found = [
        Dependency(
            purl=purls[path],
            direct="" in parents[path],
            parents=tuple(sorted(purls[parent] for parent in parents[path] if parent in purls)),
            digest=sums.get(_version(module), ""),
        )
        for path, module in modules.items()
    ]
    found.append(
        Dependency(purl=f"pkg:golang/stdlib@{context.tool('go').version}", direct=True, license="BSD-3-Clause")
    )
    read = [name for name in ("go.work.sum", "go.sum", "vendor/modules.txt") if _read(plan, context, name)]
    return DependencyReport(
        dependencies=tuple(sorted(found, key=lambda one: one.purl)), resolved_from=("go list -deps", *sorted(read))
    )


def _packages(plan: Plan, context: BuildContext, platform: Platform) -> list[dict[str, Any]]:
    cgo = uses_c(plan, platform)
    if cgo is None:
        cgo = bool((find_c_users(plan, context, platform) or CUsers()).required)
    environment = {**target_environment(plan, platform), "CGO_ENABLED": "1" if cgo else "0"}
    targets = loose_files(plan, platform) or [str(plan.details["package"])]
    fields = "-json=ImportPath,Imports,ImportMap,Module,Standard"
    done = run_go(
        plan,
        context,
        ["list", *build_flags(plan, context), "-deps", fields, *targets],
        environment=environment,
        on_line=lambda _: None,
    )
    if not done.ok:
        raise build_failure(done, f"go list for {platform}")
    return list(json_objects(done.stdout))


def _owner(package: dict[str, Any]) -> str:
    """Path of the module a package belongs to; empty for a file without one."""
    if package.get("Standard"):
        return _STANDARD
    module = package.get("Module")
    return str(module.get("Path", "")) if isinstance(module, dict) else ""


def _version(module: dict[str, Any]) -> tuple[str, str]:
    """Path and version of what is really used: the replacement, where there is one; no version for a folder."""
    used = module.get("Replace") or module
    path, version = str(used.get("Path", "")), str(used.get("Version", ""))
    # A folder in the module's place is no module that anybody else could get: it goes by the name it replaces.
    return (path, version) if version else (str(module.get("Path", "")), "")


def _purl(module: dict[str, Any]) -> str:
    """`pkg:golang/<path in lower case>@<version>` (package-url/purl-spec, types/golang)."""
    path, version = _version(module)
    namespace, _, name = path.lower().rpartition("/")
    return PackageURL(type="golang", namespace=namespace or None, name=name, version=version or None).to_string()


def _sums(plan: Plan, context: BuildContext) -> dict[tuple[str, str], str]:
    """Digests from go.sum. `h1:` is the SHA-256, in base64, of a list of the module's files and their SHA-256
    (golang.org/x/mod/sumdb/dirhash, Hash1): not of the archive, but it fixes all that is in it."""
    found: dict[tuple[str, str], str] = {}
    folders = [".", *_member_folders(plan)]
    names = [join(folder, "go.sum") for folder in folders]
    for name in (*names, "go.work.sum"):
        for line in _read(plan, context, name).splitlines():
            fields = line.split()
            if len(fields) == 3 and fields[2].startswith("h1:"):
                try:
                    digest = base64.b64decode(fields[2][3:], validate=True).hex()
                except (binascii.Error, ValueError):
                    continue
                if len(digest) == 64:
                    found[fields[0], fields[1]] = f"sha256:{digest}"
    return found


def _member_folders(plan: Plan) -> list[str]:
    own = plan.details.get("modules")
    return [str(folder) for folder in own.values()] if isinstance(own, dict) else []


def _read(plan: Plan, context: BuildContext, name: str) -> str:
    try:
        return (context.source_root / plan.root / name).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
