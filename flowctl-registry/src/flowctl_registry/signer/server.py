"""The signer's socket: a line of JSON in, a line of JSON out, one request a connection."""

from __future__ import annotations

import json
import logging
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from flowctl_core.errors import FlowctlError

_LOG = logging.getLogger(__name__)
_LINE_LIMIT = 10_000
Handle = Callable[[dict[str, Any]], dict[str, Any]]


def listen(path: Path) -> socket.socket:
    """A socket that only this user can connect to; a left-over file of a killed signer is replaced."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    server.bind(str(path))
    path.chmod(0o600)
    server.listen(64)
    return server


def serve(server: socket.socket, handle: Handle) -> None:
    """Answer until the socket is closed."""
    while True:
        try:
            connection, _ = server.accept()
        except OSError:
            return
        threading.Thread(target=_answer, args=(connection, handle), daemon=True).start()


def _answer(connection: socket.socket, handle: Handle) -> None:
    with connection:
        connection.settimeout(30)
        try:
            request = json.loads(connection.makefile("rb").readline(_LINE_LIMIT))
            answer = {"ok": True, **handle(request)}
        except FlowctlError as error:
            answer = {"ok": False, "error": error.message}
        except Exception as error:  # noqa: BLE001 - the signer must go on
            _LOG.error("a request failed", exc_info=error)
            answer = {"ok": False, "error": "a fault of the signer; see its log"}
        try:
            connection.sendall(json.dumps(answer).encode() + b"\n")
        except OSError:
            _LOG.info("a client did not wait for its answer")
