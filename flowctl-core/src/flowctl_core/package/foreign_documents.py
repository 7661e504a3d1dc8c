"""Index, manifest and config of any image, in the OCI's and in Docker's spelling (schema 2), read with distrust.

OCI image-spec image-index.md, manifest.md, config.md; distribution's manifest-v2-2.md.
"""

from __future__ import annotations

from pydantic import Field, JsonValue, TypeAdapter, ValidationError

from flowctl_core.errors import ImageError
from flowctl_core.models.base import Frozen
from flowctl_core.models.image import DIGEST_PATTERN
from flowctl_core.models.platform import Platform

_INDEXES = (
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
)
_MANIFESTS = (
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
)
_LAYERS = {
    "application/vnd.docker.image.rootfs.diff.tar.gzip": "application/vnd.oci.image.layer.v1.tar+gzip",
    "application/vnd.docker.image.rootfs.diff.tar": "application/vnd.oci.image.layer.v1.tar",
    "application/vnd.docker.image.rootfs.diff.tar.zstd": "application/vnd.oci.image.layer.v1.tar+zstd",
    "application/vnd.oci.image.layer.v1.tar+gzip": "application/vnd.oci.image.layer.v1.tar+gzip",
    "application/vnd.oci.image.layer.v1.tar": "application/vnd.oci.image.layer.v1.tar",
    "application/vnd.oci.image.layer.v1.tar+zstd": "application/vnd.oci.image.layer.v1.tar+zstd",
}
"""Media types of layers, and what the same bytes are called in an OCI manifest."""
_VARIANTS = {("arm64", "v8"): "", ("arm64", ""): "", ("arm", ""): "v7", ("amd64", "v1"): ""}
_LAYER_LIMIT = 1024


class Descriptor(Frozen):
    """What points to a blob (image-spec descriptor.md)."""

    media_type: str = Field("", alias="mediaType")
    digest: str = Field(pattern=DIGEST_PATTERN)
    size: int = Field(ge=0)


class _PlatformFields(Frozen):
    os: str
    architecture: str
    variant: str = ""

    @property
    def key(self) -> tuple[str, str, str]:
        variant = _VARIANTS.get((self.architecture, self.variant), self.variant)
        return self.os, self.architecture, variant

    @property
    def shown(self) -> str:
        return "/".join(part for part in (self.os, self.architecture, self.variant) if part)


class IndexEntry(Descriptor):
    """One manifest of an index."""

    platform: _PlatformFields | None = None
    artifact_type: str = Field("", alias="artifactType")
    """Of what is no image: an attestation that stands beside one."""


class _Index(Frozen):
    manifests: tuple[IndexEntry, ...]


class Manifest(Frozen):
    """One image: its config and layers; media types of layers in the OCI's spelling."""

    config: Descriptor
    layers: tuple[Descriptor, ...] = Field(max_length=_LAYER_LIMIT)
    annotations: dict[str, str] | None = None


class _RootFs(Frozen):
    diff_ids: tuple[str, ...]


class _Config(_PlatformFields):
    rootfs: _RootFs


_DOCUMENT = TypeAdapter(dict[str, JsonValue])


def read_index(data: bytes, name: str) -> tuple[IndexEntry, ...] | None:
    """The manifests of an index; None when the document is the manifest of a single image. Raises ImageError."""
    document = _document(data, name)
    kind = document.get("mediaType")
    if kind in _MANIFESTS or (kind is None and "config" in document):
        return None
    if document.get("schemaVersion") == 1:
        raise ImageError(
            f"the image {name} has the format of 2015 (schema 1), which nobody reads any more",
            hint="Name a newer tag of it.",
        )
    if kind is not None and kind not in _INDEXES:
        raise ImageError(f"{name} is no image: it is of type {kind}")
    try:
        return _Index.model_validate(document).manifests
    except ValidationError as error:
        raise _broken(name, "index", error) from error


def only_image(entries: tuple[IndexEntry, ...] | None, name: str) -> IndexEntry:
    """The one image or index of a layout, whatever stands beside it. Raises ImageError for none and for several."""
    images = [entry for entry in entries or () if not entry.artifact_type]
    if len(images) != 1:
        raise ImageError(f"{name} is not an image layout with one image or index in it")
    return images[0]


def choose_manifest(entries: tuple[IndexEntry, ...], platform: Platform, name: str) -> IndexEntry:
    """The entry for a platform. Raises ImageError that lists which there are."""
    wanted = _PlatformFields(os=platform.os, architecture=platform.arch, variant=platform.variant or "")
    known = [entry for entry in entries if entry.platform is not None and entry.platform.os != "unknown"]
    for entry in known:
        if entry.platform is not None and entry.platform.key == wanted.key:
            return entry
    for entry in known:
        if platform.variant is None and entry.platform is not None and entry.platform.key[:2] == wanted.key[:2]:
            return entry
    there = ", ".join(dict.fromkeys(entry.platform.shown for entry in known if entry.platform is not None))
    raise ImageError(
        f"the image {name} has nothing for {platform}; it has: {there or 'no platform at all'}",
        hint="Name another base image, or leave the platform out.",
    )


def read_manifest(data: bytes, name: str) -> Manifest:
    """A manifest with its layers' types in the OCI's spelling. Raises ImageError."""
    document = _document(data, name)
    if document.get("mediaType") not in (*_MANIFESTS, None):
        raise ImageError(f"{name} is no image: it is of type {document.get('mediaType')}")
    try:
        manifest = Manifest.model_validate(document)
    except ValidationError as error:
        raise _broken(name, "manifest", error) from error
    for layer in manifest.layers:
        if layer.media_type not in _LAYERS:
            raise ImageError(
                f"the image {name} has a layer of type {layer.media_type}, which is no layer of a container"
            )
    layers = tuple(layer.model_copy(update={"media_type": _LAYERS[layer.media_type]}) for layer in manifest.layers)
    return manifest.model_copy(update={"layers": layers})


def read_rootfs(data: bytes, name: str) -> tuple[dict[str, JsonValue], Platform, tuple[str, ...]]:
    """The config whole, its platform, and its layers' digests uncompressed. Raises ImageError."""
    document = _document(data, name)
    try:
        config = _Config.model_validate(document)
        return document, Platform(config.shown), config.rootfs.diff_ids
    except ValidationError as error:
        raise _broken(name, "config", error) from error
    except ValueError as error:
        raise ImageError(f"the config of the image {name} makes no sense: {error}") from error


def _document(data: bytes, name: str) -> dict[str, JsonValue]:
    try:
        return _DOCUMENT.validate_json(data)
    except ValidationError as error:
        raise ImageError(f"a document of the image {name} is not JSON") from error


def _broken(name: str, what: str, error: ValidationError) -> ImageError:
    first = error.errors()[0]
    where = ".".join(map(str, first["loc"]))
    return ImageError(f"the {what} of the image {name} makes no sense: {where}: {first['msg']}")
