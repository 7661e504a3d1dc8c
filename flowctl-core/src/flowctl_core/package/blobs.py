"""Blobs of a layout: hashed once, while they are written; visible under their digest only when complete."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from hashlib import file_digest, sha256
from pathlib import Path

from flowctl_core.errors import StoreError


class BlobFile:
    """A blob that is being written."""

    def __init__(self, file: int) -> None:
        self._file = file
        self._hash = sha256()
        self.size = 0

    def write(self, data: bytes | memoryview) -> None:
        """Add bytes."""
        self._hash.update(data)
        self.size += len(data)
        view = memoryview(data)
        while view:
            view = view[os.write(self._file, view) :]

    @property
    def digest(self) -> str:
        """Of all that was written so far."""
        return "sha256:" + self._hash.hexdigest()


class Blobs:
    """`blobs/sha256` of an OCI image layout (image-layout.md)."""

    def __init__(self, layout: Path) -> None:
        """Make the folder. Raises StoreError."""
        self.folder = layout / "blobs" / "sha256"
        with refusals(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)

    def path(self, digest: str) -> Path:
        """Where a blob is."""
        return self.folder / digest.removeprefix("sha256:")

    @contextmanager
    def new(self) -> Iterator[BlobFile]:
        """A blob to write; it gets its name when the block ends. Raises StoreError."""
        temporary = self.folder / f".{os.getpid()}-{os.urandom(6).hex()}.tmp"
        with refusals(temporary):
            file = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
            try:
                blob = BlobFile(file)
                yield blob
                temporary.replace(self.path(blob.digest))
            finally:
                os.close(file)
                with suppress(FileNotFoundError):
                    temporary.unlink()

    def is_sound(self, digest: str, size: int) -> bool:
        """True when the blob is there, whole and unchanged; a damaged one is removed."""
        path = self.path(digest)
        try:
            with path.open("rb") as file:
                if os.fstat(file.fileno()).st_size == size and file_digest(file, "sha256").hexdigest() == path.name:
                    os.utime(path)  # a sweep goes by it
                    return True
            path.unlink()
        except FileNotFoundError:
            return False
        except OSError as error:
            raise StoreError.of(error, path) from error
        return False

    def put(self, data: bytes) -> str:
        """Write a small blob and return its digest. Raises StoreError."""
        with self.new() as blob:
            blob.write(data)
        return blob.digest

    def take(self, source: Path, digest: str) -> None:
        """Have a blob that is on this machine already: the same file where a hard link can be made, else a copy.

        The copy is compared with the digest while it is written. Raises StoreError, and ValueError when the bytes are
        other ones.
        """
        target = self.path(digest)
        with refusals(source):
            if target.exists():
                return
            with suppress(OSError):
                os.link(source, target)
                return
            with source.open("rb") as file, self.new() as blob:
                while data := file.read(2**20):
                    blob.write(data)
                if blob.digest != digest:
                    raise ValueError(f"{source} is not the blob {digest}")


@contextmanager
def refusals(path: Path) -> Iterator[None]:
    """What the system refuses becomes a StoreError with a hint."""
    try:
        yield
    except OSError as error:
        raise StoreError.of(error, error.filename or path) from error
