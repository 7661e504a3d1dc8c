"""The signer's socket: a line of JSON in, a line of JSON out, one request a connection."""

from __future__ import annotations

import json
import logging
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from flowctl_core.errors import ConfigError, FlowctlError

_LOG = logging.getLogger(__name__)
_LINE_LIMIT = 10_000
_REQUEST_S = 30
Handle = Callable[[dict[str, Any]], dict[str, Any]]


def listen(path: Path) -> socket.socket:
    """A socket that only this user can connect to; a left-over file of a killed signer is replaced.

    Raises ConfigError.
    """
    server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        server.bind(str(path))
        path.chmod(0o600)
    except OSError as error:
        server.close()
        raise ConfigError(
            f"the signer cannot listen at {path}: {error.strerror or error}",
            hint="Set signer_socket to a short path (at most 100 bytes) in a folder of this user.",
        ) from None
    server.listen(64)
    return server


def serve(server: socket.socket, handle: Handle, ended: threading.Event) -> None:
    """Answer until `ended` is set; requests that were begun are finished."""
    server.settimeout(0.5)
    running: set[threading.Thread] = set()
    while not ended.is_set():
        try:
            connection, _ = server.accept()
        except TimeoutError:
            continue
        except OSError:
            break
        running = {thread for thread in running if thread.is_alive()}
        thread = threading.Thread(target=_answer, args=(connection, handle), daemon=True)
        running.add(thread)
        thread.start()
    for thread in running:
        thread.join(_REQUEST_S)


def _answer(connection: socket.socket, handle: Handle) -> None:
    with connection:
        connection.settimeout(_REQUEST_S)
        try:
            request = json.loads(connection.makefile("rb").readline(_LINE_LIMIT))
            answer = {"ok": True, **handle(request)}
        except FlowctlError as error:
            _LOG.warning("a request was refused: %s", error.message)
            answer = {"ok": False, "error": error.message}
        except Exception as error:  # noqa: BLE001 - the signer must go on
            _LOG.error("a request failed", exc_info=error)
            answer = {"ok": False, "error": "a fault of the signer; see its log"}
        try:
            connection.sendall(json.dumps(answer).encode() + b"\n")
        except OSError:
            _LOG.info("a client did not wait for its answer")
