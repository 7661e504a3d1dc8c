"""The exact command that brings a target's standard library to this machine, by how Rust came to it."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path

from flowctl_core.models import Platform
from flowctl_lang_rust.release.rustc import Rustc

_DEBIAN_ARCH = {
    "x86_64-unknown-linux-gnu": "amd64",
    "aarch64-unknown-linux-gnu": "arm64",
    "armv7-unknown-linux-gnueabihf": "armhf",
    "i686-unknown-linux-gnu": "i386",
    "powerpc64le-unknown-linux-gnu": "ppc64el",
    "riscv64gc-unknown-linux-gnu": "riscv64",
    "s390x-unknown-linux-gnu": "s390x",
}


def how_to_get_std(rustc: Rustc, triples: Sequence[str], platform: Platform) -> str:
    """A command, or the worker that needs none; `triples` are the targets that would do, the preferred one first."""
    if rustc.sysroot.parent.name == "toolchains":  # rustup's layout: $RUSTUP_HOME/toolchains/<name>
        return _rustup(rustc, triples[0])
    package = _debian_package(rustc)
    if package is not None:
        for triple in triples:
            if triple in _DEBIAN_ARCH:
                arch = _DEBIAN_ARCH[triple]
                return f"dpkg --add-architecture {arch} && apt-get update && apt-get install {package}:{arch}"
    worker = "a macOS worker" if platform.os == "darwin" else f"a {platform} worker"
    return f"install Rust with rustup (https://rustup.rs) and run: rustup target add {triples[0]}; or use {worker}"


def _rustup(rustc: Rustc, triple: str) -> str:
    """With the toolchain's name only where the source or the caller chose one: else it is the default."""
    chosen = rustc.plan.details.get("channel") or rustc.context.environment.get("RUSTUP_TOOLCHAIN")
    toolchain = f"--toolchain {shlex.quote(rustc.sysroot.name)} " if chosen else ""
    return f"rustup target add {toolchain}{triple}"


def _debian_package(rustc: Rustc) -> str | None:
    """`libstd-rust-web-dev` beside `rustc-web`; None when dpkg does not own this rustc."""
    path = rustc.context.tool("rustc").path
    if not Path("/usr/bin/dpkg-query").exists():
        return None
    for name in dict.fromkeys((path, path.resolve())):
        done = rustc.context.run(["/usr/bin/dpkg-query", "--search", str(name)], on_line=lambda line: None)
        owner = done.stdout.partition(":")[0].strip()
        if done.ok and owner.startswith("rustc"):
            suffix = owner.removeprefix("rustc")
            # Debian's and Ubuntu's versioned packages have the version before -dev: libstd-rust-1.85-dev.
            return f"libstd-rust{suffix}-dev"
    return None
