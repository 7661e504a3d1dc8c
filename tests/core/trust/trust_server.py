"""A web server on loopback that serves the folder of a trust repository, as it is or as an attacker would."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote


class TrustServer(ThreadingHTTPServer):
    """The server, what it does wrong, and what was asked of it."""

    daemon_threads = True

    def __init__(self, folder: Path) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.folder = folder
        self.instead: dict[str, bytes] = {}
        """Path to other bytes than the folder has."""
        self.endless: set[str] = set()
        """Paths whose answer never ends."""
        self.slow: set[str] = set()
        """Paths whose answer comes a byte at a time."""
        self.status: dict[str, int] = {}
        self.fails = 0
        """How many requests are answered with 503 first."""
        self.redirect: dict[str, str] = {}
        self.asked: list[str] = []
        self.stop = threading.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Handler(BaseHTTPRequestHandler):
    server: TrustServer
    protocol_version = "HTTP/1.0"

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        path = unquote(self.path).lstrip("/")
        self.server.asked.append(path)
        with contextlib.suppress(OSError):
            self._answer(path)

    def _answer(self, path: str) -> None:
        server = self.server
        if server.fails > 0:
            server.fails -= 1
            return self._send(503, b"")
        if path in server.status:
            return self._send(server.status[path], b"")
        if path in server.redirect:
            self.send_response(302)
            self.send_header("Location", server.redirect[path])
            self.end_headers()
            return None
        if path in server.endless or path in server.slow:
            self.send_response(200)
            self.end_headers()
            while not server.stop.is_set():
                self.wfile.write(b" " * (65536 if path in server.endless else 1))
                self.wfile.flush()
                if path in server.slow:
                    time.sleep(0.05)
            return None
        data = server.instead.get(path)
        file = server.folder / path
        if data is None and file.is_file():
            data = file.read_bytes()
        return self._send(404, b"") if data is None else self._send(200, data)

    def _send(self, status: int, data: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


@contextlib.contextmanager
def serving(folder: Path) -> Iterator[TrustServer]:
    """A server for a folder while the body runs."""
    server = TrustServer(folder)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.stop.set()
        server.shutdown()
        server.server_close()
        thread.join(5)
