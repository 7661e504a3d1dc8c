"""Rust's target triples and what files are called on them, as data."""

from __future__ import annotations

from flowctl_core.models import Platform

TRIPLES: dict[str, str] = {
    "x86_64-unknown-linux-gnu": "linux/amd64",
    "x86_64-unknown-linux-musl": "linux/amd64",
    "aarch64-unknown-linux-gnu": "linux/arm64",
    "aarch64-unknown-linux-musl": "linux/arm64",
    "armv7-unknown-linux-gnueabihf": "linux/arm/v7",
    "armv7-unknown-linux-musleabihf": "linux/arm/v7",
    "arm-unknown-linux-gnueabihf": "linux/arm/v6",
    "arm-unknown-linux-musleabihf": "linux/arm/v6",
    "i686-unknown-linux-gnu": "linux/386",
    "i686-unknown-linux-musl": "linux/386",
    "powerpc64le-unknown-linux-gnu": "linux/ppc64le",
    "riscv64gc-unknown-linux-gnu": "linux/riscv64",
    "s390x-unknown-linux-gnu": "linux/s390x",
    "x86_64-apple-darwin": "darwin/amd64",
    "aarch64-apple-darwin": "darwin/arm64",
    "x86_64-pc-windows-gnu": "windows/amd64",
    "x86_64-pc-windows-msvc": "windows/amd64",
    "aarch64-pc-windows-msvc": "windows/arm64",
    "x86_64-unknown-freebsd": "freebsd/amd64",
    "wasm32-wasip1": "wasip1/wasm",
    "wasm32-wasip2": "wasip2/wasm",
    "wasm32-unknown-unknown": "js/wasm",
}
"""Triple to platform, for the triples that components are built for (wasm in Go's GOOS/GOARCH spelling)."""

RELEASED_OS = ("linux", "darwin")
"""Systems that releases are made for."""

_DYNAMIC = {"darwin": ("lib", ".dylib"), "windows": ("", ".dll")}
_WASM = ("", ".wasm")


def platform_of(triple: str) -> Platform | None:
    """The platform of a triple; None when the table does not know it."""
    text = TRIPLES.get(triple)
    return None if text is None else Platform(text)


def candidates(platform: Platform, *, library: bool) -> tuple[str, ...]:
    """Triples for a platform, the preferred one first; none when the table does not know it.

    musl comes first for a program: it is static and runs everywhere, an empty image included. A library is loaded
    into somebody else's process, which has glibc.
    """
    found = [triple for triple, text in TRIPLES.items() if text == platform and platform.os in RELEASED_OS]
    if library:
        return tuple(triple for triple in found if "musl" not in triple)
    return tuple(sorted(found, key=lambda triple: "musl" not in triple))


def library_file(crate: str, crate_type: str, platform: Platform) -> str:
    """File name that rustc gives a `cdylib` or `staticlib`."""
    if crate_type == "staticlib":
        return f"lib{crate}.a"
    prefix, suffix = _WASM if platform.arch == "wasm" else _DYNAMIC.get(platform.os, ("lib", ".so"))
    return f"{prefix}{crate}{suffix}"


def program_file(name: str, platform: Platform) -> str:
    """File name of a program."""
    return name + (".exe" if platform.os == "windows" else _WASM[1] if platform.arch == "wasm" else "")
