"""Brings what a release is made with: the node binaries of its platforms, a node to build with, and esbuild."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from flowctl_core.errors import FetchError, FlowctlError, StoreError
from flowctl_core.models import BuildContext, Plan, Platform
from flowctl_lang_node import atomic, pins
from flowctl_lang_node.install import RELEASE_FOLDER
from flowctl_lang_node.package_store import StoredPackage, Wanted, obtain, stored
from flowctl_lang_node.release_plan import base_platform, link_name
from flowctl_lang_node.toolchain import Tooling

NODE = "bin/node"
ESBUILD = "bin/esbuild"
ESBUILD_API = "lib/main.js"


def wanted_node(plan: Plan, platform: str) -> Wanted:
    """The package with the node binary for a platform."""
    release: Any = plan.details["release"]
    known = pins.node_integrity(release["node"]) or {}
    return Wanted(pins.NODE_PACKAGES[platform], release["node"], (NODE, "LICENSE"), known.get(platform, ""))


def fetch_release(plan: Plan, context: BuildContext) -> int:
    """Fetch and link; the number of packages. Raises FetchError, StoreError."""
    release: Any = plan.details["release"]
    tooling = Tooling(plan, context)
    links: dict[str, Path] = {}
    host = base_platform(Platform.host())
    if host not in pins.NODE_PACKAGES:
        raise FetchError(f"releases cannot be made on {host}: there is no npm package with Node.js for it")
    failures: list[FlowctlError] = []
    for name, platform in {"host": host, **{str(one): base_platform(one) for one in _possible(plan)}}.items():
        try:
            package = obtain(wanted_node(plan, platform), tooling)
        except FetchError as error:
            # A version that is not pinned may not be there for each platform: the others are built all the same.
            if name == "host" or release["integrity"].get(name):
                raise
            failures.append(error)
            context.progress.warning(f"{name}: {error.message}")
        else:
            links[link_name(name, release["node"])] = package.folder
    version = pins.esbuild_version()
    program = pins.ESBUILD_PACKAGES[host]
    for name, package_name, file in (("esbuild", program, ESBUILD), ("esbuild-api", "esbuild", ESBUILD_API)):
        wanted = Wanted(package_name, version, (file,), pins.esbuild_integrity(package_name))
        links[link_name(name, version)] = obtain(wanted, tooling).folder
    folder = context.source_root / RELEASE_FOLDER
    try:
        folder.mkdir(exist_ok=True)
        for entry in folder.iterdir():
            if entry.name not in links:
                entry.unlink()
        for link, target in links.items():
            atomic.link(folder / link, target)
    except OSError as error:
        raise StoreError.of(error, folder) from error
    if len(failures) == len(_possible(plan)):
        raise failures[0]
    return len(links)


def _possible(plan: Plan) -> list[Platform]:
    refused = {limitation.platform for limitation in plan.limitations}
    return [platform for platform in plan.platforms if platform not in refused]


def linked(plan: Plan, context: BuildContext, what: str) -> StoredPackage | None:
    """A package that fetch_release linked (`host`, `esbuild`, `esbuild-api`, or a platform); None when it is gone."""
    release: Any = plan.details["release"]
    version = pins.esbuild_version() if what.startswith("esbuild") else release["node"]
    link = context.source_root / RELEASE_FOLDER / link_name(what, version)
    try:
        return stored(Path(os.path.realpath(link)))
    except OSError:
        return None
