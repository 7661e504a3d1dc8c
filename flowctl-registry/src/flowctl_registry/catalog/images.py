"""The image layout of a release: every manifest checked, and what the distribution API will serve of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import Field, ValidationError

from flowctl_core.models.base import Frozen
from flowctl_core.models.build_info import ImagesInfo
from flowctl_registry.errors import InvalidReleaseError
from flowctl_registry.models.names import Digest
from flowctl_registry.models.upload import UploadedFile

INDEX_TYPE = "application/vnd.oci.image.index.v1+json"
MANIFEST_TYPE = "application/vnd.oci.image.manifest.v1+json"
_LAYOUT = "containers/oci/"
_BLOBS = _LAYOUT + "blobs/sha256/"


@dataclass(frozen=True)
class Manifest:
    """An image manifest or index."""

    digest: str
    size: int
    media_type: str
    references: tuple[str, ...]
    """Config, layers, child manifests."""
    subject: str | None = None
    artifact_type: str | None = None
    annotations: dict[str, str] = field(default_factory=dict)


class _Descriptor(Frozen):
    digest: Digest
    size: int
    media_type: str = Field("", alias="mediaType")


class _Document(Frozen):
    media_type: str = Field(alias="mediaType")
    manifests: tuple[_Descriptor, ...] = ()
    config: _Descriptor | None = None
    layers: tuple[_Descriptor, ...] = ()
    subject: _Descriptor | None = None
    artifact_type: str | None = Field(None, alias="artifactType")
    annotations: dict[str, str] = Field(default_factory=dict)


def read_layout(
    by_path: Mapping[str, UploadedFile], images: ImagesInfo | None, read: Callable[[str], bytes]
) -> tuple[Manifest, ...]:
    """All manifests that the layout's index.json leads to, children first.

    Raises InvalidReleaseError for a layout that is not closed, or is not what build-info.json recorded.
    """
    layout = {path: file for path, file in by_path.items() if path.startswith(_LAYOUT)}
    if images is None:
        if layout:
            raise InvalidReleaseError("the release has images that build-info.json does not name")
        return ()
    for path, file in layout.items():
        if path.startswith(_BLOBS) and path.removeprefix(_BLOBS) != file.digest.removeprefix("sha256:"):
            raise InvalidReleaseError(f"{path} has another digest than its name says")
    if _LAYOUT + "index.json" not in layout:
        raise InvalidReleaseError("the image layout has no index.json")
    found: dict[str, Manifest] = {}
    sizes = {file.digest: file.size for file in layout.values()}
    top = _parse(read(layout[_LAYOUT + "index.json"].digest), "index.json")
    if images.index not in {each.digest for each in top.manifests}:
        raise InvalidReleaseError("the image layout has not the index that build-info.json recorded")
    waiting = [(each, 0) for each in top.manifests]
    while waiting:
        entry, depth = waiting.pop()
        if entry.digest in found:
            continue
        if depth > 3:
            raise InvalidReleaseError("the image index nests too deeply")
        if sizes.get(entry.digest) != entry.size:
            raise InvalidReleaseError(f"the image layout lacks {entry.digest}, or it has another size")
        document = _parse(read(entry.digest), entry.digest)
        if document.media_type not in (INDEX_TYPE, MANIFEST_TYPE):
            raise InvalidReleaseError(f"{entry.digest} is of type {document.media_type}")
        for part in (document.config, *document.layers):
            if part is not None and sizes.get(part.digest) != part.size:
                raise InvalidReleaseError(f"the image layout lacks {part.digest}, or it has another size")
        waiting += [(each, depth + 1) for each in document.manifests]
        found[entry.digest] = _manifest(entry, document)
    missing = {each.digest for each in images.images} - found.keys()
    if missing:
        raise InvalidReleaseError(f"the image layout lacks the image {min(missing)} that build-info.json recorded")
    return tuple(reversed(found.values()))


def _manifest(entry: _Descriptor, document: _Document) -> Manifest:
    parts = [*document.manifests, *([document.config] if document.config else []), *document.layers]
    artifact_type = document.artifact_type
    if artifact_type is None and document.config is not None:
        artifact_type = document.config.media_type
    return Manifest(
        entry.digest,
        entry.size,
        document.media_type,
        tuple(dict.fromkeys(part.digest for part in parts)),
        document.subject.digest if document.subject else None,
        artifact_type,
        dict(document.annotations),
    )


def _parse(data: bytes, name: str) -> _Document:
    try:
        return _Document.model_validate_json(data)
    except ValidationError as error:
        first: Any = error.errors()[0]
        raise InvalidReleaseError(f"the image's {name} is malformed: {first['msg']}") from None
