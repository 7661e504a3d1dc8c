"""A small client of OCI registries (distribution-spec v1.1), on httpx.

oras-py was looked at first: it compares neither digest nor length of what it downloads, waits for minutes when nobody
listens, and keeps one token for all repositories. Here every byte is counted and hashed while it comes, and nothing
larger than announced is read.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from hashlib import sha256
from types import TracebackType
from typing import TypeVar

import httpx
import stamina

from flowctl_core import __version__
from flowctl_core.errors import ImageError
from flowctl_core.package import challenge
from flowctl_core.package.answer import Answer, read_answer
from flowctl_core.package.blobs import BlobFile
from flowctl_core.package.credentials import find_credentials
from flowctl_core.package.documents import DOCUMENT_LIMIT
from flowctl_core.package.reference import Reference, is_loopback
from flowctl_core.package.refusal import refusal

ACCEPT = ", ".join(
    [
        "application/vnd.oci.image.index.v1+json",
        "application/vnd.oci.image.manifest.v1+json",
        "application/vnd.docker.distribution.manifest.list.v2+json",
        "application/vnd.docker.distribution.manifest.v2+json",
    ]
)
_BUSY = frozenset([429, 500, 502, 503, 504])
_TIMEOUT = httpx.Timeout(60.0, connect=15.0)
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_CHUNK = 2**20

Body = bytes | Callable[[], Iterator[bytes]] | None
T = TypeVar("T")

# Tries are not worth a line on stderr; what finally failed is said.
logging.getLogger("stamina").addHandler(logging.NullHandler())
_patiently = stamina.RetryingCaller(attempts=4, timeout=None, wait_initial=0.2, wait_max=5.0)


class UnreachableError(ImageError):
    """Nobody answers: what is on this machine may do instead."""


class _BusyError(Exception):
    """The registry may do better in a moment."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.status)
        self.answer = answer


class Registry:
    """Talks to the registry of one reference about its repository. Safe for several threads."""

    def __init__(
        self, reference: Reference, *, plain_http: bool = False, push: bool = False, mount_from: tuple[str, ...] = ()
    ) -> None:
        """`plain_http` allows a registry elsewhere than on this machine to be asked without TLS."""
        self.reference = reference
        self._plain = plain_http or reference.is_loopback
        own = f"repository:{reference.repository}:{'pull,push' if push else 'pull'}"
        self._scopes = (own, *(f"repository:{repository}:pull" for repository in mount_from))
        self._authorization: str | None = None
        self._client = httpx.Client(
            timeout=_TIMEOUT,
            follow_redirects=True,
            max_redirects=5,
            # What is digested is what travels: nobody may unpack it on the way.
            headers={"User-Agent": f"flowctl/{__version__}", "Accept-Encoding": "identity"},
            event_hooks={"request": [self._check_scheme]},
        )

    def __enter__(self) -> Registry:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._client.close()

    def resolve(self) -> str:
        """The digest that the reference means now. Raises ImageError."""
        if self.reference.digest is not None:
            return self.reference.digest
        path = f"manifests/{self.reference.version}"
        answer = self.ask("HEAD", path, headers={"Accept": ACCEPT})
        if answer.ok:
            digest = answer.headers.get("Docker-Content-Digest", "")
            if _DIGEST.fullmatch(digest):
                return str(digest)
        elif answer.status != httpx.codes.METHOD_NOT_ALLOWED:
            raise refusal(answer, self.reference, str(self.reference))
        # The spec asks for the header; a registry that leaves it out is asked for the document.
        return "sha256:" + sha256(self.document(path)).hexdigest()

    def manifest(self, digest: str) -> bytes:
        """The manifest or index of that digest, compared with it. Raises ImageError."""
        path = f"manifests/{digest}"
        data = self.document(path)
        self._check_digest("sha256:" + sha256(data).hexdigest(), digest, path)
        return data

    def document(self, path: str, limit: int = DOCUMENT_LIMIT) -> bytes:
        """A small document, at most `limit` bytes. Raises ImageError."""

        def read() -> bytes:
            with self._opened(path) as response:
                found = bytearray()
                for data in response.iter_raw():
                    found += data
                    if len(found) > limit:
                        raise ImageError(f"{self._what(path)} is larger than {limit} bytes, which no manifest is")
                return bytes(found)

        return self.patiently(read, self._what(path))

    def blob(self, digest: str, size: int, new: Callable[[], AbstractContextManager[BlobFile]]) -> None:
        """Download a blob of a known size; each attempt begins with a new file.

        Raises ImageError when the registry sends more, less or other bytes than the descriptor says.
        """
        path = f"blobs/{digest}"

        def read() -> None:
            with self._opened(path) as response, new() as file:
                self._check_announced(response, size, path)
                for data in response.iter_raw(_CHUNK):
                    file.write(data)
                    if file.size > size:
                        raise ImageError(f"{self._what(path)} has {size} bytes, and {self._name} sends more")
                if file.size < size:
                    raise httpx.RemoteProtocolError(f"{file.size} of {size} bytes came")
                self._check_digest(file.digest, digest, path)

        self.patiently(read, self._what(path))

    def ask(self, method: str, path: str, *, content: Body = None, headers: Mapping[str, str] | None = None) -> Answer:
        """The answer to a request, whatever its status; `content` may be a maker of streams, one for each attempt.

        `path` is below the repository, or a whole URL that the registry gave. Raises ImageError when nobody answers.
        """

        return self.patiently(lambda: self.once(method, path, content=content, headers=headers), self._what(path))

    def once(self, method: str, path: str, *, content: Body = None, headers: Mapping[str, str] | None = None) -> Answer:
        """As `ask`, in one attempt: a step of what `patiently` tries as a whole."""
        answer = read_answer(self._send(method, path, content, headers or {}))
        if answer.status in _BUSY:
            raise _BusyError(answer)
        return answer

    def patiently(self, once: Callable[[], T], what: str) -> T:
        """The result of `once`, which is called again while the registry is busy or does not answer.

        Raises ImageError for what the network or the registry did in the end; `what` was to be transferred.
        """
        try:
            return _patiently((httpx.TransportError, _BusyError), once)
        except _BusyError as error:
            raise refusal(error.answer, self.reference, what) from error
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.ProxyError) as error:
            raise UnreachableError(
                f"{self._name} cannot be reached: {_words(error)}",
                hint=f"Check the name of the registry in {self.reference} and this machine's network (HTTPS_PROXY).",
            ) from error
        except httpx.HTTPError as error:
            raise ImageError(
                f"{what} could not be transferred from or to {self._name}: {_words(error)}",
                hint="Try again; if it stays so, the registry or a proxy before it is faulty.",
            ) from error
        except httpx.InvalidURL as error:
            raise ImageError(f"{self._name} leads to something that is no address: {error}") from error

    @contextmanager
    def _opened(self, path: str) -> Iterator[httpx.Response]:
        response = self._send("GET", path, None, {"Accept": ACCEPT} if path.startswith("manifests/") else {})
        try:
            if response.status_code != httpx.codes.OK:
                answer = read_answer(response)
                if answer.status in _BUSY:
                    raise _BusyError(answer)
                raise refusal(answer, self.reference, self._what(path))
            yield response
        finally:
            response.close()

    def _send(self, method: str, path: str, content: Body, headers: Mapping[str, str]) -> httpx.Response:
        """Send once, and once more with what a challenge asks for."""
        response = self._send_as_is(method, path, content, headers)
        asked = response.headers.get("WWW-Authenticate", "")
        if response.status_code != httpx.codes.UNAUTHORIZED or not asked:
            return response
        response.close()
        who = find_credentials(self.reference.registry)
        self._authorization = challenge.answer(asked, self.reference.registry, who, self._scopes, self._client)
        return self._send_as_is(method, path, content, headers)

    def _send_as_is(self, method: str, path: str, content: Body, headers: Mapping[str, str]) -> httpx.Response:
        own = self.root
        body = content() if callable(content) else content
        request = self._client.build_request(method, own.join(path), content=body, headers=dict(headers))
        # An upload may be told to go elsewhere: credentials are for the registry only.
        if self._authorization is not None and (request.url.host, request.url.port) == (own.host, own.port):
            request.headers["Authorization"] = self._authorization
        return self._client.send(request, stream=True)

    @property
    def root(self) -> httpx.URL:
        """Where the repository's paths begin."""
        scheme = "http" if self._plain else "https"
        return httpx.URL(f"{scheme}://{self.reference.host}/v2/{self.reference.repository}/")

    def _check_scheme(self, request: httpx.Request) -> None:
        """No redirect and no token server takes the conversation out of TLS."""
        if request.url.scheme != "https" and not self._plain and not is_loopback(request.url.host):
            raise ImageError(
                f"{self._name} leads to {request.url.host} without TLS",
                hint="Only a registry on this machine, or one that was named for it, is asked by plain HTTP.",
            )

    @property
    def _name(self) -> str:
        return self.reference.registry

    def _what(self, path: str) -> str:
        kind, slash, name = path.partition("/")
        if slash and kind in ("manifests", "blobs") and not name.startswith("uploads"):
            return f"{'manifest' if kind == 'manifests' else 'blob'} {name} of {self.reference.name}"
        return f"an upload to {self.reference.name}"

    def _check_announced(self, response: httpx.Response, size: int, path: str) -> None:
        announced = response.headers.get("Content-Length", "")
        if announced.isdigit() and int(announced) != size:
            raise ImageError(
                f"{self._what(path)} has {size} bytes by its manifest, and {self._name} announces {announced}",
                hint="The registry or a proxy before it is faulty; nothing of it was used.",
            )

    def _check_digest(self, found: str, wanted: str, path: str) -> None:
        if found != wanted:
            raise ImageError(
                f"{self._name} sends something else for {self._what(path)}: its digest is {found}",
                hint="The registry or a proxy before it is faulty, or somebody interferes; nothing of it was used.",
            )


def _words(error: Exception) -> str:
    return str(error) or type(error).__name__
