"""Writes an OCI image layout (image-spec image-layout.md): one image a platform and a multi-arch index over them."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from flowctl_core.errors import ImageError
from flowctl_core.models.image import BaseImage, ImageInput, LayerInput, LayoutReport, WrittenImage, WrittenLayer
from flowctl_core.package import compressor, documents
from flowctl_core.package.blobs import Blobs, refusals
from flowctl_core.package.layer import write_layer

LAYOUT = {"imageLayoutVersion": "1.0.0"}


def write_layout(
    images: Sequence[ImageInput],
    layout: Path,
    *,
    epoch: int,
    parallel: int = 0,
    ref_name: str | None = None,
    annotations: Mapping[str, str] | None = None,
    index_copy: Path | None = None,
) -> LayoutReport:
    """Write the images into the folder `layout`, which must be empty or missing, and say what they are.

    `epoch` is the time of everything in them, in seconds (SOURCE_DATE_EPOCH). `parallel` is the number of threads that
    compress (0: one a core); it does not change a byte. `ref_name` names the image in the layout, `annotations` are
    written to the index and each manifest, `index_copy` gets a copy of the multi-arch index. index.json comes last: a
    layout that has one is complete.

    Raises ImageError for input that makes no image, StoreError when the disk refuses.
    """
    _check(images, layout)
    ordered = sorted(images, key=lambda image: image.platform)
    blobs = Blobs(layout)
    threads = parallel or os.cpu_count() or 1
    with compressors(threads) as pool:
        layers = _write_layers(ordered, blobs, epoch, pool, threads)
    notes = dict(annotations or {})
    written = [_write_image(image, layers, blobs, epoch, notes) for image in ordered]
    return finish_layout(written, layout, blobs, ref_name=ref_name, annotations=notes, index_copy=index_copy)


def finish_layout(
    written: Sequence[WrittenImage],
    layout: Path,
    blobs: Blobs,
    *,
    ref_name: str | None = None,
    annotations: Mapping[str, str] | None = None,
    index_copy: Path | None = None,
) -> LayoutReport:
    """Write the index over images whose blobs are there, and what makes a layout of the folder. See `write_layout`."""
    index = documents.encode(documents.index(written, annotations or {}))
    digest = blobs.put(index)
    _write(layout / "oci-layout", documents.encode(dict(LAYOUT)))
    if index_copy is not None:
        _write(index_copy, index)
    _write(layout / "index.json", documents.encode(documents.layout_index(digest, len(index), ref_name)))
    return LayoutReport(
        index_digest=digest, index_size=len(index), images=tuple(written), compressor=compressor.describe()
    )


def _check(images: Sequence[ImageInput], layout: Path) -> None:
    platforms = [image.platform for image in images]
    if not images:
        raise ImageError("an image layout needs an image", hint="Name a linux platform: --platforms linux/amd64")
    for platform in platforms:
        if platforms.count(platform) > 1:
            raise ImageError(f"two images for {platform} in one layout")
    for image in images:
        base = image.base
        if base is not None and (base.platform.os, base.platform.arch) != (image.platform.os, image.platform.arch):
            raise ImageError(f"the base {base.name} is for {base.platform} and cannot be under {image.platform}")
    with refusals(layout):
        if layout.exists() and (not layout.is_dir() or any(layout.iterdir())):
            raise ImageError(f"{layout} is not empty", hint="Name a new folder for the image layout.")


@contextmanager
def compressors(threads: int) -> Iterator[Executor | None]:
    """The threads that compress; None where there is just one."""
    if threads == 1:
        yield None
        return
    with ThreadPoolExecutor(threads, "compress") as pool:
        yield pool


def _write_layers(
    images: Sequence[ImageInput], blobs: Blobs, epoch: int, pool: Executor | None, threads: int
) -> dict[LayerInput, WrittenLayer]:
    """Each different layer once."""
    layers = dict.fromkeys(layer for image in images for layer in image.layers)
    return {layer: write_layer(layer.entries, blobs, epoch=epoch, pool=pool, parallel=threads) for layer in layers}


def _write_image(
    image: ImageInput,
    written: Mapping[LayerInput, WrittenLayer],
    blobs: Blobs,
    epoch: int,
    annotations: Mapping[str, str],
) -> WrittenImage:
    layers = [*(_take_base(image.base, blobs) if image.base else ()), *(written[layer] for layer in image.layers)]
    config = documents.encode(documents.image_config(image, layers, epoch))
    config_digest = blobs.put(config)
    manifest = documents.encode(documents.manifest(image, config, config_digest, layers, annotations))
    return WrittenImage(
        platform=image.platform,
        digest=blobs.put(manifest),
        manifest_size=len(manifest),
        size=len(manifest) + len(config) + sum(layer.size for layer in layers),
        config_digest=config_digest,
        layers=tuple(layers),
        base_name=image.base.name if image.base else None,
        base_digest=image.base.digest if image.base else None,
    )


def _take_base(base: BaseImage, blobs: Blobs) -> Iterator[WrittenLayer]:
    for layer in base.layers:
        try:
            blobs.take(layer.path, layer.digest)
        except ValueError as error:
            raise ImageError(f"the base {base.name} is damaged on this machine: {error}") from error
        yield WrittenLayer(digest=layer.digest, diff_id=layer.diff_id, size=layer.size, from_base=True)


def _write(path: Path, data: bytes) -> None:
    with refusals(path):
        path.write_bytes(data)
