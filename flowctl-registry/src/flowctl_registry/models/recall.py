"""What was made with something that turned out to be bad."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from flowctl_core.models.base import Frozen
from flowctl_registry.models.names import Kind


class RecalledMaterial(Frozen):
    """What a version was made with, and was looked for."""

    kind: Literal["plugin", "tool", "base-image", "dependency"]
    """`dependency` is what the SBOM lists."""
    name: str
    """Of a dependency its package URL without the version."""
    version: str | None = None
    """Where it has one."""
    digest: str | None = None
    """Where it is known."""


class RecalledVersion(Frozen):
    """A version that was made with it."""

    id: int
    """In the registry's database."""
    kind: Kind
    """`component` or `bundle`."""
    namespace: str
    """Its namespace."""
    name: str
    """Its name."""
    version: str
    """Its version."""
    published_at: datetime
    """Since when it can be downloaded."""
    downloads: int
    """Downloads of all versions of the component."""
    yanked: bool
    """Users are warned off it, now or before."""
    materials: tuple[RecalledMaterial, ...]
    """What was found in it."""
    build: str | None = None
    """Of its rebuild, where one was asked for."""
    problem: str | None = None
    """Why it is not rebuilt."""


class RecallReport(Frozen):
    """All of them."""

    versions: tuple[RecalledVersion, ...]
    """By namespace, name and age."""
