"""A published version, as the API lists it."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import JsonValue

from flowctl_core.models.base import Frozen
from flowctl_registry.models.names import Digest, Kind, Name, Version

ArtifactKind = Literal["binary", "library", "image", "sbom", "scan", "provenance", "signature", "metadata"]
"""What a file of a release is. `image` is the files of the OCI layout."""


class ListedFile(Frozen):
    """A file of a version."""

    path: str
    """As in `dist/`."""
    kind: ArtifactKind
    """What it is."""
    platform: str | None = None
    """What it runs on, `os/arch[/variant]`."""
    digest: Digest
    """`sha256:<hex>`."""
    size: int
    """Bytes."""
    media_type: str
    """Of the file."""
    url: str
    """Where to fetch it."""


class ListedImage(Frozen):
    """A container image of a version."""

    platform: str | None = None
    """`os/arch[/variant]`; None for the index of all."""
    digest: Digest
    """Of the manifest."""
    reference: str
    """Its address here: `docker pull HOST/<reference>`."""


class Source(Frozen):
    """What it was built from."""

    repository: str | None = None
    """Address of the git repository."""
    commit: str | None = None
    """The git commit."""
    tree_digest: str | None = None
    """Digest of the source tree."""


class Yanked(Frozen):
    """Why a version must not be used any more. It stays downloadable by its exact version."""

    at: datetime
    """When."""
    reason: str
    """Why."""


class VersionDocument(Frozen):
    """A version with its files: `binaries/`, `containers/`, `metadata/`."""

    kind: Kind
    """`component` or `bundle`."""
    namespace: Name
    """Of the component."""
    name: Name
    """Of the component."""
    version: Version
    """Without a leading v."""
    prerelease: bool
    """True: never the latest while there is a release."""
    release_digest: Digest
    """Over paths and digests of all files that were uploaded."""
    published_at: datetime
    """When it became visible."""
    publisher: str
    """Who published it."""
    yanked: Yanked | None = None
    """Set when it must not be used any more."""
    size: int
    """Bytes of all files."""
    source: Source
    """What it was built from."""
    document: dict[str, JsonValue]
    """Metadata and interface as in component.yaml or bundle.yaml."""
    binaries: tuple[ListedFile, ...] = ()
    """Programs and libraries."""
    containers: tuple[ListedFile, ...] = ()
    """The OCI image layout."""
    metadata: tuple[ListedFile, ...] = ()
    """SBOM, scan, provenance, signatures, component.yaml."""
    images: tuple[ListedImage, ...] = ()
    """What can be pulled."""
