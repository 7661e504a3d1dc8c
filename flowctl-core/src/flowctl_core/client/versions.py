"""Reads versions of components from a registry: the list of their files, and single files by digest."""

from __future__ import annotations

import re
from collections.abc import Mapping
from hashlib import sha256
from typing import NamedTuple
from urllib.parse import quote

from pydantic import Field, ValidationError

from flowctl_core import __version__
from flowctl_core.errors import RemoteError, UsageError
from flowctl_core.models.base import Frozen

DOCUMENT_LIMIT = 64 * 2**20
"""Bytes of one answer or document."""
_LOOPBACK = frozenset(["localhost", "127.0.0.1", "::1"])
_TIMEOUT_S = 30.0
_NAME = r"[A-Za-z0-9][A-Za-z0-9._-]*"
_REFERENCE = re.compile(rf"(?P<namespace>{_NAME})/(?P<name>{_NAME})@v?(?P<version>[0-9A-Za-z][0-9A-Za-z.+_-]*)")


class Reference(NamedTuple):
    """A version of a component in a registry."""

    namespace: str
    name: str
    version: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}@{self.version}"


class ListedFile(Frozen):
    """A file of a version."""

    path: str
    """As in `dist/`."""
    digest: str = Field(pattern=r"^sha256:[0-9a-f]{64}$")
    size: int


class Version(Frozen):
    """A published version."""

    version: str
    binaries: tuple[ListedFile, ...] = ()
    containers: tuple[ListedFile, ...] = ()
    metadata: tuple[ListedFile, ...] = ()

    @property
    def files(self) -> dict[str, ListedFile]:
        """All files by path."""
        return {file.path: file for file in (*self.binaries, *self.containers, *self.metadata)}


def is_reference(text: str) -> bool:
    """True for `ns/name@version`."""
    return _REFERENCE.fullmatch(text) is not None


def parse_reference(text: str) -> Reference:
    """Read `ns/name@version`. Raises UsageError."""
    match = _REFERENCE.fullmatch(text)
    if match is None:
        raise UsageError(f"{text} is no version of a component", hint="Write NAMESPACE/NAME@VERSION.")
    return Reference(**match.groupdict())


class RegistryClient:
    """Asks one registry; a context manager. `token` goes to that registry only, never where it redirects to."""

    def __init__(self, url: str, token: str | None = None) -> None:
        import httpx

        address = httpx.URL(url)
        if address.scheme != "https" and not (address.scheme == "http" and address.host in _LOOPBACK):
            raise UsageError(f"{url} is no registry that can be asked", hint="Give its address: https://HOST")
        self._url = url.rstrip("/")
        self._headers = {"User-Agent": f"flowctl/{__version__}"}
        self._own = {"Authorization": f"Bearer {token}"} if token else {}
        self._client = httpx.Client(timeout=_TIMEOUT_S)

    def __enter__(self) -> RegistryClient:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def version(self, reference: Reference) -> Version:
        """What the registry lists. Raises RemoteError."""
        address = self._address(reference)
        try:
            return Version.model_validate_json(self._read(address, str(reference)))
        except ValidationError as error:
            raise RemoteError(f"{address} is no document of a version", output=str(error)) from error

    def document(self, reference: Reference, file: ListedFile) -> bytes:
        """A file, compared with its digest. Raises RemoteError."""
        content = self._read(f"{self._address(reference)}/files/{quote(file.path)}", f"{file.path} of {reference}")
        if f"sha256:{sha256(content).hexdigest()}" != file.digest:
            raise RemoteError(
                f"{file.path} of {reference} is not the file that the registry lists",
                hint="Ask the registry's operator to check what it stores.",
            )
        return content

    def _address(self, reference: Reference) -> str:
        parts = "/".join(quote(part, safe="") for part in reference)
        return f"{self._url}/v1/components/{parts}"

    def _read(self, address: str, what: str) -> bytes:
        import httpx

        try:
            status, content, elsewhere = self._once(address, self._own)
            if elsewhere is not None:  # to a blob store, which has no business with the token
                status, content, _ = self._once(elsewhere, {})
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise RemoteError(
                f"{self._url} does not answer: {error or type(error).__name__}", hint="Is the address right?"
            ) from error
        if status == httpx.codes.OK:
            return content
        if status in (httpx.codes.NOT_FOUND, httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN):
            raise RemoteError(
                f"{self._url} has no {what}, or does not show it",
                hint="Check the name and version; for a private component set FLOWCTL_TOKEN.",
            )
        said = content[:2000].decode(errors="replace")
        raise RemoteError(f"{self._url} answers with status {status} for {what}", output=said)

    def _once(self, address: str, own: Mapping[str, str]) -> tuple[int, bytes, str | None]:
        """Status, body, and where the answer sends to."""
        content = bytearray()
        with self._client.stream("GET", address, headers={**self._headers, **own}) as response:
            for piece in response.iter_bytes():
                content += piece
                if len(content) > DOCUMENT_LIMIT:
                    raise RemoteError(f"{address} has more than {DOCUMENT_LIMIT} bytes")
            following = response.next_request if response.is_redirect else None
            return response.status_code, bytes(content), str(following.url) if following is not None else None
