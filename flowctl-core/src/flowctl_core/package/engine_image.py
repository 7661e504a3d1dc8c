"""Takes an image that an engine built into an image layout (the docker-archive of `docker save`)."""

from __future__ import annotations

import gzip
import json
import tarfile
from collections.abc import Iterator
from typing import IO

from pydantic import TypeAdapter, ValidationError

from flowctl_core.errors import ImageError
from flowctl_core.models.base import Frozen
from flowctl_core.models.image import ImageInput, WrittenImage, WrittenLayer
from flowctl_core.models.platform import Platform
from flowctl_core.package import documents
from flowctl_core.package.blobs import Blobs
from flowctl_core.package.foreign_documents import read_rootfs
from flowctl_core.package.layer import compress_layer
from flowctl_core.package.layout import compressors

_PIECE = 2**20
_GZIP = b"\x1f\x8b"


class _Listed(Frozen):
    Config: str
    Layers: tuple[str, ...] | None = ()


_LIST = TypeAdapter(tuple[_Listed, ...])


def take_image(
    archive: IO[bytes], blobs: Blobs, platform: Platform, name: str, *, parallel: int = 1
) -> tuple[WrittenImage, documents.Json]:
    """Write config, layers and manifest of the archive's image, and return its config, which stays as it was made.

    Layers are compressed by the one compressor and compared with the config. Raises ImageError when the archive makes
    no sense or the image is for another platform, StoreError.
    """
    try:
        with tarfile.open(fileobj=archive, mode="r:") as members, compressors(parallel) as pool:
            listed = _LIST.validate_json(_member(members, "manifest.json", name).read())
            if len(listed) != 1:
                raise ImageError(f"the engine gave {len(listed)} images for {name}")
            data = _member(members, listed[0].Config, name).read()
            config, own, diff_ids = read_rootfs(data, name)
            if (own.os, own.arch) != (platform.os, platform.arch):
                raise ImageError(
                    f"the image that was built for {platform} is one for {own}",
                    hint="Does a FROM line name a platform, or a base image that has just one?",
                )
            layers = [
                compress_layer(_uncompressed(_member(members, layer, name)), blobs, pool=pool, parallel=parallel)
                for layer in listed[0].Layers or ()
            ]
    except (tarfile.TarError, ValidationError, json.JSONDecodeError, EOFError, gzip.BadGzipFile) as error:
        raise ImageError(f"what the engine gave for {name} is no image: {error}") from error
    if tuple(layer.diff_id for layer in layers) != diff_ids:
        raise ImageError(f"the layers that the engine gave for {name} are not those of its config")
    return _written(data, config, own, layers, blobs), config


def _written(
    data: bytes, config: documents.Json, platform: Platform, layers: list[WrittenLayer], blobs: Blobs
) -> WrittenImage:
    digest = blobs.put(data)
    run = config.get("config")
    labels = run.get("Labels") if isinstance(run, dict) else None
    about = ImageInput(
        platform=platform, labels={k: str(v) for k, v in labels.items()} if isinstance(labels, dict) else {}
    )
    manifest = documents.encode(documents.manifest(about, data, digest, layers, {}))
    return WrittenImage(
        platform=platform,
        digest=blobs.put(manifest),
        manifest_size=len(manifest),
        size=len(manifest) + len(data) + sum(layer.size for layer in layers),
        config_digest=digest,
        layers=tuple(layer.model_copy(update={"from_base": True}) for layer in layers),
    )


def _member(archive: tarfile.TarFile, path: str, name: str) -> IO[bytes]:
    try:
        member = archive.extractfile(path)  # follows the links that stand for equal layers
    except KeyError:
        member = None
    if member is None:
        raise ImageError(f"what the engine gave for {name} lacks {path}")
    return member


def _uncompressed(layer: IO[bytes]) -> Iterator[bytes]:
    packed = layer.read(len(_GZIP)) == _GZIP
    layer.seek(0)
    stream = gzip.GzipFile(fileobj=layer) if packed else layer
    while data := stream.read(_PIECE):
        yield data
