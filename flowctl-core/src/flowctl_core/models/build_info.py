"""What made a release: `metadata/build-info.json`. Holds nothing of the machine, the user or the hour."""

from __future__ import annotations

from typing import Literal

from flowctl_core.models.artifact import Material
from flowctl_core.models.base import Frozen
from flowctl_core.models.plan import Plan
from flowctl_core.models.platform import Platform
from flowctl_core.models.release import ReleaseArtifact, SourceIdentity


class PluginInfo(Frozen):
    """A builder or wrapper that took part."""

    name: str
    distribution: str
    version: str
    digest: str
    """Canonical digest of its installed RECORD (docs/plugins/contract.md)."""
    role: Literal["builder", "wrapper"]


class ToolInfo(Frozen):
    """A tool that was used."""

    name: str
    version: str
    digest: str
    """`sha256:<hex>` of the executable."""
    origin: str
    """`PATH`, or the distribution whose wheel carries it."""


class PlatformInfo(Frozen):
    """What was made for one platform, or why nothing."""

    platform: Platform
    state: Literal["built", "failed", "refused"]
    reason: str | None = None
    materials: tuple[Material, ...] = ()


class BaseImageInfo(Frozen):
    """The base of an image."""

    reference: str
    """As it was asked for."""
    digest: str
    """What it was resolved to: of the index, or of the manifest where there is no index."""


class ImageInfo(Frozen):
    """One container image."""

    platform: Platform
    digest: str
    """Of its manifest."""
    config: str
    """Of its configuration."""
    layers: tuple[str, ...] = ()
    """Of the layers as they are stored."""
    diff_ids: tuple[str, ...] = ()
    """Of the layers uncompressed."""


class DockerfileInfo(Frozen):
    """What a Docker engine built images from. It promises no equal bytes: what RUN fetches and writes is of its day."""

    reproducible: Literal[False] = False
    path: str | None
    """Relative to the component's folder; None: the text stands in component.yaml."""
    digest: str
    """Of the text."""
    context: str
    """Folder that the Dockerfile sees, relative to the component's folder."""
    target: str | None = None
    """Stage."""
    args: dict[str, str] = {}
    """Build arguments that component.yaml gives."""
    engine: str
    """Version of the Docker engine."""


class ImagesInfo(Frozen):
    """All container images of the release."""

    index: str
    """Digest of the multi-platform index."""
    compressor: str
    """Name and version: zlib, zlib-ng and isal differ in bytes."""
    dockerfile: DockerfileInfo | None = None
    """Set when a Docker engine built the images; else flowctl assembled them."""
    bases: tuple[BaseImageInfo, ...] = ()
    images: tuple[ImageInfo, ...] = ()


class BuildInfo(Frozen):
    """The whole document."""

    schema_version: Literal[1] = 1
    component: str
    version: str
    language: str
    asked_language: str | None = None
    """`--language`, where it was given."""
    asked_main: str | None = None
    """`--main`, where it was given."""
    source: SourceIdentity
    flowctl: str
    """Version of flowctl-core."""
    plugins: tuple[PluginInfo, ...]
    plan: Plan
    tools: tuple[ToolInfo, ...]
    environment: dict[str, str]
    """What the tools were given beside the plan's own variables: names of the caller's variables that the plan passes
    through, with a digest of their values (a value may be a secret), and SOURCE_DATE_EPOCH, TZ, LC_ALL."""
    platforms: tuple[PlatformInfo, ...]
    artifacts: tuple[ReleaseArtifact, ...]
    images: ImagesInfo | None = None
    fetch_ran_code: tuple[str, ...] = ()
    """Packages whose own code ran on this machine while dependencies were fetched (a source distribution's build
    backend, an install script that component.yaml allows), now or in an earlier fetch whose result was kept; sorted."""
    sbom: str
    """Digest of sbom.cdx.json."""
