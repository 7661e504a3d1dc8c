"""Files and folders kept under the digest of their content.

    <directory>/content/sha256/ab/<hex>    files, read-only, complete whenever they are visible
    <directory>/content/tmp/               being written

A folder is kept as its files and a manifest, which is a file like any other. What is read is compared with its
digest first (or with how it looked when it was written): a changed or truncated file counts as missing and is
removed.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path

from flowctl_core.store import tree
from flowctl_core.store.copying import copy_and_hash, copy_bytes, hash_bytes
from flowctl_core.store.files import atomic_replace, remove_any, sync_folder, temporary_name
from flowctl_core.store.stat_index import Stat, stat_of

_DIGEST = re.compile(r"sha256:([0-9a-f]{64})")
_READ = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
_NEW = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC


class ContentStore:
    """Content-addressed files in `directory`. Methods raise OSError; the cache turns that into a miss."""

    def __init__(self, directory: Path) -> None:
        """Nothing is made on disk before the first `put`."""
        self.directory = directory
        self._blobs = directory / "content" / "sha256"
        self._temporary = directory / "content" / "tmp"

    def path(self, digest: str) -> Path:
        """Where the file of that digest is, if it is there. Raises ValueError for what is no digest."""
        match = _DIGEST.fullmatch(digest)
        if match is None:
            raise ValueError(f"'{digest}' is not a digest")
        return self._blobs / match[1][:2] / match[1]

    def size(self, digest: str) -> int | None:
        """Bytes of a stored file, None when it is missing."""
        try:
            return self.path(digest).lstat().st_size
        except FileNotFoundError:
            return None

    def put(self, source: Path, *, durable: bool = True) -> str:
        """Keep a copy of a regular file and return its digest; `source` may change afterwards.

        `durable`: the copy also survives a power failure.
        """
        fd = os.open(source, _READ)
        try:
            with self._new_file() as (temporary, target):
                copy_bytes(fd, target)
                # Of the copy: whoever writes to the source meanwhile cannot make digest and content differ.
                return self._keep(temporary, target, hash_bytes(target), durable)
        finally:
            os.close(fd)

    def put_bytes(self, data: bytes, *, durable: bool = True) -> str:
        """Keep some bytes and return their digest."""
        with self._new_file() as (temporary, target):
            with os.fdopen(os.dup(target), "wb") as file:
                file.write(data)
            return self._keep(temporary, target, sha256(data).hexdigest(), durable)

    def get_bytes(self, digest: str) -> bytes | None:
        """The content of a stored file, None when it is missing or was damaged."""
        path = self.path(digest)
        try:
            with os.fdopen(os.open(path, _READ), "rb") as file:
                data = file.read()
        except FileNotFoundError:
            return None
        if "sha256:" + sha256(data).hexdigest() != digest:
            self._drop(path)
            return None
        return data

    def get(self, digest: str, destination: Path, mode: int = 0o644) -> bool:
        """Put a stored file in the place of `destination`, atomically, with exactly that mode.

        Always a copy: a change of the user's file never reaches the store. False when it is missing or
        damaged.
        """
        temporary = temporary_name(destination)
        try:
            if not self.copy_to(digest, temporary, mode):
                return False
            atomic_replace(temporary, destination)
        finally:
            with suppress(OSError):
                temporary.unlink()
        return True

    def look(self, digest: str) -> Stat | None:
        """What lstat says of a stored file, None when it is missing."""
        try:
            return stat_of(self.path(digest).lstat())
        except FileNotFoundError:
            return None

    def copy_to(self, digest: str, destination: Path, mode: int, seen: Stat | None = None) -> bool:
        """Copy a stored file to a path where nothing is.

        `seen` is an earlier `look` at the complete file: while it still looks so, nobody wrote to it (every
        write changes st_ctime_ns) and it is not hashed. False when it is missing or damaged; an incomplete
        destination may then be left behind.
        """
        path = self.path(digest)
        try:
            source = os.open(path, _READ)
        except FileNotFoundError:
            return False
        try:
            target = os.open(destination, _NEW, 0o600)
            try:
                if seen is not None and stat_of(os.fstat(source)) == seen:
                    copy_bytes(source, target)
                    sound = True
                else:
                    sound = "sha256:" + copy_and_hash(source, target) == digest
                os.fchmod(target, mode & 0o7777)
            finally:
                os.close(target)
        finally:
            os.close(source)
        if not sound:
            self._drop(path)
        return sound

    def put_tree(self, folder: Path) -> str:
        """Keep a folder with all its files, links and modes; return the digest of its manifest.

        Raises OSError, and ValueError for what cannot be kept (pipes, sockets, devices).
        """
        # Members are not synced one by one (a Python environment has thousands): reading checks them anyway.
        manifest, _ = tree.describe(folder, lambda path: self.put(path, durable=False))
        return self.put_bytes(tree.dump(manifest))

    def get_tree(self, digest: str, destination: Path) -> bool:
        """Put a stored folder in the place of `destination` by rename, when all of it has been restored.

        False when anything of it is missing or damaged; ValueError when the manifest leads out of the folder.
        """
        data = self.get_bytes(digest)
        if data is None:
            return False
        temporary = temporary_name(destination)
        try:
            if not tree.restore(tree.load(data), temporary, self.copy_to):
                return False
            atomic_replace(temporary, destination)
        finally:
            with suppress(OSError):
                remove_any(temporary)
        return True

    def members(self, digest: str) -> list[str] | None:
        """Digests of the files of a stored folder; None when its manifest is missing or damaged."""
        data = self.get_bytes(digest)
        try:
            return None if data is None else [e.content for e in tree.load(data) if e.kind == "file"]
        except ValueError:
            return None

    def stored(self) -> Iterator[tuple[str, Path, os.stat_result]]:
        """(digest, path, lstat) of every stored file."""
        for folder in sorted(_folders(self._blobs)):
            with suppress(FileNotFoundError), os.scandir(folder) as scan:
                for entry in scan:
                    with suppress(FileNotFoundError):
                        yield "sha256:" + entry.name, Path(entry.path), entry.stat(follow_symlinks=False)

    @property
    def temporary_folder(self) -> Path:
        """Where files are written before they get their name."""
        return self._temporary

    @contextmanager
    def _new_file(self) -> Iterator[tuple[Path, int]]:
        self._temporary.mkdir(parents=True, exist_ok=True)
        temporary = temporary_name(self._temporary / "blob")
        fd = os.open(temporary, _NEW, 0o600)
        try:
            yield temporary, fd
        finally:
            os.close(fd)
            with suppress(OSError):
                temporary.unlink()

    def _keep(self, temporary: Path, fd: int, hexdigest: str, durable: bool) -> str:
        digest = "sha256:" + hexdigest
        path = self.path(digest)
        try:
            # The new time is the claim: a sweep leaves young files alone.
            if path.lstat().st_size == os.fstat(fd).st_size:
                os.utime(path)
                return digest
        except FileNotFoundError:
            path.parent.mkdir(parents=True, exist_ok=True)
        os.fchmod(fd, 0o444)
        if durable:
            os.fsync(fd)
        temporary.replace(path)
        if durable:
            sync_folder(path.parent)
        return digest

    def _drop(self, path: Path) -> None:
        with suppress(OSError):
            path.unlink()


def measure(path: Path) -> tuple[str, int]:
    """(digest, bytes) of a file, or of a folder: its manifest's digest and the sum over its files.

    A symlink is measured as what it points to. Raises OSError, and ValueError for pipes, sockets and devices.
    """
    if path.is_dir():
        manifest, size = tree.describe(path, lambda file: "sha256:" + _hash_file(file))
        return "sha256:" + sha256(tree.dump(manifest)).hexdigest(), size
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return "sha256:" + hash_bytes(fd), os.fstat(fd).st_size
    finally:
        os.close(fd)


def _hash_file(path: Path) -> str:
    fd = os.open(path, _READ)
    try:
        return hash_bytes(fd)
    finally:
        os.close(fd)


def _folders(path: Path) -> list[Path]:
    try:
        with os.scandir(path) as scan:
            return [Path(entry.path) for entry in scan if entry.is_dir(follow_symlinks=False)]
    except FileNotFoundError:
        return []
