"""The signer as a child of `serve`: started with it, started again when it dies, ended with it."""

from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from types import TracebackType

from pydantic import SecretStr

from flowctl_registry.settings import Settings

_LOG = logging.getLogger(__name__)
_PAUSE_S = 1.0
_END_S = 40
END = signal.SIGUSR1
"""Ends a signer that `serve` started."""


class SignerChild:
    """A context manager: inside it a signer runs. The settings reach it by a pipe, where nobody else can read them."""

    def __init__(self, settings: Settings) -> None:
        self._told = json.dumps({"parent": os.getpid(), "settings": settings.model_dump()}, default=_plain).encode()
        self._ending = threading.Event()
        self.gave_up = False
        """The signer cannot start, and said why."""
        self._socket = settings.socket
        self._socket.unlink(missing_ok=True)
        self._process = self._start()
        self._watcher = threading.Thread(target=self._watch, daemon=True, name="signer")

    def __enter__(self) -> SignerChild:
        self._watcher.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ending.set()
        self._process.send_signal(END)
        try:
            self._process.wait(_END_S)
        except subprocess.TimeoutExpired:
            self._process.kill()

    def _start(self) -> subprocess.Popen[bytes]:
        reading, writing = os.pipe()
        command = [sys.executable, "-m", "flowctl_registry.signer"]
        process = subprocess.Popen(command, stdin=reading)
        os.close(reading)
        try:
            with os.fdopen(writing, "wb") as pipe:
                pipe.write(self._told)
        except OSError:
            _LOG.warning("the signer ended before it was told what to do")
        return process

    def _watch(self) -> None:
        while True:
            code = self._process.wait()
            if self._ending.wait(_PAUSE_S):
                return
            if code > 0 and not self._socket.exists():  # it never listened
                self.gave_up = True
                os.kill(os.getpid(), signal.SIGTERM)
                return
            _LOG.error("the signer ended (code %d); starting it again", code)
            self._process = self._start()
            if self._ending.is_set():
                self._process.send_signal(END)


def _plain(value: object) -> object:
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    if isinstance(value, Path):
        return str(value)
    raise TypeError(type(value).__name__)
