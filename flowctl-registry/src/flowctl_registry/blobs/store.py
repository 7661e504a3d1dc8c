"""The blob store: one object a digest, written once, verified while it is written."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, cast
from urllib.parse import unquote, urlsplit

import obstore
from obstore.exceptions import BaseError
from obstore.store import LocalStore, ObjectStore, from_url

from flowctl_core.errors import ConfigError
from flowctl_registry.errors import BadRequestError, NotFoundError, TooLargeError, UnavailableError
from flowctl_registry.settings import Settings

_CLIENT_OPTIONS = {"allow_http", "allow_invalid_certificates", "connect_timeout", "timeout", "proxy_url"}


class BlobStore:
    """Bytes by `sha256:<hex>`. Whether a blob may be used is the database's word (`blobs`, `claims`)."""

    def __init__(self, store: ObjectStore, root: Path | None) -> None:
        self.objects = store
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
            client = {name: options.pop(name) for name in _CLIENT_OPTIONS & options.keys()}
            return cls(cast(Any, from_url)(url, config=options, client_options=client), None)
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
        """Store bytes that must have this digest and size; nothing is visible unless they do.

        Raises BadRequestError for other bytes, TooLargeError for more, UnavailableError.
        """
        try:
            await obstore.put_async(self.objects, self.key(digest), _verified(digest, size, chunks))
        except BaseError as error:
            cause: BaseException | None = error
            while cause is not None:
                if isinstance(cause, (BadRequestError, TooLargeError)):
                    raise cause from None
                cause = cause.__cause__ or cause.__context__
            raise UnavailableError(f"the blob store does not answer ({error})") from error

    def read(self, digest: str, limit: int) -> bytes:
        """A small blob, verified. Raises NotFoundError, TooLargeError, UnavailableError."""
        try:
            result = obstore.get(self.objects, self.key(digest))
            if result.meta["size"] > limit:
                raise TooLargeError(f"{digest} has {result.meta['size']} bytes, {limit} are taken")
            data = bytes(result.bytes())
        except FileNotFoundError:
            raise NotFoundError(f"there is no blob {digest}") from None
        except BaseError as error:
            raise UnavailableError(f"the blob store does not answer ({error})") from error
        if "sha256:" + hashlib.sha256(data).hexdigest() != digest:
            raise UnavailableError(f"the blob {digest} is damaged in the store", hint="`flowctl-registry fsck`.")
        return data


async def _verified(digest: str, size: int, chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    seen, sha256 = 0, hashlib.sha256()
    async for chunk in chunks:
        if not chunk:
            continue
        seen += len(chunk)
        if seen > size:
            raise TooLargeError(f"more than the {size} bytes that were announced for {digest}")
        sha256.update(chunk)
        yield chunk
    found = "sha256:" + sha256.hexdigest()
    if seen != size or found != digest:
        raise BadRequestError(f"the bytes are {found} ({seen} bytes), not {digest} ({size} bytes)")
