"""What a release's plan says beyond a local build's. Reads files, runs nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

from pydantic import JsonValue

from flowctl_core.errors import PlanError
from flowctl_core.models import Limitation, Plan, PlanRequest, Platform, SourceTree
from flowctl_lang_rust.entry import Choice
from flowctl_lang_rust.manifest import Package, read_toml, strings, table
from flowctl_lang_rust.targets import RELEASED_OS, candidates, platform_of
from flowctl_lang_rust.workspace import Project

PASSTHROUGH = ("PROTOC", "RUSTUP_TOOLCHAIN", "SDKROOT")
"""Caller's variables that a release takes: where things are, never how the code is compiled."""

ENVIRONMENT = {"CARGO_INCREMENTAL": "0"}

_READS_CERTIFICATES = frozenset(
    ("native-tls", "openssl", "openssl-probe", "openssl-sys", "rustls-native-certs", "rustls-platform-verifier")
)
"""Crates that speak TLS with the certificates of the system they run on."""


def details(
    source: SourceTree,
    request: PlanRequest,
    project: Project,
    choice: Choice,
    settings: Sequence[Mapping[str, Any]],
    lock: str | None,
) -> dict[str, JsonValue]:
    """What the release hooks need to know.

    `settings` are the `.cargo/config.toml` files of the tree, the nearest first. `targets` are the triples for each
    platform in the order of preference: one that the source or the user names, is the only one.
    """
    declared = [*_asked_targets(request.settings.build_args), *_configured_targets(settings)]
    library = choice.program is None
    targets: dict[str, JsonValue] = {}
    for platform in request.platforms:
        own = [triple for triple in declared if platform_of(triple.split(".")[0]) == platform]
        targets[platform] = [*(own[:1] or candidates(platform, library=library))]
    return {
        "targets": targets,
        "rustflags": _rustflags(settings),
        "linkers": dict(_linkers(settings)),
        "beside_workspace": bool(project.companions),
        "certificates": _reads_certificates(source, lock),
    }


def limitations(request: PlanRequest, choice: Choice, targets: Mapping[str, Any]) -> tuple[Limitation, ...]:
    """Platforms that no machine of flowctl's can build this source for."""
    found = []
    library = choice.package.library
    only_static = choice.program is None and library is not None and "cdylib" not in library.crate_types
    for platform in request.platforms:
        if only_static:
            found.append(
                Limitation(
                    platform=platform,
                    reason=f"{choice.package.name} makes only a static library, which no component can be run from",
                    remedy=f'add "cdylib" to crate-type in {choice.package.manifest}',
                )
            )
        elif not targets.get(platform):
            known = platform.os in RELEASED_OS
            what = "Rust target" if known else "way"
            found.append(
                Limitation(
                    platform=platform,
                    reason=f"flowctl knows no {what} to build Rust releases for {platform}",
                    remedy="leave the platform out, or build it with a command in component.yaml "
                    "(build.native.command) on a worker that can",
                )
            )
    return tuple(found)


def warnings(request: PlanRequest, package: Package) -> tuple[str, ...]:
    """What people should know about a release of this package."""
    if request.version in ("0.0.0", package.version) or package.version is None:
        return ()
    return (
        f"{package.manifest} says version {package.version} and component.yaml {request.version}: "
        "the program itself tells what cargo knows",
    )


def targets_of(plan: Plan, platform: Platform) -> tuple[str, ...]:
    """The triples for one of the plan's platforms; empty when the plan has none."""
    known = plan.details.get("targets")
    return strings(known.get(platform)) if isinstance(known, dict) else ()


def without_target(arguments: Sequence[str]) -> list[str]:
    """Arguments for cargo without `--target`, which a release sets itself."""
    kept: list[str] = []
    skip = False
    for argument in arguments:
        if skip or argument == "--target":
            skip = not skip
        elif not argument.startswith("--target="):
            kept.append(argument)
    return kept


def _asked_targets(arguments: Sequence[str]) -> list[str]:
    found = [argument.partition("=")[2] for argument in arguments if argument.startswith("--target=")]
    return found + [following for argument, following in pairwise(arguments) if argument == "--target"]


def _configured_targets(settings: Sequence[Mapping[str, Any]]) -> list[str]:
    for data in settings:
        target = table(data, "build").get("target")
        if isinstance(target, str):
            return [target]
        if isinstance(target, list):
            return list(strings(target))
    return []


def _rustflags(settings: Sequence[Mapping[str, Any]]) -> JsonValue:
    """`build.rustflags`, and those of each `[target.…]`; the nearest file's come last, as cargo joins them."""
    build: list[JsonValue] = []
    targets: list[JsonValue] = []
    for data in reversed(settings):
        build += _flags(table(data, "build").get("rustflags"))
        for key, value in table(data, "target").items():
            if isinstance(value, dict) and (flags := _flags(value.get("rustflags"))):
                targets.append([key, [*flags]])
    return {"build": build, "target": targets}


def _flags(value: object) -> list[str]:
    return value.split() if isinstance(value, str) else list(strings(value))


def _linkers(settings: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    found: dict[str, str] = {}
    for data in reversed(settings):
        for key, value in table(data, "target").items():
            if isinstance(value, dict) and isinstance(value.get("linker"), str):
                found[key] = value["linker"]
    return found


def _reads_certificates(source: SourceTree, lock: str | None) -> bool:
    """True when Cargo.lock names a crate that reads the system's certificates, or is not there to say."""
    if lock is None or not source.exists(lock):
        return True
    try:
        packages = read_toml(source, lock).get("package")
    except PlanError:
        return True  # cargo names the fault in its own words
    names = {package.get("name") for package in packages if isinstance(package, dict)} if packages else set()
    return bool(_READS_CERTIFICATES & names)
