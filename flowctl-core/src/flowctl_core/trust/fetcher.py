"""Brings metadata and targets, from a web server, a folder, or what was verified before.

Nothing larger than python-tuf allows is read, and no server may take longer than the patience for the whole refresh.
"""

from __future__ import annotations

import io
import logging
import os
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import httpx
import stamina
from tuf.api.exceptions import DownloadError, DownloadHTTPError, DownloadLengthMismatchError
from tuf.ngclient import FetcherInterface

from flowctl_core.connection import Connection, InsecureRedirectError, open_client

_LOOPBACK = frozenset(["localhost", "127.0.0.1", "::1"])

# Tries are not worth a line on stderr; what finally failed is said.
logging.getLogger("stamina").addHandler(logging.NullHandler())


@dataclass(frozen=True)
class Patience:
    """How long to wait."""

    connect_s: float = 5.0
    read_s: float = 15.0
    """For the next bytes of an answer."""
    total_s: float = 60.0
    """For a refresh, and for each target that is asked for after it."""
    attempts: int = 3
    """For each file; a refused connection, a stalled one, 429 and 5xx are asked again."""


class UnreachableError(DownloadError):
    """Nobody answers, or too slowly: what was verified earlier may do instead."""


class InsecureError(DownloadError):
    """The server leads out of TLS, or to this machine."""


class _AgainError(Exception):
    """The server is busy or broken at the moment."""


class _Bounded(FetcherInterface):
    """A fetcher that reads whole files, of at most the allowed size."""

    def read(self, url: str, limit: int) -> bytes:
        """The file. Raises DownloadError."""
        raise NotImplementedError

    def _fetch(self, url: str) -> Iterator[bytes]:
        raise DownloadError(f"{url} was asked for without a limit")

    @contextmanager
    def download_file(self, url: str, max_length: int) -> Iterator[IO[bytes]]:
        """The file, open; see FetcherInterface."""
        yield io.BytesIO(self.read(url, max_length))

    def download_bytes(self, url: str, max_length: int) -> bytes:
        """The file's bytes; see FetcherInterface."""
        return self.read(url, max_length)


class HttpFetcher(_Bounded):
    """Asks a web server; plain HTTP only where the address that was pinned says so."""

    def __init__(self, url: str, patience: Patience | None = None, connection: Connection | None = None) -> None:
        """`connection`: with the token, proxy and certificates of the registry that the repository belongs to."""
        self._patience = patience or Patience()
        self.begin()
        self._client = open_client(
            connection or Connection(url),
            connect_s=self._patience.connect_s,
            read_s=self._patience.read_s,
            plain=url.startswith("http://"),
        )

    def begin(self) -> None:
        """Begin to count the time anew: the patience is for what follows, not for the caller's own work in between."""
        self._deadline = time.monotonic() + self._patience.total_s

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def read(self, url: str, limit: int) -> bytes:
        """The file. Raises DownloadError."""
        try:
            for attempt in stamina.retry_context(
                on=(httpx.TransportError, _AgainError),
                attempts=self._patience.attempts,
                timeout=max(0.1, self._deadline - time.monotonic()),
                wait_initial=0.1,
                wait_max=2.0,
            ):
                with attempt:
                    return self._once(url, limit)
        except InsecureRedirectError as error:
            raise InsecureError(str(error)) from error
        except (httpx.TransportError, _AgainError) as error:
            raise UnreachableError(f"{url}: {error or type(error).__name__}") from error
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise DownloadError(f"{url}: {error or type(error).__name__}") from error
        raise AssertionError("unreachable")

    def _once(self, url: str, limit: int) -> bytes:
        self._require_time(url)
        content = bytearray()
        with self._client.stream("GET", url) as response:
            status = response.status_code
            if status == httpx.codes.TOO_MANY_REQUESTS or status >= httpx.codes.INTERNAL_SERVER_ERROR:
                raise _AgainError(f"the server answers with status {status}")
            if status != httpx.codes.OK:
                raise DownloadHTTPError(f"{url}: the server answers with status {status}", status)
            for piece in response.iter_raw():
                content += piece
                if len(content) > limit:
                    raise DownloadLengthMismatchError(f"{url} is larger than {limit} bytes")
                self._require_time(url)
        return bytes(content)

    def _require_time(self, url: str) -> None:
        if time.monotonic() > self._deadline:
            raise UnreachableError(f"{url}: the server took longer than {self._patience.total_s:g} s")


class FolderFetcher(_Bounded):
    """Reads a repository in a folder; the URLs are paths."""

    def begin(self) -> None:
        """Folders are not waited for."""

    def close(self) -> None:
        """Nothing is open between two files."""

    def read(self, url: str, limit: int) -> bytes:
        """The file. Raises DownloadError."""
        try:
            # Not blocking: a pipe in place of a file must not keep anybody waiting.
            fd = os.open(url, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
            with os.fdopen(fd, "rb") as file:
                if not stat.S_ISREG(os.fstat(fd).st_mode):
                    raise DownloadError(f"{url} is no file")
                data = file.read(limit + 1)
        except FileNotFoundError as error:
            if not Path(url).parent.is_dir():
                raise UnreachableError(f"{Path(url).parent} is missing") from error
            raise DownloadHTTPError(f"{url} is missing", httpx.codes.NOT_FOUND) from error
        except OSError as error:
            raise UnreachableError(f"{url}: {error.strerror}") from error
        if len(data) > limit:
            raise DownloadLengthMismatchError(f"{url} is larger than {limit} bytes")
        return data


class KeptFetcher(FolderFetcher):
    """Reads what python-tuf keeps: of each role the newest metadata, under a name without its version."""

    def read(self, url: str, limit: int) -> bytes:
        """The file. Raises DownloadError."""
        path = Path(url)
        version, dot, rest = path.name.partition(".")
        if dot and version.isdigit() and rest != "root.json":
            path = path.with_name(rest)
        return super().read(str(path), limit)


def make_fetcher(
    registry: str, patience: Patience | None = None, connection: Connection | None = None
) -> HttpFetcher | FolderFetcher:
    """The fetcher for an address or a folder."""
    return HttpFetcher(registry, patience, connection) if is_url(registry) else FolderFetcher()


def is_url(registry: str) -> bool:
    """True for an address on the web, False for a folder."""
    return registry.startswith(("http://", "https://"))


def base(registry: str, part: str) -> str:
    """Where metadata or targets of a registry are."""
    return f"{registry.rstrip('/')}/{part}/" if is_url(registry) else f"{Path(registry) / part}/"
