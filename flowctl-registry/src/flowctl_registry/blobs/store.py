"""The blob store: one object a digest, written once, verified while it is written."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import unquote, urlsplit

import obstore
from anyio import to_thread
from obstore.exceptions import BaseError
from obstore.store import LocalStore, ObjectStore, from_url

from flowctl_core.errors import ConfigError
from flowctl_registry.blobs.durable import make_durable
from flowctl_registry.errors import (
    BadRequestError,
    NotFoundError,
    RegistryError,
    StorageFullError,
    TooLargeError,
    UnavailableError,
)
from flowctl_registry.settings import Settings

if TYPE_CHECKING:
    from obstore.store import RetryConfig  # stubs only

_CLIENT_OPTIONS = {"allow_http", "allow_invalid_certificates", "connect_timeout", "timeout", "proxy_url"}
_FULL = ("os error 28", "os error 122", "No space left", "StorageFull", "Insufficient Storage", "QuotaExceeded")
_RETRY: RetryConfig = {
    "max_retries": 4,
    "retry_timeout": timedelta(seconds=20),
    "backoff": {"init_backoff": timedelta(seconds=0.2), "max_backoff": timedelta(seconds=3), "base": 2},
}
_DELETE_S = 20


@dataclass(frozen=True)
class StoredObject:
    """An object as the store lists it."""

    digest: str
    size: int
    modified: datetime


class BlobStore:
    """Bytes by `sha256:<hex>`. Whether a blob may be used is the database's word (`blobs`, `claims`)."""

    def __init__(self, store: ObjectStore, root: Path | None, impatient: ObjectStore | None = None) -> None:
        self.objects = store
        self._impatient = impatient or store
        self.root = root
        """The folder, where the store is one."""

    @classmethod
    def open(cls, settings: Settings) -> BlobStore:
        """The store that the settings name. Raises ConfigError."""
        url = settings.blobs
        try:
            if url.startswith("file:"):
                root = Path(unquote(urlsplit(url).path))
                root.mkdir(parents=True, exist_ok=True)
                return cls(LocalStore(root, mkdir=True), root)
            options = {name: value.get_secret_value() for name, value in settings.blob_options.items()}
            # obstore takes the connection's options apart from the store's, and panics over the wrong ones.
            client: dict[str, Any] = {name: options.pop(name) for name in _CLIENT_OPTIONS & options.keys()}
            if any(value.startswith("http://") for name, value in options.items() if "endpoint" in name):
                client.setdefault("allow_http", "true")
            opened = [
                cast(Any, from_url)(url, config=options, client_options=each, retry_config=_RETRY)
                # a deletion that was sent must have ended, or never will, when an upload takes over from a dead gc
                for each in (client, {**client, "timeout": f"{_DELETE_S}s"})
            ]
            return cls(opened[0], None, opened[1])
        except (BaseError, OSError, ValueError) as error:
            raise ConfigError(
                f"the blob store cannot be opened: {error}", hint="Write file:///PATH or s3://BUCKET/PREFIX."
            ) from error

    @staticmethod
    def key(digest: str) -> str:
        """Where a digest's bytes are: `sha256/ab/<hex>`."""
        name = digest.removeprefix("sha256:")
        return f"sha256/{name[:2]}/{name}"

    def path(self, digest: str) -> Path | None:
        """The file itself, where the store is a folder."""
        return self.root / self.key(digest) if self.root is not None else None

    async def write(self, digest: str, size: int, chunks: AsyncIterator[bytes]) -> None:
        """Store bytes that must have this digest and size; nothing is visible unless they do, and then it lasts.

        Raises BadRequestError for other bytes, TooLargeError for more, StorageFullError, UnavailableError.
        """
        with _told():
            await obstore.put_async(self.objects, self.key(digest), _verified_async(digest, size, chunks))
        await to_thread.run_sync(self._settle, digest, size)

    def write_now(self, digest: str, size: int, chunks: Iterable[bytes]) -> None:
        """`write` for threads."""
        with _told():
            obstore.put(self.objects, self.key(digest), _verified(digest, size, chunks))
        self._settle(digest, size)

    def _settle(self, digest: str, size: int) -> None:
        """What was answered must be there after a power cut, and whole even if the store lost part of it."""
        if self.root is not None:
            with _told():
                make_durable(self.root, self.root / self.key(digest))
        if self.size(digest) != size:
            raise UnavailableError(f"the blob store kept only a part of {digest}", hint="Send it again.")

    def size(self, digest: str) -> int | None:
        """Bytes of the object; None when there is none. Raises UnavailableError."""
        try:
            with _told():
                return int(obstore.head(self.objects, self.key(digest))["size"])
        except FileNotFoundError:
            return None

    async def probe(self) -> None:
        """Ask the store for something that it need not have. Raises UnavailableError when it does not answer."""
        with suppress(FileNotFoundError), _told():
            if self.root is not None and not self.root.is_dir():
                raise UnavailableError("the folder of the blob store is gone")
            await obstore.head_async(self.objects, "probe")

    def read(self, digest: str, limit: int) -> bytes:
        """A small blob, verified. Raises NotFoundError, TooLargeError, UnavailableError."""
        try:
            with _told():
                result = obstore.get(self.objects, self.key(digest))
                if result.meta["size"] > limit:
                    raise TooLargeError(f"{digest} has {result.meta['size']} bytes, {limit} are taken")
                data = bytes(result.bytes())
        except FileNotFoundError:
            raise NotFoundError(f"there is no blob {digest}") from None
        if "sha256:" + hashlib.sha256(data).hexdigest() != digest:
            raise UnavailableError(f"the blob {digest} is damaged in the store", hint="`flowctl-registry fsck`.")
        return data

    def stream(self, digest: str) -> Iterator[bytes]:
        """A blob's bytes as the store has them, in pieces. Raises NotFoundError, UnavailableError."""
        try:
            with _told():
                for chunk in obstore.get(self.objects, self.key(digest)).stream(min_chunk_size=1 << 20):
                    yield bytes(chunk)
        except FileNotFoundError:
            raise NotFoundError(f"there is no blob {digest}") from None

    def delete(self, digest: str) -> None:
        """Remove the object; none is none. Raises UnavailableError when it may still be there."""
        try:
            with _told():
                obstore.delete(self._impatient, self.key(digest))
        except FileNotFoundError:
            return

    def listed(self) -> Iterator[StoredObject]:
        """All objects that are named like blobs. Raises UnavailableError."""
        with _told():
            for page in obstore.list(self.objects, prefix="sha256", chunk_size=1000):
                for found in page:
                    digest = "sha256:" + found["path"].rpartition("/")[2]
                    if len(digest) == 71 and found["path"].endswith(self.key(digest)):
                        yield StoredObject(digest, found["size"], found["last_modified"])


@contextmanager
def _told() -> Iterator[None]:
    """Errors of obstore and the operating system as ours; FileNotFoundError passes."""
    try:
        yield
    except (FileNotFoundError, RegistryError):
        raise
    except (BaseError, OSError) as error:
        cause: BaseException | None = error
        while cause is not None:
            if isinstance(cause, RegistryError):
                raise cause from None
            cause = cause.__cause__ or cause.__context__
        text = str(error)
        if any(word in text for word in _FULL) or getattr(error, "errno", None) in (28, 122):
            raise StorageFullError(
                "the blob store is full", hint="The operator makes room: `flowctl-registry gc`, or a bigger disk."
            ) from error
        raise UnavailableError(
            f"the blob store does not answer ({type(error).__name__})", hint="Try again later."
        ) from error


class _Check:
    """Compares bytes on their way with what was announced."""

    def __init__(self, digest: str, size: int) -> None:
        self._digest, self._size, self._seen, self._sha256 = digest, size, 0, hashlib.sha256()

    def take(self, chunk: bytes) -> None:
        self._seen += len(chunk)
        if self._seen > self._size:
            raise TooLargeError(f"more than the {self._size} bytes that were announced for {self._digest}")
        self._sha256.update(chunk)

    def end(self) -> None:
        found = "sha256:" + self._sha256.hexdigest()
        if self._seen != self._size or found != self._digest:
            raise BadRequestError(
                f"the bytes are {found} ({self._seen} bytes), not {self._digest} ({self._size} bytes)"
            )


async def _verified_async(digest: str, size: int, chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    check = _Check(digest, size)
    async for chunk in chunks:
        if chunk:
            check.take(chunk)
            yield chunk
    check.end()


def _verified(digest: str, size: int, chunks: Iterable[bytes]) -> Iterator[bytes]:
    check = _Check(digest, size)
    for chunk in chunks:
        if chunk:
            check.take(chunk)
            yield chunk
    check.end()
