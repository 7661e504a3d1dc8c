"""Requests to one registry; its token goes nowhere else."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import httpx

from flowctl_core import __version__
from flowctl_core.errors import RemoteError, UsageError

_LIMIT = 64 * 2**20
_LOOPBACK = frozenset(["localhost", "127.0.0.1", "::1"])
_HOPS = 5


class Http:
    """Safe to use from several threads."""

    def __init__(self, url: str, token: str | None = None, *, read_s: float = 20.0) -> None:
        parts = urlsplit(url)
        if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in _LOOPBACK):
            raise UsageError(f"{url} is no registry that can be asked", hint="Give its address: https://HOST")
        self._origin = (parts.scheme, parts.netloc)
        self._token = token
        self._client = httpx.Client(
            timeout=httpx.Timeout(read_s, connect=5.0), headers={"User-Agent": f"flowctl/{__version__}"}
        )

    def close(self) -> None:
        """Close all connections."""
        self._client.close()

    def read(self, url: str, what: str) -> bytes:
        """A document. Raises RemoteError."""
        content = bytearray()
        try:
            with self.stream(url, {}) as response:
                for piece in response.iter_bytes():
                    content += piece
                    if len(content) > _LIMIT:
                        raise RemoteError(f"{url} answers with more than {_LIMIT} bytes")
                status = response.status_code
        except httpx.HTTPError as error:
            raise RemoteError(f"{url} does not answer: {error or type(error).__name__}") from error
        if status != httpx.codes.OK:
            raise RemoteError(
                f"{url} answers with status {status} for {what}", output=content[:2000].decode(errors="replace")
            )
        return bytes(content)

    @contextmanager
    def stream(self, url: str, headers: dict[str, str]) -> Iterator[httpx.Response]:
        """GET, redirects followed; the token goes to the registry only. Raises RemoteError, httpx.TransportError."""
        for _ in range(_HOPS):
            parts = urlsplit(url)
            own = {"Authorization": f"Bearer {self._token}"} if self._token and self._is_own(url) else {}
            with self._client.stream("GET", url, headers={**headers, **own}) as response:
                if not response.is_redirect or response.next_request is None:
                    yield response
                    return
                following = response.next_request.url
                if following.scheme != "https" and (parts.scheme == "https" or following.host not in _LOOPBACK):
                    raise RemoteError(f"{url} leads to {following.host} without TLS", hint="Nothing of it is used.")
                url = str(following)
        raise RemoteError(f"{url} leads on more than {_HOPS} times")

    def _is_own(self, url: str) -> bool:
        parts = urlsplit(url)
        return (parts.scheme, parts.netloc) == self._origin
