"""Components and bundles in lists and searches."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints

from flowctl_core.models.base import Frozen
from flowctl_registry.models.names import Kind, Name, Version
from flowctl_registry.models.version import Yanked

ComponentType = Literal["source", "processor", "sink"]
_PRINTABLE = r"^[^\x00-\x1f\x7f]+$"
Word = Annotated[str, StringConstraints(pattern=_PRINTABLE, min_length=1, max_length=256)]
Cursor = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]+$", min_length=1, max_length=1024)]


def _listed(value: object) -> object:
    return [value] if isinstance(value, str) else value


Words = Annotated[tuple[Word, ...], Field(max_length=10), BeforeValidator(_listed)]
"""A parameter that may be repeated; all values must match."""


class _Query(BaseModel):
    """Unknown parameters are errors: a typing error must not look like an answer."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class PageQuery(_Query):
    """Which part of a list."""

    limit: int = Field(50, ge=1, le=200)
    """Entries at most."""
    cursor: Cursor | None = None
    """`next` of the page before."""


class ListQuery(PageQuery):
    """Which components."""

    namespace: Name | None = None
    """Only those of this namespace."""
    sort: Literal["name", "updated", "downloads"] = "name"
    """By namespace and name, newest first, or most downloaded first."""


class SearchQuery(PageQuery):
    """What to look for. All that is given must match."""

    q: str = Field("", max_length=200, pattern=r"^[^\x00]*$")
    """Words of the name, namespace, description or tags; the beginning of a word is enough."""
    type: ComponentType | None = None
    """Type of the component."""
    input: Words = ()
    """Event types that it takes."""
    output: Words = ()
    """Event types that it gives."""
    language: Word | None = None
    """Language it is written in."""
    tag: Words = ()
    """Its tags."""
    namespace: Name | None = None
    """Only those of this namespace."""
    sort: Literal["relevance", "name", "updated", "downloads"] = "relevance"
    """Best match first, or as in lists."""


class ComponentSummary(Frozen):
    """A component or bundle, by its latest version."""

    kind: Kind
    """`component` or `bundle`."""
    namespace: Name
    """Where it belongs."""
    name: Name
    """Its name there."""
    type: str | None = None
    """`source`, `processor` or `sink`; bundles have none."""
    language: str | None = None
    """Language it is written in."""
    description: str
    """In a sentence."""
    latest: Version | None = None
    """Newest version that is not yanked; a release before any prerelease."""
    tags: tuple[str, ...] = ()
    """Of the latest version."""
    input_event_types: tuple[str, ...] = ()
    """What it takes."""
    output_event_types: tuple[str, ...] = ()
    """What it gives."""
    downloads: int
    """Of its programs and libraries, all versions."""
    updated_at: datetime
    """When a version was last published or yanked."""


class ComponentPage(Frozen):
    """A part of the list of components."""

    items: tuple[ComponentSummary, ...]
    """The components."""
    next: str | None = None
    """Cursor of the next page; missing on the last."""


class SearchPage(ComponentPage):
    """A part of what was found."""

    total: int
    """How many were found."""
    capped: bool
    """True: there are more than `total`, which were not ranked; narrow the search."""


class ComponentDocument(ComponentSummary):
    """A component or bundle."""

    homepage: str | None = None
    """Its web page."""
    repository: str | None = None
    """Where its source is."""
    license: str | None = None
    """As its author writes it."""
    created_at: datetime
    """When its first version was published."""
    versions: int
    """How many there are."""


class VersionSummary(Frozen):
    """A version in a list."""

    version: Version
    """Without a leading v."""
    prerelease: bool
    """True: never the latest while there is a release."""
    release_digest: str
    """Over paths and digests of all files that were uploaded."""
    published_at: datetime
    """When it became visible."""
    publisher: str
    """Who published it."""
    yanked: Yanked | None = None
    """Set when it must not be used any more."""
    size: int
    """Bytes of all files."""


class VersionPage(Frozen):
    """A part of the versions, newest first; prereleases after all releases."""

    items: tuple[VersionSummary, ...]
    """The versions."""
    next: str | None = None
    """Cursor of the next page; missing on the last."""
