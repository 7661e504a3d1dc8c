"""What a registry tells of its components, for people who look for one. Nothing of it is signed but what says so."""

from __future__ import annotations

from datetime import datetime

from pydantic import JsonValue

from flowctl_core.models.base import Frozen


class FoundComponent(Frozen):
    """A component of the registry, by its latest version."""

    namespace: str
    """Where it belongs."""
    name: str
    """Its name there."""
    type: str | None = None
    """`source`, `processor` or `sink`."""
    language: str | None = None
    """Language it is written in."""
    description: str = ""
    """In a sentence."""
    latest: str | None = None
    """Newest version that is not yanked."""
    tags: tuple[str, ...] = ()
    """Of the latest version."""
    input_event_types: tuple[str, ...] = ()
    """What it takes."""
    output_event_types: tuple[str, ...] = ()
    """What it gives."""
    downloads: int = 0
    """Of its programs, all versions."""
    updated_at: datetime | None = None
    """When a version was last published or yanked."""


class SearchResult(Frozen):
    """What a search found."""

    items: tuple[FoundComponent, ...]
    """The best match first."""
    total: int
    """How many were found."""
    capped: bool = False
    """True: there are more than `total`, which were not ranked."""


class ComponentFacts(FoundComponent):
    """A component, as the registry describes it."""

    homepage: str | None = None
    """Its web page."""
    repository: str | None = None
    """Where its source is."""
    license: str | None = None
    """As its author writes it."""


class VersionSource(Frozen):
    """What a version was built from, by the registry's word."""

    repository: str | None = None
    """Address of the git repository."""
    commit: str | None = None
    """The git commit."""


class VersionFile(Frozen):
    """A program of a version."""

    path: str
    """As in `dist/`."""
    platform: str | None = None
    """What it runs on."""
    size: int
    """Bytes."""
    digest: str
    """`sha256:<hex>`."""


class VersionImage(Frozen):
    """A container image of a version."""

    platform: str | None = None
    """`os/arch`; None for the index of all."""
    digest: str
    """Of the manifest."""
    reference: str
    """Its address below the registry's host."""


class VersionFacts(Frozen):
    """A version, as the registry describes it."""

    version: str
    """Without a leading v."""
    published_at: datetime
    """When."""
    publisher: str
    """Who published it, by the registry's word."""
    size: int
    """Bytes of all its files."""
    source: VersionSource = VersionSource()
    """What it was built from."""
    document: dict[str, JsonValue] = {}
    """component.yaml as data."""
    binaries: tuple[VersionFile, ...] = ()
    """Programs and libraries."""
    images: tuple[VersionImage, ...] = ()
    """Container images."""


class ComponentInfo(Frozen):
    """The answer of `flowctl component info`."""

    component: str
    """`namespace/name`."""
    registry: str
    """Address of the registry."""
    signed: bool
    """True: the signed index lists this version with the digests of these programs."""
    yanked: str | None
    """Why the version must not be used any more, by the signed index."""
    versions: tuple[str, ...]
    """All that the signed index has and that are not yanked, the newest first."""
    installed: tuple[str, ...]
    """Those that are on this machine, the newest first."""
    facts: ComponentFacts
    """By the registry's word."""
    version: VersionFacts
    """The version that the range means, by the registry's word."""
