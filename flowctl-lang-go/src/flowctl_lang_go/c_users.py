"""Which dependencies outside the source compile C. Only Go can tell: the files lie in its module cache.

A dependency that has no Go without C needs cgo, and so does one that brings C code and is mostly made of it (SQLite's
driver, whose stub without C compiles and fails when it runs). One that merely uses C where it may (Prometheus' client
reads one counter of macOS so) does not: then the static program without C is the better release, and its name is given
to the user.
"""

from __future__ import annotations

import json
from hashlib import sha256
from itertools import pairwise
from typing import Any

from flowctl_core.models import BuildContext, Frozen, Plan, Platform
from flowctl_lang_go.fetch import json_objects
from flowctl_lang_go.imports import mostly_c
from flowctl_lang_go.pinned import target_environment
from flowctl_lang_go.toolchain import build_flags, run_go
from flowctl_lang_go.workfile import write_atomically

_FIELDS = "ImportPath,Standard,Module,CgoFiles,GoFiles,CFiles,CXXFiles,MFiles,FFiles,CgoLDFLAGS,CgoPkgConfig"
_SOURCES = ("CFiles", "CXXFiles", "MFiles", "FFiles")


class CUsers(Frozen):
    """Import paths of the dependencies that have `import "C"`."""

    required: tuple[str, ...] = ()
    optional: tuple[str, ...] = ()
    frameworks: tuple[str, ...] = ()
    """Apple frameworks that they link."""
    pkg_config: tuple[str, ...] = ()
    """Libraries for which they ask pkg-config."""


def find_c_users(plan: Plan, context: BuildContext, platform: Platform) -> CUsers | None:
    """Ask `go list`, once for the same modules, tools and packages; None when modules are not on this machine.

    `context` is a pinned one.
    """
    key = _key(plan, context, platform)
    place = context.work_dir / "c-users" / f"{key}.json"
    try:
        return CUsers.model_validate_json(place.read_bytes())
    except (OSError, ValueError):
        pass
    found = _ask(plan, context, platform)
    if found is not None:
        place.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(place, found.model_dump_json().encode())
    return found


def _key(plan: Plan, context: BuildContext, platform: Platform) -> str:
    """Everything that decides: the modules there are, and (in the plan's details) what is imported from them."""
    hasher = sha256(f"2\0{platform}\0{context.tool('go')}\0{plan.details}\0{plan.settings}\0".encode())
    hasher.update(json.dumps(plan.environment, sort_keys=True).encode())
    for file in plan.inputs.fetch:
        hasher.update(f"\0{file}\0".encode() + (context.source_root / file).read_bytes())
    return hasher.hexdigest()


def _ask(plan: Plan, context: BuildContext, platform: Platform) -> CUsers | None:
    listed = _list(plan, context, platform, ["-deps", str(plan.details["package"])], cgo=True)
    if listed is None:
        return None
    own = plan.details.get("modules")
    members = set(own) if isinstance(own, dict) else set()
    users = [
        package
        for package in listed
        if package.get("CgoFiles") and not package.get("Standard") and _module(package) not in members
    ]
    bare: set[str] = set()
    if users:
        without = _list(plan, context, platform, ["-e", *(str(user["ImportPath"]) for user in users)], cgo=False)
        bare = {str(package["ImportPath"]) for package in without or () if not package.get("GoFiles")}
    required = [user for user in users if user["ImportPath"] in bare or _is_c(user)]
    names = {str(user["ImportPath"]) for user in required}
    flags = [(str(before), str(after)) for user in users for before, after in _pairs(user.get("CgoLDFLAGS"))]
    return CUsers(
        required=tuple(sorted(names)),
        optional=tuple(sorted({str(user["ImportPath"]) for user in users} - names)),
        frameworks=tuple(sorted({after for before, after in flags if before == "-framework"})),
        pkg_config=tuple(sorted({str(name) for user in users for name in user.get("CgoPkgConfig") or ()})),
    )


def _list(
    plan: Plan, context: BuildContext, platform: Platform, arguments: list[str], *, cgo: bool
) -> list[dict[str, Any]] | None:
    environment = {**target_environment(plan, platform), "CGO_ENABLED": "1" if cgo else "0"}
    done = run_go(
        plan,
        context,
        ["list", *build_flags(plan, context), f"-json={_FIELDS}", *arguments],
        environment=environment,
        on_line=lambda _: None,
    )
    return list(json_objects(done.stdout)) if done.ok else None


def _is_c(package: dict[str, Any]) -> bool:
    """True for a package with C code of which at least half the Go files use it."""
    return any(package.get(kind) for kind in _SOURCES) and mostly_c(
        len(package["CgoFiles"]), len(package.get("GoFiles") or ())
    )


def _module(package: dict[str, Any]) -> str:
    module = package.get("Module")
    return str(module.get("Path")) if isinstance(module, dict) else ""


def _pairs(flags: Any) -> list[tuple[Any, Any]]:
    words = flags if isinstance(flags, list) else []
    return list(pairwise(words))
