"""One layer: a tar stream that is the same for the same input, compressed and hashed while it passes.

Layers are changesets (image-spec layer.md): entries sorted by path, every time the image's, owners as numbers only,
USTAR headers, and PAX ones just where a name or size does not fit. Nothing is held in memory but a few blocks.
"""

from __future__ import annotations

import os
import tarfile
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Executor, Future
from hashlib import sha256
from pathlib import Path, PurePosixPath

from flowctl_core.errors import ImageError
from flowctl_core.models.image import LayerEntry, WrittenLayer
from flowctl_core.package import compressor
from flowctl_core.package.blobs import BlobFile, Blobs, refusals

MEDIA_TYPE = "application/vnd.oci.image.layer.v1.tar+gzip"
_KINDS = {"file": tarfile.REGTYPE, "folder": tarfile.DIRTYPE, "link": tarfile.SYMTYPE}


def write_layer(
    entries: Iterable[LayerEntry], blobs: Blobs, *, epoch: int, pool: Executor | None = None, parallel: int = 1
) -> WrittenLayer:
    """Write the layer's blob and say what it is; the bytes do not depend on `pool` and `parallel`.

    Raises ImageError for entries that contradict each other or leave the image, for a source that is not a file or
    changed; StoreError when the disk refuses.
    """
    return compress_layer(_stream(arrange(entries), epoch), blobs, pool=pool, parallel=parallel)


def compress_layer(
    archive: Iterable[bytes | memoryview], blobs: Blobs, *, pool: Executor | None = None, parallel: int = 1
) -> WrittenLayer:
    """Write the blob of a layer that is a tar stream already. Raises StoreError."""
    whole = sha256()
    with blobs.new() as blob:
        waiting: deque[Future[bytes]] = deque()
        for block in _blocks(archive):
            if pool is None:
                whole.update(block)
                blob.write(compressor.compress(block))
                continue
            waiting.append(pool.submit(compressor.compress, block))
            whole.update(block)
            if len(waiting) > parallel:
                blob.write(waiting.popleft().result())
        _drain(waiting, blob)
    return WrittenLayer(digest=blob.digest, diff_id="sha256:" + whole.hexdigest(), size=blob.size)


def arrange(entries: Iterable[LayerEntry]) -> list[LayerEntry]:
    """Entries in the order of the layer, folders before what is in them. Raises ImageError."""
    found: dict[str, LayerEntry] = {}
    for entry in entries:
        path = member_path(entry.target)
        if path in found and found[path] != entry:
            raise ImageError(f"two files would be {entry.target} in the image")
        found[path] = entry
    for path in found:
        for parent in PurePosixPath(path).parents:
            above = found.get(str(parent))
            if above is not None and above.kind != "folder":
                raise ImageError(f"{above.target} cannot be a {above.kind} and hold {found[path].target} in the image")
    return [found[path] for path in sorted(found)]


def member_path(target: str) -> str:
    """Name in the archive: relative, without a leading slash. Raises ImageError for what is no place in an image."""
    path = PurePosixPath(target)
    if not target.startswith("/") or ".." in path.parts or "\0" in target or len(path.parts) < 2:
        raise ImageError(f"'{target}' is not a place in an image", hint="Write an absolute path without '..'.")
    return str(path).lstrip("/")


def _stream(entries: list[LayerEntry], epoch: int) -> Iterator[bytes | memoryview]:
    size = 0
    for entry in entries:
        for data in _entry(entry, epoch):
            size += len(data)
            yield data
    # Two zero blocks end an archive; tar pads to a record of 20 blocks.
    yield bytes(2 * tarfile.BLOCKSIZE + -(size + 2 * tarfile.BLOCKSIZE) % tarfile.RECORDSIZE)


def _entry(entry: LayerEntry, epoch: int) -> Iterator[bytes | memoryview]:
    header = tarfile.TarInfo(member_path(entry.target))
    header.type = _KINDS[entry.kind]
    header.mode = 0o777 if entry.kind == "link" else entry.mode
    header.mtime = epoch
    header.uid = header.gid = entry.owner
    if entry.kind == "link":
        header.linkname = entry.text
    if entry.kind != "file" or entry.source is None:
        data = entry.text.encode() if entry.kind == "file" else b""
        header.size = len(data)
        yield _header(header)
        yield data + bytes(-len(data) % tarfile.BLOCKSIZE)
        return
    with refusals(entry.source):
        yield from _file(entry, entry.source, header)


def _file(entry: LayerEntry, source: Path, header: tarfile.TarInfo) -> Iterator[bytes | memoryview]:
    if not source.is_file():
        raise ImageError(f"{source} is not a file and cannot be {entry.target} in the image")
    content = sha256() if entry.digest else None
    with source.open("rb", buffering=0) as file:
        left = header.size = os.fstat(file.fileno()).st_size
        yield _header(header)
        while left and (data := file.read(min(left, compressor.BLOCK))):
            left -= len(data)
            if content is not None:
                content.update(data)
            yield data
        if left or file.read(1):
            raise ImageError(f"{source} changed while it was put into the image")
    if content is not None and "sha256:" + content.hexdigest() != entry.digest:
        raise ImageError(f"{source} is not the file that was built: its digest is not {entry.digest}")
    yield bytes(-header.size % tarfile.BLOCKSIZE)


def _header(header: tarfile.TarInfo) -> bytes:
    return header.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape")


def _blocks(parts: Iterable[bytes | memoryview]) -> Iterator[bytes]:
    """The same bytes, cut into the compressor's blocks."""
    gathered: list[bytes | memoryview] = []
    size = 0
    for part in parts:
        view = memoryview(part)
        while size + len(view) >= compressor.BLOCK:
            room = compressor.BLOCK - size
            yield b"".join([*gathered, view[:room]])
            gathered, size, view = [], 0, view[room:]
        if view:
            gathered.append(view)
            size += len(view)
    if gathered:
        yield b"".join(gathered)


def _drain(waiting: deque[Future[bytes]], blob: BlobFile) -> None:
    while waiting:
        blob.write(waiting.popleft().result())
