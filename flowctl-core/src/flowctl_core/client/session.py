"""One conversation with a registry by HTTP: retries, limits, errors in words.

Every command that asks a registry does it by this. Only requests that may be repeated are; a body that is too large is
not read to its end; what fails is one error of `flowctl_core.errors` each.
"""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import BaseModel, ValidationError

from flowctl_core.client.problem import PROBLEM_LIMIT, error_of, is_of_the_moment, printable
from flowctl_core.connection import Connection, InsecureRedirectError, open_client
from flowctl_core.errors import RemoteError, UnreachableError

if TYPE_CHECKING:
    import httpx

DOCUMENT_LIMIT = 16 * 2**20
"""Bytes of an answer that is read whole."""
_LONGEST_WAIT_S = 30.0
_HTTP_PROBLEM = 400
_AGAIN = frozenset(["GET", "HEAD", "PUT", "DELETE"])
"""Idempotent (RFC 9110, section 9.2.2)."""

T = TypeVar("T")
Model = TypeVar("Model", bound=BaseModel)
Query = Mapping[str, str | int | None]


@dataclass(frozen=True)
class Patience:
    """How long to wait."""

    connect_s: float = 10.0
    read_s: float = 30.0
    """For the next bytes of an answer."""
    total_s: float = 90.0
    """For an answer that is read whole, with all tries."""
    attempts: int = 4
    """For each request that may be repeated: connections that fail, 429, 502, 503 and 504."""


class _BusyError(Exception):
    """The server asks to come again."""

    def __init__(self, told: RemoteError, after_s: float | None) -> None:
        super().__init__(told.message)
        self.told = told
        self.after_s = after_s


class Session:
    """Asks one registry; a context manager, safe to share between threads."""

    def __init__(self, connection: Connection, patience: Patience | None = None) -> None:
        self.connection = connection
        self._patience = patience or Patience()
        self._client = open_client(connection, connect_s=self._patience.connect_s, read_s=self._patience.read_s)

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def document(self, model: type[Model], path: str, *, what: str, query: Query | None = None) -> Model:
        """GET a JSON document. `path` begins with `/v1/`, `what` names it in errors. Raises RemoteError."""
        return self.ask("GET", path, model, what=what, query=query)

    def ask(
        self,
        method: str,
        path: str,
        model: type[Model],
        *,
        what: str,
        body: Mapping[str, Any] | None = None,
        query: Query | None = None,
        repeat: bool | None = None,
    ) -> Model:
        """A request with a JSON body, and the document that answers it. Raises RemoteError.

        `repeat`: whether it may be sent again when nobody answers; default: what HTTP says of the method.
        """
        content = self._whole(method, path, what, body=body, query=query, repeat=repeat, limit=DOCUMENT_LIMIT)
        try:
            return model.model_validate_json(content)
        except ValidationError as error:
            raise RemoteError(
                f"what {self.connection.url} answers for {what} is no document of a registry",
                hint="Is the address right, and this flowctl new enough?",
                output=printable(str(error)[:2000]),
            ) from error

    def send(self, method: str, path: str, *, what: str, body: Mapping[str, Any] | None = None) -> None:
        """A request whose answer has no document. Raises RemoteError."""
        self._whole(method, path, what, body=body, query=None, repeat=None, limit=DOCUMENT_LIMIT)

    def upload(self, path: str, content: bytes, *, what: str) -> None:
        """PUT bytes as they are. Raises RemoteError."""
        self._whole("PUT", path, what, body=None, query=None, repeat=None, limit=DOCUMENT_LIMIT, content=content)

    def content(self, path: str, *, what: str, limit: int = DOCUMENT_LIMIT, query: Query | None = None) -> bytes:
        """GET something whole, of at most `limit` bytes. Raises RemoteError."""
        return self._whole("GET", path, what, body=None, query=query, repeat=None, limit=limit)

    @contextmanager
    def stream(
        self, path: str, *, what: str, headers: Mapping[str, str] | None = None, read_s: float | None = None
    ) -> Iterator[httpx.Response]:
        """GET something to read piece by piece: `response.iter_bytes()`, whose size the caller has to bound.

        Opening it is tried several times, reading is not: who can go on from where it broke off asks again with
        `Range` or `Last-Event-ID` in `headers`. `read_s`: the longest silence. Raises RemoteError, and
        UnreachableError in the body of the `with` when the connection breaks.
        """
        import httpx

        timeout = httpx.Timeout(read_s or self._patience.read_s, connect=self._patience.connect_s)
        request = self._client.build_request("GET", self._address(path), headers=headers, timeout=timeout)
        response = self._tried(lambda: self._opened(request, what), repeat=True)
        try:
            yield response
        except httpx.TransportError as error:
            raise self._unreachable(error) from error
        finally:
            response.close()

    def _whole(
        self,
        method: str,
        path: str,
        what: str,
        *,
        body: Mapping[str, Any] | None,
        query: Query | None,
        repeat: bool | None,
        limit: int,
        content: bytes | None = None,
    ) -> bytes:
        asked = {name: value for name, value in (query or {}).items() if value is not None}
        deadline = time.monotonic() + self._patience.total_s

        def once() -> bytes:
            request = self._client.build_request(
                method, self._address(path), json=body, content=content, params=asked or None
            )
            response = self._opened(request, what)
            try:
                read = bytearray()
                for piece in response.iter_bytes():
                    read += piece
                    if len(read) > limit:
                        raise RemoteError(f"{what} of {self.connection.host} has more than {limit} bytes")
                    if time.monotonic() > deadline:
                        raise UnreachableError(
                            f"{self.connection.host} takes longer than {self._patience.total_s:g} s for {what}",
                            hint="Try again later.",
                        )
                return bytes(read)
            finally:
                response.close()

        return self._tried(once, repeat=method in _AGAIN if repeat is None else repeat)

    def _opened(self, request: httpx.Request, what: str) -> httpx.Response:
        follow = request.method in ("GET", "HEAD")
        response = self._client.send(request, stream=True, follow_redirects=follow)
        if response.is_success:
            return response
        try:
            content = bytearray()
            for piece in response.iter_bytes():
                content += piece
                if len(content) > PROBLEM_LIMIT:
                    break
            status, after_s = response.status_code, _retry_after(response)
            error = error_of(
                status,
                bytes(content),
                self.connection.host,
                self.connection.url,
                what,
                named=self.connection.token is not None,
                wait=f"in {after_s:.0f} s" if after_s else "",
            )
        finally:
            response.close()
        if is_of_the_moment(status):
            raise _BusyError(error, after_s)
        raise error

    def _tried(self, act: Callable[[], T], *, repeat: bool) -> T:
        import httpx
        import stamina
        from stamina.instrumentation import set_on_retry_hooks

        set_on_retry_hooks(())  # they would write log lines between what the user reads
        try:
            for attempt in stamina.retry_context(
                on=_pause,
                attempts=self._patience.attempts if repeat else 1,
                timeout=self._patience.total_s,
                wait_initial=0.2,
                wait_max=5.0,
                wait_jitter=0.5,
            ):
                with attempt:
                    return act()
        except _BusyError as error:
            raise error.told from error
        except (httpx.HTTPError, httpx.InvalidURL, InsecureRedirectError) as error:
            raise self._unreachable(error) from error
        raise AssertionError("unreachable")

    def _address(self, path: str) -> str:
        return path if path.startswith(("https://", "http://")) else f"{self.connection.url}{path}"

    def _unreachable(self, error: Exception) -> RemoteError:
        import httpx

        host = self.connection.host
        if isinstance(error, InsecureRedirectError | httpx.TooManyRedirects | httpx.InvalidURL):
            return RemoteError(f"{host} sends elsewhere: {error}", hint="Ask the registry's operator.")
        why = printable(str(error)) or type(error).__name__
        hint = "Is the address right, and the network there?"
        if isinstance(error, httpx.ProxyError):
            hint = "Its proxy is the one of `registries` in the configuration, or of HTTPS_PROXY."
        elif _certificate_problem(error) is not None:
            hint = "If an authority of your own certifies it, name its file as `ca` in `registries`."
        elif isinstance(error, httpx.TimeoutException):
            why = (
                f"nothing came for {self._patience.read_s:g} s" if isinstance(error, httpx.ReadTimeout) else "timed out"
            )
        return UnreachableError(f"{self.connection.url} does not answer: {why}", hint=hint)


def _pause(error: Exception) -> bool | float:
    """Whether to try again, or after how many seconds."""
    import httpx

    if isinstance(error, _BusyError):
        return error.after_s is None or (error.after_s if error.after_s <= _LONGEST_WAIT_S else False)
    return isinstance(error, httpx.TransportError) and _certificate_problem(error) is None


def _retry_after(response: httpx.Response) -> float | None:
    """Seconds (RFC 9110, section 10.2.3); dates are left to our own pauses."""
    text = response.headers.get("Retry-After", "").strip()
    return float(text) if text.isascii() and text.isdigit() and len(text) < 7 else None


def _certificate_problem(error: BaseException | None) -> ssl.SSLError | None:
    while error is not None:
        if isinstance(error, ssl.SSLCertVerificationError):
            return error
        error = error.__cause__ or error.__context__
    return None
