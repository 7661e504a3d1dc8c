"""An image of a layout as a docker-archive: what every Docker engine loads (an older one reads no OCI layout).

The format is that of `docker save` (moby image/spec/v1.2.md, "Combined Image JSON + Filesystem Changeset Format"):
`manifest.json` names the config, the layers and the tags. Layers stay compressed, as engines unpack them themselves.
"""

from __future__ import annotations

import json
import tarfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from flowctl_core.errors import ImageError
from flowctl_core.package.blobs import refusals
from flowctl_core.package.layout_read import StoredImage

_PIECE = 2**20
_USTAR_LIMIT = 8**11
"""Bytes of a file whose size a USTAR header can hold."""


def docker_archive(image: StoredImage, names: Sequence[str]) -> Iterator[bytes]:
    """The archive as a stream, made from the blobs of the layout. Raises ImageError and StoreError."""
    layers = [(f"{_hex(layer.digest)}.tar", layer.digest) for layer in image.layers]
    config = f"{_hex(image.config_digest)}.json"
    about = [{"Config": config, "RepoTags": list(names), "Layers": [name for name, _ in layers]}]
    size = 0
    for part in (
        _text("manifest.json", json.dumps(about, separators=(",", ":")).encode()),
        _file(config, image.blob(image.config_digest)),
        *(_file(name, image.blob(digest)) for name, digest in dict(layers).items()),
    ):
        for data in part:
            size += len(data)
            yield data
    yield bytes(2 * tarfile.BLOCKSIZE + -(size + 2 * tarfile.BLOCKSIZE) % tarfile.RECORDSIZE)


def _text(name: str, data: bytes) -> Iterator[bytes]:
    yield _header(name, len(data))
    yield data + bytes(-len(data) % tarfile.BLOCKSIZE)


def _file(name: str, path: Path) -> Iterator[bytes]:
    with refusals(path):
        if not path.is_file():
            raise ImageError(f"the image layout is not complete: {path} is missing")
        size = left = path.stat().st_size
        yield _header(name, size)
        with path.open("rb", buffering=0) as file:
            while left and (data := file.read(min(left, _PIECE))):
                left -= len(data)
                yield data
    if left:
        raise ImageError(f"{path} became shorter while it was read")
    if padding := -size % tarfile.BLOCKSIZE:
        yield bytes(padding)


def _header(name: str, size: int) -> bytes:
    header = tarfile.TarInfo(name)
    header.size = size
    header.mode = 0o644
    return header.tobuf(tarfile.USTAR_FORMAT if size < _USTAR_LIMIT else tarfile.GNU_FORMAT)


def _hex(digest: str) -> str:
    return digest.removeprefix("sha256:")
