"""What a release adds to the plan: the Node.js inside, what is fetched for it, and what cannot be built.

`Plan.details["release"]` holds `node` (version), `integrity` (by platform; empty text: not pinned), `external`
(packages that stay outside of the bundle) and `assets` (patterns of files that the executables carry).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from pydantic import JsonValue

from flowctl_core.models import Limitation, Plan, Platform, SourceTree, ToolRequirement
from flowctl_lang_node import pins, semver
from flowctl_lang_node.detect import NAMES
from flowctl_lang_node.install import RELEASE_FOLDER
from flowctl_lang_node.manifest import Package, Workspace, joined
from flowctl_lang_node.runtime_version import Runtime, choose_runtime
from flowctl_lang_node.toolchain import NODE_HINT


def release_plan(plan: Plan, source: SourceTree, workspace: Workspace, package: Package) -> Plan:
    """The plan of a development build, extended for a release."""
    runtime = choose_runtime(source, workspace.root, package)
    limitations = [
        limitation
        for platform in plan.platforms
        if (limitation := _limitation(platform, plan, runtime, source)) is not None
    ]
    refused = {limitation.platform for limitation in limitations}
    possible = [platform for platform in plan.platforms if platform not in refused]
    integrity: dict[str, JsonValue] = {str(one): runtime.integrity(base_platform(one)) for one in possible}
    links = [link_name(name, pins.esbuild_version()) for name in ("esbuild", "esbuild-api")]
    links += [link_name(platform, runtime.version or "") for platform in ("host", *possible)]
    made = [f"{RELEASE_FOLDER}/{link}" for link in links]
    manager: Any = plan.details["manager"]
    archives: list[str] = []
    if manager["plug_and_play"] and plan.details["installs"]:
        # Without yarn's global cache, these are what .pnp.cjs leads to.
        archives = [joined(manager["root"], f".yarn/{name}") for name in ("cache", "unplugged")]
    exclude = (*plan.inputs.exclude, f"/{RELEASE_FOLDER}/")
    release: dict[str, JsonValue] = {
        "node": runtime.version,
        "integrity": integrity,
        "external": _strings(source.extra("external")),  # noqa: S610 - not Django's
        "assets": _strings(source.extra("assets")),  # noqa: S610 - not Django's
    }
    warnings = (*plan.warnings, runtime.warning) if runtime.warning else plan.warnings
    return plan.model_copy(
        update={
            "inputs": plan.inputs.model_copy(update={"exclude": exclude}),
            "toolchain": (*plan.toolchain, *_npm(plan)),
            "environment": {**plan.environment, **_environment(plan)},
            "fetched": (*plan.fetched, *archives, *made) if possible else plan.fetched,
            "limitations": (*plan.limitations, *limitations),
            "details": {**plan.details, "release": release},
            "warnings": warnings,
        }
    )


def base_platform(platform: Platform) -> str:
    """A platform without its variant: there is one binary for all of them."""
    return f"{platform.os}/{platform.arch}"


def link_name(what: str, version: str) -> str:
    """Name of the link to a package in FOLDER: `linux-arm64-22.23.3`."""
    return f"{what.replace('/', '-')}-{version}"


def _npm(plan: Plan) -> tuple[ToolRequirement, ...]:
    """npm, which brings the packages, also where another package manager installs the dependencies."""
    if any(tool.name == "npm" for tool in plan.toolchain):
        return ()
    return (ToolRequirement(name="npm", version_command=(), install_hint=NODE_HINT, optional=True),)


def _environment(plan: Plan) -> dict[str, str]:
    manager: Any = plan.details["manager"]
    # The names of packages in a cache outside of the tree would be part of the bundle.
    return {"YARN_ENABLE_GLOBAL_CACHE": "false"} if manager["berry"] else {}


def _strings(value: JsonValue) -> list[JsonValue]:
    items = [value] if isinstance(value, str) else value
    return [item for item in items if isinstance(item, str)] if isinstance(items, list) else []


def _limitation(platform: Platform, plan: Plan, runtime: Runtime, source: SourceTree) -> Limitation | None:
    if plan.details["runtime"] == "bun":
        return Limitation(
            platform=platform,
            reason="the program is started by bun, and releases carry Node.js",
            remedy="start it with node (scripts.start, main), or build it with a command in component.yaml "
            "(build.native.command: bun build --compile)",
        )
    if base_platform(platform) not in pins.NODE_PACKAGES:
        known = ", ".join(pins.NODE_PACKAGES)
        return Limitation(
            platform=platform,
            reason=f"there is no package with Node.js for {platform}",
            remedy=f"choose among {known} with --platforms",
        )
    if runtime.version is None:
        return Limitation(platform=platform, reason=runtime.problem, remedy=_another(runtime, [platform]))
    if runtime.integrity(base_platform(platform)) is None:
        package = pins.NODE_PACKAGES[base_platform(platform)]
        because = f" ({runtime.where}: {runtime.declared})" if runtime.where else ""
        return Limitation(
            platform=platform,
            reason=f"Node.js {runtime.version}{because} has not been published for {platform}, as the npm package "
            f"{package}, and all platforms of a release carry one version",
            remedy=_another(runtime, plan.platforms),
        )
    return None


def _another(runtime: Runtime, platforms: Iterable[Platform]) -> str:
    """How to come to a version that serves all platforms: within what the source allows, else another one."""
    wanted = [base for platform in platforms if (base := base_platform(platform)) in pins.NODE_PACKAGES]
    able = [one for one in pins.node_versions() if set(wanted) <= set(pins.node_integrity(one) or ())]
    allowed = semver.parse(runtime.declared) or ()
    inside = [version for version in able if allowed and semver.admits(allowed, version)]
    if not able:
        return f"release {' and '.join(platforms)} separately, with --platforms"
    where = f"languages: [{{name: {NAMES[0]}, version: {(inside or able)[0]}}}] in component.yaml"
    return f"name a version that there is: {where}"
