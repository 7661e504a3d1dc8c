"""A proxy before a registry that does to answers what a test says: a hostile network, or a hostile registry."""

from __future__ import annotations

import socket
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Answer:
    """What the registry answered, and what is to be sent in its place."""

    path: str
    status: int
    headers: dict[str, str]
    body: bytes
    length: int | None = None
    """Content-Length that is told; None: the true one."""
    cut_after: int | None = None
    """The connection is closed after so many bytes."""
    stall_after: int | None = None
    """Nothing is sent any more after so many bytes."""
    drip: bool = False
    """A byte now and then."""


Tamper = Callable[[Answer], Answer | None]
"""Changes an answer; None: as it is."""


@dataclass
class HostileProxy:
    """Forwards GET to `target`; `tamper` sees every answer."""

    target: str
    url: str = ""
    tamper: Tamper | None = None
    seen: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    """Path and headers of each request."""
    stopping: threading.Event = field(default_factory=threading.Event)

    @contextmanager
    def doing(self, tamper: Tamper) -> Iterator[HostileProxy]:
        """Tamper while the block runs."""
        self.tamper = tamper
        try:
            yield self
        finally:
            self.tamper = None


@contextmanager
def hostile_proxy(target: str) -> Iterator[HostileProxy]:
    """One that runs until the block ends."""
    proxy = HostileProxy(target)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            proxy.seen.append((self.path, dict(self.headers)))
            answer = _ask(proxy.target, self.path, dict(self.headers))
            if proxy.tamper is not None:
                answer = proxy.tamper(answer) or answer
            _send(self, answer, proxy.stopping)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    proxy.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield proxy
    finally:
        proxy.stopping.set()
        server.shutdown()
        server.server_close()


def _ask(target: str, path: str, headers: dict[str, str]) -> Answer:
    kept = {name: value for name, value in headers.items() if name.lower() not in ("host", "connection")}
    try:
        with urllib.request.urlopen(urllib.request.Request(target + path, headers=kept), timeout=30) as answer:
            return Answer(path, answer.status, dict(answer.headers), answer.read())
    except urllib.error.HTTPError as error:
        return Answer(path, error.code, dict(error.headers), error.read())


def _send(handler: BaseHTTPRequestHandler, answer: Answer, stopping: threading.Event) -> None:
    handler.send_response(answer.status)
    for name, value in answer.headers.items():
        if name.lower() not in ("content-length", "transfer-encoding", "connection", "date", "server"):
            handler.send_header(name, value)
    handler.send_header("Content-Length", str(len(answer.body) if answer.length is None else answer.length))
    handler.end_headers()
    body = answer.body
    try:
        if answer.drip:
            for number in range(len(body)):
                handler.wfile.write(body[number : number + 1])
                if stopping.wait(0.2):
                    return
        stop = answer.cut_after if answer.cut_after is not None else answer.stall_after
        handler.wfile.write(body if stop is None else body[:stop])
        handler.wfile.flush()
        if answer.stall_after is not None:
            stopping.wait(120)
        if stop is not None or answer.length is not None:
            handler.close_connection = True
            handler.connection.shutdown(socket.SHUT_RDWR)
    except OSError:
        handler.close_connection = True  # the client has gone
