"""How a platform is built here: which target, which linker; or why it cannot be, and what would make it possible."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from flowctl_core.models import BuildContext, Limitation, Plan, Platform
from flowctl_lang_rust.release.install import how_to_get_std
from flowctl_lang_rust.release.plan import targets_of
from flowctl_lang_rust.release.rustc import Rustc
from flowctl_lang_rust.targets import platform_of
from flowctl_lang_rust.toolchain import CROSS_HINT, cross_compiler, cross_package

GLIBC = "2.17"
"""Oldest glibc that a gnu program runs with: the floor of Rust's own standard library (the rustc book, «Platform
Support») and of manylinux2014, so that a release excludes no system that Rust itself supports."""


@dataclass(frozen=True)
class Route:
    """A target that is installed, and what links for it."""

    platform: Platform
    triple: str
    linker: Literal["zig", "cc", "source"]
    """`cc`: a C compiler on this machine; `source`: the linker that the source's own configuration names."""
    compiler: Path | None = None
    """For `cc`: which one."""
    glibc: str = ""
    """Oldest glibc, where zig pins it."""

    @property
    def target(self) -> str:
        """As `--target` of the command that builds."""
        return f"{self.triple}.{self.glibc}" if self.glibc else self.triple

    @property
    def static(self) -> bool:
        """True when the program needs nothing of its system (rustc links musl statically)."""
        return "-linux-musl" in self.triple


def find_route(plan: Plan, context: BuildContext, rustc: Rustc, platform: Platform) -> Route | Limitation:
    """The first of the platform's targets that is installed and can be linked; why not, for the first one otherwise."""
    wanted = targets_of(plan, platform)
    refusals: list[Limitation] = []
    for target in wanted:
        triple, _, glibc = target.partition(".")
        if not rustc.has_std(triple):
            reason = f"{context.tool('rustc').path} has no standard library for {' or '.join(_plain(wanted))}"
            refusals.append(
                Limitation(platform=platform, reason=reason, remedy=how_to_get_std(rustc, _plain(wanted), platform))
            )
            continue
        route = _link(plan, context, rustc, platform, triple, glibc)
        if route is not None:
            return route
        # An installed target is nearer than one that is not: its refusal is the one to tell.
        refusals.insert(0, _no_linker(platform, triple))
    if not refusals:
        return Limitation(
            platform=platform,
            reason=f"the plan has no Rust target for {platform}",
            remedy="leave the platform out, or name a target with --target in build_args",
        )
    return refusals[0]


def _plain(targets: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(target.partition(".")[0] for target in targets)


def _link(plan: Plan, context: BuildContext, rustc: Rustc, platform: Platform, triple: str, glibc: str) -> Route | None:
    """zig where it is there, even for this machine's own target: it pins glibc and is the same everywhere."""
    if "zig" in context.tools and "cargo-zigbuild" in context.tools:
        pinned = (glibc or GLIBC) if "-linux-gnu" in triple else ""
        return Route(platform, triple, "zig", glibc=pinned)
    if glibc:
        return None  # only zig can link against another glibc than the machine's
    linkers = plan.details.get("linkers")
    own = linkers.get(triple) if isinstance(linkers, dict) else None
    if isinstance(own, str) and _on_path(context, plan, own):
        return Route(platform, triple, "source")
    host = platform_of(rustc.host)
    if host is not None and (platform == host or (host.os == "darwin" and platform.os == "darwin")):
        compiler = context.tools.get("cc")
    else:
        compiler = context.tools.get(cross_compiler(triple) or "")
    return Route(platform, triple, "cc", compiler=compiler.path) if compiler is not None else None


def _on_path(context: BuildContext, plan: Plan, program: str) -> bool:
    if "/" in program:
        return os.access(context.source_root / plan.root / program, os.X_OK)
    return shutil.which(program, path=context.environment.get("PATH")) is not None


def _no_linker(platform: Platform, triple: str) -> Limitation:
    compiler = cross_compiler(triple)
    other = f", or: apt-get install {cross_package(compiler)}" if compiler else ""
    return Limitation(
        platform=platform,
        reason=f"nothing here links for {triple}: neither zig with cargo-zigbuild nor a cross compiler",
        remedy=f"{CROSS_HINT}{other}",
    )
