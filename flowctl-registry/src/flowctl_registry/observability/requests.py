"""What is noted of each request: its id, a line in the log, counters, and a span where traces are wanted."""

from __future__ import annotations

import logging
import re
import time
import uuid
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any

from anyio import to_thread

from flowctl_registry.observability import metrics
from flowctl_registry.observability.logs import REQUEST_ID, fields

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from flowctl_registry.observability.tracing import Tracing

_LOG = logging.getLogger("flowctl_registry.request")
_ID = re.compile(rb"[A-Za-z0-9._-]{1,64}")
_QUIET = frozenset({"/healthz", "/readyz", "/metrics"})


class Observed:
    """The application with its requests noted. A request keeps the id that the client or proxy gave it."""

    def __init__(self, app: ASGIApp, tracing: Tracing | None = None) -> None:
        self._app = app
        self._tracing = tracing

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] == "lifespan" and self._tracing is not None:
            await self._app(scope, receive, _after(send, self._tracing.close))
            return
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        noted = _Noted(scope, receive, send)
        scope["state"] = {**scope.get("state", {}), "request_id": noted.id}
        token = REQUEST_ID.set(noted.id)
        metrics.RUNNING.inc()
        try:
            with self._span(scope, noted):
                await self._app(scope, noted.receive, noted.send)
        except Exception as error:  # Starlette raises again what it has answered with a 5xx, which is in the log
            if noted.status == 0:
                raise
            told = logging.DEBUG if noted.status >= 500 else logging.WARNING
            _LOG.log(told, "an answer broke off", exc_info=error)
        finally:
            metrics.RUNNING.dec()
            noted.tell(scope)
            REQUEST_ID.reset(token)

    def _span(self, scope: Scope, noted: _Noted) -> AbstractContextManager[Any]:
        return self._tracing.span(scope, noted) if self._tracing is not None else nullcontext()


def _after(send: Send, close: Callable[[], None]) -> Send:
    """Sends the application's last word when `close` is done: the server ends the process upon it."""

    async def sent(message: Message) -> None:
        if message["type"] == "lifespan.shutdown.complete":
            await to_thread.run_sync(close)
        await send(message)

    return sent


class _Noted:
    """One request."""

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        given = next((value for name, value in scope["headers"] if name == b"x-request-id"), b"")
        self.id = given.decode() if _ID.fullmatch(given) else uuid.uuid4().hex
        self.status = 0
        self._receive, self._send = receive, send
        self._began = time.perf_counter()
        self._received = self._sent = self._announced = 0

    async def receive(self) -> Message:
        """ASGI."""
        message = await self._receive()
        if message["type"] == "http.request":
            self._received += len(message.get("body", b""))
        return message

    async def send(self, message: Message) -> None:
        """ASGI."""
        kind = message["type"]
        if kind == "http.response.start":
            self.status = message["status"]
            headers = message.get("headers", [])
            self._announced = next((int(value) for name, value in headers if name.lower() == b"content-length"), 0)
            message = {**message, "headers": [*headers, (b"x-request-id", self.id.encode())]}
        elif kind == "http.response.body":
            self._sent += len(message.get("body", b""))
        elif kind == "http.response.pathsend":
            self._sent += self._announced
        await self._send(message)

    def tell(self, scope: Scope) -> None:
        """Count the request, and write its line."""
        took = time.perf_counter() - self._began
        route = getattr(scope.get("route"), "path", "none")
        method = scope["method"] if route != "none" else "any"  # what strangers invent makes no new series
        metrics.REQUESTS.labels(method, route, str(self.status)).inc()
        metrics.SECONDS.labels(method, route).observe(took)
        metrics.RECEIVED.inc(self._received)
        metrics.SENT.inc(self._sent)
        level = logging.DEBUG if route in _QUIET else logging.INFO
        if _LOG.isEnabledFor(level):
            principal = scope["state"].get("principal")
            client = scope.get("client")
            _LOG.log(
                level,
                "%s %s %d", scope["method"], scope["path"], self.status,
                extra=fields(
                    method=scope["method"],
                    route=route,
                    path=scope["path"],
                    status=self.status,
                    duration_s=round(took, 4),
                    received=self._received,
                    sent=self._sent,
                    principal=getattr(principal, "shown", None),
                    client=client[0] if client else None,
                ),
            )  # fmt: skip
