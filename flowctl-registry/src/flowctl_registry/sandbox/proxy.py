"""The only way out of a sandbox that may fetch: a forward proxy that knows where one may go."""

from __future__ import annotations

import asyncio
import fnmatch
import logging
import shutil
import socket
import threading
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from flowctl_registry.errors import SandboxError
from flowctl_registry.sandbox.addresses import AddressRules
from flowctl_registry.sandbox.owner import new_folder
from flowctl_registry.sandbox.requests import BadRequest, Request, read_request
from flowctl_registry.sandbox.tunnel import CHUNK, Visit, carry

_log = logging.getLogger(__name__)
_CONNECT_S = 30.0
_VISITS = 10_000
"""Connections that are made, or refused with a reason, at most."""
Resolve = Callable[[str, int], Awaitable[list[str]]]
"""Addresses of a host, as text."""


@dataclass(frozen=True)
class ProxyRules:
    """Where a fetch may go and how much it may bring."""

    hosts: tuple[str, ...] = ()
    """Names as globs (`*.example.org`); everything else is refused."""
    ports: tuple[int, ...] = (443, 80)
    allow_private: tuple[str, ...] = ()
    """Networks (CIDR) or names of hosts that may have private addresses: a company's mirrors."""
    bytes_total: int = 10_000_000_000
    """In both directions, of all connections."""
    connections: int = 256
    """At one time."""


class _RefusedError(Exception):
    def __init__(self, reason: str, status: str = "403 Forbidden") -> None:
        super().__init__(reason)
        self.status = status


class Proxy:
    """Runs in a thread of its own while it is open (`with`); `socket` is what a sandbox gets."""

    def __init__(self, rules: ProxyRules, resolve: Resolve | None = None) -> None:
        """Raises SandboxError where the rules cannot be understood."""
        networks = [each for each in rules.allow_private if _is_network(each)]
        self._names = tuple(each for each in rules.allow_private if not _is_network(each))
        self._rules = rules
        self._addresses = AddressRules(networks)
        self._resolve = resolve or _ask_system
        self._folder: Path | None = None
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="sandbox-proxy", daemon=True)
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.Task[None]] = set()
        self._left = rules.bytes_total
        self.visits: list[Visit] = []
        """Every connection asked for, refused ones too, in order; the first 10,000."""

    @property
    def socket(self) -> Path:
        """A UNIX socket in a folder that only this process's user can enter."""
        if self._folder is None:
            raise RuntimeError("the proxy is not open")
        return self._folder / "proxy"

    def __enter__(self) -> Proxy:
        self._folder = new_folder("flowctl-proxy")
        self._thread.start()
        self._call(self._listen())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._call(self._stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)

    def _call(self, work: Awaitable[None]) -> None:
        async def wait() -> None:
            await work

        asyncio.run_coroutine_threadsafe(wait(), self._loop).result()

    async def _listen(self) -> None:
        self._server = await asyncio.start_unix_server(self._accept, self.socket, limit=CHUNK)
        self.socket.chmod(0o666)  # for the sandbox's user, who sees this socket and not its folder

    async def _stop(self) -> None:
        if self._server is not None:
            self._server.close()
        for task in (waiting := list(self._open)):
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - for mypy: this is a coroutine
        self._open.add(task)
        try:
            if len(self._open) <= 2 * self._rules.connections:  # beyond that there is not even an answer
                await self._serve(reader, writer)
        except (OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # a side hung up, or the proxy closes
        finally:
            self._open.discard(task)
            writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        visit: Visit | None = None
        try:
            async with asyncio.timeout(_CONNECT_S):
                request = await read_request(reader)
                visit = Visit(request.host, request.port)
                if len(self.visits) >= _VISITS:
                    raise _RefusedError("too many connections were asked for", "429 Too Many Requests")
                self.visits.append(visit)
                upstream, downstream = await self._connect(request)
        except (BadRequest, _RefusedError) as error:
            status = error.status if isinstance(error, _RefusedError) else "400 Bad Request"
            if visit is not None:
                visit.refused = str(error)
                _log.warning("a build may not reach %s:%d: %s", visit.host, visit.port, error)
            body = f"flowctl: {error}\n".encode()
            writer.write(
                f"HTTP/1.1 {status}\r\nContent-Type: text/plain\r\nContent-Length: {len(body)}\r\n"
                "Connection: close\r\n\r\n".encode()
                + body
            )
            await writer.drain()
            return
        try:
            if request.head is None:
                writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
            else:
                downstream.write(request.head)
                visit.bytes_sent += len(request.head)
            await carry((reader, writer), (upstream, downstream), visit, self._take)
        except _RefusedError as error:
            visit.refused = str(error)
        finally:
            downstream.close()
            _log.info(
                "a build reached %s:%d: %d bytes sent, %d received",
                visit.host, visit.port, visit.bytes_sent, visit.bytes_received,
            )  # fmt: skip

    async def _connect(self, request: Request) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Resolve once, check every address, connect to one of these very addresses."""
        host, port = request.host, request.port
        if not any(fnmatch.fnmatchcase(host, glob.lower()) for glob in self._rules.hosts):
            raise _RefusedError(f"{host} is not on the list of hosts that builds may fetch from (sandbox.hosts)")
        if port not in self._rules.ports:
            raise _RefusedError(f"port {port} is not allowed (sandbox.ports)")
        if len(self._open) > self._rules.connections:
            raise _RefusedError("too many connections at one time", "429 Too Many Requests")
        if self._left <= 0:
            raise _RefusedError("all that a build may fetch has been fetched (sandbox.fetch_bytes)")
        try:
            found = await self._resolve(host, port)
        except OSError as error:
            raise _RefusedError(f"{host} cannot be resolved: {error.strerror}", "502 Bad Gateway") from None
        private = any(fnmatch.fnmatchcase(host, name.lower()) for name in self._names)
        for address in found:
            refusal = None if private else self._addresses.refusal(address)
            if refusal:
                raise _RefusedError(f"{host} is refused: {refusal}")
        reason = "it has no address"
        for address in found:
            try:
                return await asyncio.open_connection(address, port, limit=CHUNK)
            except OSError as error:
                reason = error.strerror or str(error)
        raise _RefusedError(f"{host}:{port} cannot be reached: {reason}", "502 Bad Gateway")

    def _take(self, count: int) -> None:
        self._left -= count
        if self._left < 0:
            raise _RefusedError("a build fetched more than it may (sandbox.fetch_bytes)")


async def _ask_system(host: str, port: int) -> list[str]:
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


def _is_network(text: str) -> bool:
    try:
        AddressRules([text])
    except ValueError:
        if "/" in text:
            raise SandboxError(
                f"{text} is no network", hint="sandbox.allow_private takes 10.0.0.0/8 or names of hosts."
            ) from None
        return False
    return True
