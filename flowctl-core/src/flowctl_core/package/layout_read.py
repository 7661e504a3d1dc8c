"""Reads one image out of an image layout (image-layout.md)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pydantic import JsonValue

from flowctl_core.errors import ImageError
from flowctl_core.models.platform import Platform
from flowctl_core.package.blobs import refusals
from flowctl_core.package.foreign_documents import (
    Descriptor,
    choose_manifest,
    only_image,
    read_index,
    read_manifest,
    read_rootfs,
)


@dataclass(frozen=True)
class StoredImage:
    """An image whose blobs are in a layout."""

    platform: Platform
    layout: Path
    digest: str
    """Of its manifest."""
    config_digest: str
    config: dict[str, JsonValue]
    layers: tuple[Descriptor, ...]
    """As they are stored; media types in the OCI's spelling."""
    diff_ids: tuple[str, ...]
    """Digests of the layers, uncompressed."""

    def blob(self, digest: str) -> Path:
        """The file of a blob."""
        return self.layout / "blobs" / "sha256" / digest.removeprefix("sha256:")


def read_image(layout: Path, platform: Platform) -> StoredImage:
    """The image for a platform. Raises ImageError when the layout has none or is not complete."""
    name = str(layout)
    entry: Descriptor = only_image(read_index(_bytes(layout / "index.json"), name), name)
    data = _blob(layout, entry)
    entries = read_index(data, name)
    if entries is not None:
        entry = choose_manifest(entries, platform, name)
        data = _blob(layout, entry)
    manifest = read_manifest(data, name)
    config, own, diff_ids = read_rootfs(_blob(layout, manifest.config), name)
    if (own.os, own.arch) != (platform.os, platform.arch):
        raise ImageError(f"the image in {name} is for {own}, not for {platform}")
    return StoredImage(
        platform=own,
        layout=layout,
        digest=entry.digest,
        config_digest=manifest.config.digest,
        config=config,
        layers=manifest.layers,
        diff_ids=diff_ids,
    )


def _blob(layout: Path, descriptor: Descriptor) -> bytes:
    return _bytes(layout / "blobs" / "sha256" / descriptor.digest.removeprefix("sha256:"))


def _bytes(path: Path) -> bytes:
    with refusals(path):
        if not path.is_file():
            raise ImageError(f"the image layout is not complete: {path} is missing")
        return path.read_bytes()
