"""Answers for anybody, given again as they were a moment ago: with neither a thread nor a question to the database.

Most requests are for the same few things, without a token; looking up again who may have them, and what they are, costs
more than sending them. What was answered is kept only as long as the database is unchanged: a version that was yanked
or removed, or a namespace that became private, is seen at once.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from anyio import to_thread
from cachetools import LRUCache
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from flowctl_registry.access.limiting import Limiter, client_address
from flowctl_registry.access.principal import Principal
from flowctl_registry.database.data_version import DataVersion
from flowctl_registry.errors import TooManyRequestsError
from flowctl_registry.services import Services

_KEPT_BYTES = 8_000_000
_BODY_BYTES = 256_000
_FILES_BYTES = 24_000_000
_FILE_BYTES = 4_000_000
"""Up to here the bytes themselves are kept: granian sends them in half of the time that it takes to read a file."""
_STATE = "repeatable"
_VERSION = "data_version"
_CHANGING = frozenset({b"authorization", b"range", b"if-range", b"if-match", b"if-none-match"})
"""Headers of a request that the answer may depend on."""


def may_repeat(request: Request, component_id: int | None = None) -> None:
    """Anybody may have the answer to this request, which depends on its address and the database alone.

    Each counts as a download of the component, if there is one.
    """
    request.scope["state"][_STATE] = (component_id,)


def data_version(request: Request) -> int | None:
    """What DataVersion said before anything was looked up for this request."""
    version: int | None = request.scope["state"].get(_VERSION)
    return version


@dataclass(frozen=True)
class _Kept:
    start: Message
    body: Message
    """The whole one, or the path of a big file that the server reads."""
    file: Path | None
    """Where the bytes are from."""
    size: int
    route: Any
    component_id: int | None

    @property
    def weight(self) -> int:
        """Bytes in memory, roughly."""
        return 2_000 + (self.size if self.file is None else 0)


class Repeats:
    """Middleware of one process, between the server and the routes."""

    def __init__(self, app: ASGIApp, services: Services, limiter: Limiter) -> None:
        self._app = app
        self._services = services
        self._limiter = limiter
        self._version = DataVersion(services.engine)
        self._of: int | None = None
        self._kept: LRUCache[tuple[bytes, bytes], _Kept] = LRUCache(_KEPT_BYTES, lambda each: each.weight)
        self._files: LRUCache[Path, bytes] = LRUCache(_FILES_BYTES, len)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] != "http" or scope["method"] not in ("GET", "HEAD"):
            await self._app(scope, receive, send)
            return
        version = self._version.read()  # before the answer is made: it is at least as new
        scope.setdefault("state", {})[_VERSION] = version
        names = (name for name, _ in scope["headers"])
        if version is None or scope["method"] != "GET" or not _CHANGING.isdisjoint(names):
            await self._app(scope, receive, send)
            return
        if version != self._of:
            self._kept.clear()
            self._of = version
        key = (scope["raw_path"], scope["query_string"])
        kept = self._kept.get(key)
        if kept is not None and self._is_allowed(scope, kept):
            await self._send(kept, scope, send)
            return
        started: list[Message] = []

        async def noting(message: Message) -> None:
            if message["type"] == "http.response.start":
                started[:] = [message]
            elif started and version == self._of:
                self._keep(key, started[0], message, scope)
            await send(message)

        await self._app(scope, receive, noting)

    def _is_allowed(self, scope: Scope, kept: _Kept) -> bool:
        """False: the routes answer, and say what is wrong."""
        try:
            if kept.file is not None and kept.file.stat().st_size != kept.size:
                return False
            address = client_address(Request(scope))
            self._limiter.check_logins(address)
            self._limiter.count_address(address)
        except (OSError, TooManyRequestsError):
            return False
        return True

    async def _send(self, kept: _Kept, scope: Scope, send: Send) -> None:
        scope["route"] = kept.route
        scope["state"]["principal"] = Principal()
        due = kept.component_id is not None and self._services.downloads.add(kept.component_id)
        body = await self._body(kept)
        await send(kept.start)
        await send(body)
        if due:
            await to_thread.run_sync(self._services.downloads.flush)

    async def _body(self, kept: _Kept) -> Message:
        if kept.file is None or kept.size > _FILE_BYTES:
            return kept.body
        data = self._files.get(kept.file)
        if data is None:  # it is asked for again: worth its memory
            try:
                data = await to_thread.run_sync(kept.file.read_bytes)
            except OSError:
                return kept.body
            if len(data) != kept.size:
                return kept.body
            self._files[kept.file] = data
        return {"type": "http.response.body", "body": data}

    def _keep(self, key: tuple[bytes, bytes], start: Message, body: Message, scope: Scope) -> None:
        marked = scope["state"].get(_STATE)
        if marked is None or start["status"] != 200 or body.get("more_body"):
            return
        size = next(int(value) for name, value in start["headers"] if name == b"content-length")
        file = Path(body["path"]) if body["type"] == "http.response.pathsend" else None
        if file is None and (size > _BODY_BYTES or len(body["body"]) != size):
            return
        self._kept[key] = _Kept(start, body, file, size, scope.get("route"), marked[0])
