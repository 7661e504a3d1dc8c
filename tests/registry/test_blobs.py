"""What the blob store keeps, and what it refuses, on files and on S3."""

from __future__ import annotations

import asyncio
import hashlib
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from flowctl_core.errors import FlowctlError
from flowctl_registry.blobs.store import BlobStore
from flowctl_registry.errors import BadRequestError, NotFoundError, TooLargeError, UnavailableError
from flowctl_registry.settings import Settings, load_settings

from .conftest import Registry

SIZES = [0, 1, 100_000, 12_000_000]  # the last one is sent in several parts


@pytest.fixture
def store(registry: Registry) -> BlobStore:
    return BlobStore.open(load_settings(None, registry.environment))


def digest_of(data: bytes) -> str:
    return "sha256:" + hashlib.sha256(data).hexdigest()


async def pieces(data: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(data), 300_000):
        yield data[start : start + 300_000]


def write(store: BlobStore, digest: str, size: int, data: bytes) -> None:
    asyncio.run(store.write(digest, size, pieces(data)))


@pytest.mark.parametrize("size", SIZES)
def test_bytes_come_back(store: BlobStore, size: int) -> None:
    data = bytes(range(256)) * (size // 256) + b"z" * (size % 256)
    digest = digest_of(data)
    for _ in range(2):
        write(store, digest, size, data)
    assert store.size(digest) == size
    assert b"".join(store.stream(digest)) == store.read(digest, size) == data
    assert (digest, size) in {(each.digest, each.size) for each in store.listed()}
    store.delete(digest)
    store.delete(digest)
    assert store.size(digest) is None
    with pytest.raises(NotFoundError):
        store.read(digest, size)


@pytest.mark.parametrize("size", SIZES[1:])
@pytest.mark.parametrize(
    ("change", "error"),
    [
        (lambda data: data[:-1], BadRequestError),
        (lambda data: data[:-1] + b"!", BadRequestError),
        (lambda data: data + b"!", TooLargeError),
    ],
)
def test_other_bytes_leave_nothing(
    store: BlobStore, size: int, change: Callable[[bytes], bytes], error: type[FlowctlError]
) -> None:
    data = b"y" * size
    with pytest.raises(error):
        write(store, digest_of(data), size, change(data))
    with pytest.raises(error):
        store.write_now(digest_of(data), size, [change(data)])
    assert store.size(digest_of(data)) is None


def test_a_damaged_blob_is_not_given_out(store: BlobStore) -> None:
    import obstore

    data = b"whole"
    write(store, digest_of(data), len(data), data)
    obstore.put(store.objects, BlobStore.key(digest_of(data)), b"WHOLE")
    with pytest.raises(UnavailableError):
        store.read(digest_of(data), 100)
    with pytest.raises(TooLargeError):
        store.read(digest_of(data), 4)
    store.delete(digest_of(data))


@pytest.mark.requires_tool("strace")
def test_a_file_is_on_the_disk_before_it_is_acknowledged(tmp_path: Path) -> None:
    script = (
        "import sys, pathlib, hashlib\n"
        "from flowctl_registry.blobs.store import BlobStore\n"
        "from flowctl_registry.settings import Settings\n"
        "store = BlobStore.open(Settings(data=pathlib.Path(sys.argv[1])))\n"
        "store.write_now('sha256:' + hashlib.sha256(b'data').hexdigest(), 4, [b'data'])\n"
    )
    trace = tmp_path / "trace"
    watched = "trace=openat,rename,renameat,renameat2,fsync"
    command = ["strace", "-f", "-y", "-o", trace, "-e", watched, sys.executable, "-c", script, tmp_path / "data"]
    subprocess.run(command, check=True)
    lines = trace.read_text().splitlines()
    path = BlobStore.open(Settings(data=tmp_path / "data")).path(digest_of(b"data"))
    assert path is not None
    renamed = next(number for number, line in enumerate(lines) if "rename" in line and f'{path.name}"' in line)
    synced = [line for line in lines[renamed:] if "fsync(" in line]
    for each in (path, path.parent, path.parent.parent, path.parent.parent.parent):
        assert any(f"<{each}>" in line for line in synced), f"{each} is not synced"
