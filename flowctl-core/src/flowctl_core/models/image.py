"""Container images: what goes into one, and what was written.

Formats: OCI image-spec v1.1 (image-layout.md, image-index.md, manifest.md, config.md, layer.md). Digests are
`sha256:<hex>`, sizes are bytes.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, JsonValue

from flowctl_core.models.base import Frozen
from flowctl_core.models.platform import Platform

DIGEST_PATTERN = r"^sha256:[0-9a-f]{64}$"


class LayerEntry(Frozen):
    """A file, folder or symlink of a layer. Its time is the image's, its place in the layer goes by `target`."""

    target: str
    """Absolute path in the image, POSIX spelling."""
    kind: Literal["file", "folder", "link"] = "file"
    source: Path | None = None
    """A file's content is read from here; absolute."""
    text: str = ""
    """A file's content where there is no `source`; what a link points to."""
    mode: int = 0o644
    """Permission bits; without meaning for a link."""
    owner: int = 0
    """User and group id."""
    digest: str = ""
    """Of the content of `source`, where it is known: other bytes are refused."""


class LayerInput(Frozen):
    """One layer to write. Equal layers of several images are written once."""

    created_by: str
    """For the image's history."""
    entries: tuple[LayerEntry, ...]


class BaseLayer(Frozen):
    """A layer of a base image, as its registry gave it."""

    digest: str = Field(pattern=DIGEST_PATTERN)
    size: int
    media_type: str
    """In the OCI spelling."""
    diff_id: str = Field(pattern=DIGEST_PATTERN)
    """Digest of the uncompressed layer, as the base's config says."""
    path: Path
    """The file with the blob."""


class BaseImage(Frozen):
    """The image for one platform on which another is built; all its blobs are on this machine."""

    name: str
    """Reference without digest, as people read it: `docker.io/library/node:24-slim`."""
    digest: str = Field(pattern=DIGEST_PATTERN)
    """What the reference was resolved to: digest of the index, or of the manifest where there is no index."""
    manifest_digest: str = Field(pattern=DIGEST_PATTERN)
    """Of the manifest for this platform."""
    platform: Platform
    config: dict[str, JsonValue] = {}
    """Its config, whole."""
    layers: tuple[BaseLayer, ...] = ()


class Healthcheck(Frozen):
    """A command that tells whether the container is well (Docker's extension of the config)."""

    command: tuple[str, ...]
    """argv."""
    interval_s: float | None = None
    timeout_s: float | None = None
    start_period_s: float | None = None
    retries: int | None = None


class ImageInput(Frozen):
    """One image to write: a base or nothing, layers over it, and how it runs."""

    platform: Platform
    base: BaseImage | None = None
    """None is scratch."""
    layers: tuple[LayerInput, ...] = ()
    entrypoint: tuple[str, ...] = ()
    arguments: tuple[str, ...] = ()
    """Default arguments (Cmd)."""
    user: str = "65532:65532"
    environment: dict[str, str] = {}
    """Laid over the base's."""
    labels: dict[str, str] = {}
    """Laid over the base's; those of `org.opencontainers.image` become annotations as well."""
    working_dir: str = ""
    exposed_ports: tuple[str, ...] = ()
    """`8080/tcp`."""
    volumes: tuple[str, ...] = ()
    """Absolute paths."""
    healthcheck: Healthcheck | None = None
    author: str = ""


class WrittenLayer(Frozen):
    """A layer in a layout."""

    digest: str
    diff_id: str
    size: int
    from_base: bool = False


class WrittenImage(Frozen):
    """An image in a layout."""

    platform: Platform
    digest: str
    """Of its manifest."""
    manifest_size: int
    size: int
    """Of all its blobs: manifest, config and layers."""
    config_digest: str
    layers: tuple[WrittenLayer, ...]
    base_name: str | None = None
    base_digest: str | None = None

    @property
    def image_id(self) -> str:
        """What a Docker engine calls the image once it is loaded: the digest of its config."""
        return self.config_digest


class Compressor(Frozen):
    """What compressed the layers: other versions give other bytes."""

    name: str
    version: str
    level: int
    block_size: int
    """Bytes that are compressed on their own, each a member of the gzip file (RFC 1952, 2.2)."""


class LayoutReport(Frozen):
    """What was written into an OCI image layout."""

    index_digest: str
    """Of the multi-arch index."""
    index_size: int
    images: tuple[WrittenImage, ...]
    """Sorted by platform."""
    compressor: Compressor


class ImageFault(Frozen):
    """A rule that an image layout breaks."""

    where: str
    """File, image or layer."""
    problem: str


class PushReport(Frozen):
    """What a push did."""

    reference: str
    """`registry/repository:tag`."""
    digest: str
    """Of the index (or the one image) that the tags name now."""
    tags: tuple[str, ...]
    uploaded: int
    """Blobs that were sent."""
    mounted: int
    """Blobs that the registry took from another of its repositories."""
    already_there: int


class LoadedImage(Frozen):
    """The image that a Docker engine has now."""

    names: tuple[str, ...]
    """What it is called there: `name:version`, `namespace/name:version`."""
    id: str
    """As `docker image ls` shows it: `sha256:<hex>`."""
    size: int
    """Bytes, unpacked."""
    platform: Platform
    """`os/arch`."""
