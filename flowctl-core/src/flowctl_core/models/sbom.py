"""What a software bill of materials is made from."""

from __future__ import annotations

from typing import Literal

from flowctl_core.models.artifact import Artifact, DependencyReport, Material
from flowctl_core.models.base import Frozen


class SbomTool(Frozen):
    """A program that had a hand in the release: flowctl itself, the builder's plugin."""

    name: str
    version: str = ""
    purl: str = ""


class SbomInput(Frozen):
    """A component, what it is made of, and what was made."""

    name: str
    version: str
    namespace: str | None = None
    """In the registry; part of the component's package URL."""
    purl: str | None = None
    """Of the component; None: `pkg:generic/<namespace>/<name>@<version>`."""
    kind: Literal["application", "library", "container"] = "application"
    """CycloneDX's type of the component."""
    description: str | None = None
    license: str | None = None
    """SPDX expression."""
    dependencies: DependencyReport = DependencyReport()
    artifacts: tuple[Artifact, ...] = ()
    """What was built, with digests, one or more for each platform; `path` is shown by its last part."""
    materials: tuple[Material, ...] = ()
    """What went into the artifacts beside source and dependencies."""
    tools: tuple[SbomTool, ...] = ()
    source_epoch: int = 0
    """Seconds since 1970, of the source (SOURCE_DATE_EPOCH): the document's time stamp."""
