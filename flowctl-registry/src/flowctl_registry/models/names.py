"""Names that clients give; they become parts of URLs, image references and signed index paths."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import StringConstraints

Kind = Literal["component", "bundle"]
"""What a version is of."""
NAME_PATTERN = r"^[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*$"
"""The distribution specification's rule for a path component of a repository's name."""
VERSION_PATTERN = (
    r"^(0|[1-9][0-9]{0,8})\.(0|[1-9][0-9]{0,8})\.(0|[1-9][0-9]{0,8})"
    r"(?:-(?:0|[1-9][0-9]{0,8}|[0-9]*[A-Za-z-][0-9A-Za-z-]*)(?:\.(?:0|[1-9][0-9]{0,8}|[0-9]*[A-Za-z-][0-9A-Za-z-]*))*)?$"
)
"""Semantic Versioning 2.0.0 without a leading v and without build metadata (`+` cannot stand in an image's tag)."""
DIGEST_PATTERN = r"^sha256:[0-9a-f]{64}$"
BUILD_PATTERN = r"^[0-9a-f]{32}$"

Name = Annotated[str, StringConstraints(pattern=NAME_PATTERN, max_length=100)]
Version = Annotated[str, StringConstraints(pattern=VERSION_PATTERN, max_length=100)]
Digest = Annotated[str, StringConstraints(pattern=DIGEST_PATTERN)]
ReleasePath = Annotated[
    str,
    StringConstraints(
        pattern=r"^(binaries|containers|metadata)(/[A-Za-z0-9_@+=~,-][A-Za-z0-9._@+=~,-]*)+$", max_length=400
    ),
]
"""A file of `dist/`: no hidden files, no `..`, nothing outside the three folders."""

REFERENCE_PATTERN = r"^(?:latest|v?" + VERSION_PATTERN[1:-1] + r")$"
"""A version as a reader may write it: with a leading v, or `latest`."""


def precedence(version: str) -> str:
    """A text whose byte order is the precedence of Semantic Versioning, except that any release is above all
    prereleases: `latest` is the greatest that is not yanked."""
    core, _, prerelease = version.partition("-")
    numbers = ".".join(part.zfill(9) for part in core.split("."))
    if not prerelease:
        return f"1{numbers}"
    parts = (f"0{each.zfill(9)}" if each.isdecimal() else f"1{each}" for each in prerelease.split("."))
    return f"0{numbers}-" + "".join(f"{part}\t" for part in parts)
