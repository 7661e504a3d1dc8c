"""Asking the signer. Only ids go over the socket: what is signed, the signer reads in the database itself."""

from __future__ import annotations

import json
import socket
import time
from pathlib import Path
from typing import Any

from flowctl_registry.errors import UnavailableError

_HINT = "The registry's operator looks whether `flowctl-registry signer` runs."
_PATIENCE_S = 10.0
"""How long a signer may take to start, or to start again: what it is asked, it does once."""


class SignerClient:
    """One request a connection: a line of JSON, answered by a line of JSON."""

    def __init__(self, path: Path, timeout_s: float = 60) -> None:
        self._path = path
        self._timeout_s = timeout_s

    def sign(self, version_id: int) -> None:
        """Let the signer attest the recorded subjects of a pending version, store and record the attestations.

        Again changes nothing. Raises UnavailableError.
        """
        self._ask({"do": "sign", "version": version_id})

    def update_index(self) -> None:
        """Let the signer enter all recorded changes in the signed index, and wait for it. Raises UnavailableError."""
        self._ask({"do": "update-index"})

    def status(self) -> dict[str, Any]:
        """What the signer says of itself: key, expiry of the index, changes that wait. Raises UnavailableError."""
        return self._ask({"do": "status"}, patience_s=0, timeout_s=5)

    def _ask(
        self, request: dict[str, Any], patience_s: float = _PATIENCE_S, timeout_s: float | None = None
    ) -> dict[str, Any]:
        deadline = time.monotonic() + patience_s
        while True:
            try:
                answer = json.loads(self._line(request, timeout_s or self._timeout_s))
                break
            except TimeoutError as error:
                raise UnavailableError("the signer does not answer in time", hint=_HINT) from error
            except (OSError, ValueError) as error:
                if time.monotonic() > deadline:
                    raise UnavailableError(f"the signer does not answer ({error})", hint=_HINT) from error
                time.sleep(0.1)
        if not isinstance(answer, dict) or not answer.get("ok"):
            told = answer.get("error", "no reason given") if isinstance(answer, dict) else "an answer that is none"
            raise UnavailableError(f"the signer refuses: {told}", hint=_HINT)
        return answer

    def _line(self, request: dict[str, Any], timeout_s: float) -> bytes:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(timeout_s)
            connection.connect(str(self._path))
            connection.sendall(json.dumps(request).encode() + b"\n")
            return connection.makefile("rb").readline()
