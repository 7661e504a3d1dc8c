"""Children of `serve`, such as the signer: started with it, started again when they die, ended with it."""

from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import IO

from pydantic import SecretStr

from flowctl_registry.settings import Settings

_LOG = logging.getLogger(__name__)
_PAUSE_S = 1.0
_LOOK_S = 0.5
_END_S = 40
END = signal.SIGUSR1
"""Ends a child: SIGTERM and SIGINT may be for the whole group, and must not end it before those that need it."""


class Child:
    """A context manager: inside it a module of ours runs as a process, `what` in the logs.

    The settings reach it by a file without a name, where nobody else can read them; it takes them with `told`, and ends
    by END. It starts after `after_s`, when others need the processor first. With `listens`, a child that ends with an
    error before that socket is there cannot start: `serve` ends too. With `when`, a child that ended without an error
    had nothing to do: it is started again when there is something.
    """

    def __init__(
        self,
        settings: Settings,
        module: str,
        what: str,
        *,
        after_s: float = 0,
        listens: Path | None = None,
        when: Callable[[], bool] | None = None,
    ) -> None:
        self._module = module
        self._what = what
        self._after_s = after_s
        self._socket = listens
        self._when = when
        self._told = json.dumps({"parent": os.getpid(), "settings": settings.model_dump()}, default=_plain).encode()
        self._ending = threading.Event()
        self.gave_up = False
        """The child cannot start, and said why."""
        if listens is not None:
            listens.unlink(missing_ok=True)
        self._process = self._start() if not after_s else None
        self._watcher = threading.Thread(target=self._watch, daemon=True, name=what)

    def __enter__(self) -> Child:
        self._watcher.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ending.set()
        if self._process is None:
            return
        self._process.send_signal(END)
        try:
            self._process.wait(_END_S)
        except subprocess.TimeoutExpired:
            self._process.kill()

    def _start(self) -> subprocess.Popen[bytes]:
        # The server beside us forks at any moment, and the fork has every pipe that we have just made: who waits for a
        # pipe's end waits for ever. So the settings are a file, and without close_fds Popen makes no pipe of its own.
        with _nameless() as file:
            file.write(self._told)
            file.seek(0)
            return subprocess.Popen([sys.executable, "-m", self._module], stdin=file, close_fds=False)

    def _watch(self) -> None:
        if self._ending.wait(self._after_s):
            return
        while True:
            process = self._process = self._process or self._start()
            if self._ending.is_set():
                process.send_signal(END)
            code = process.wait()
            if self._ending.wait(_PAUSE_S):
                return
            if code > 0 and self._socket is not None and not self._socket.exists():  # it never listened
                self.gave_up = True
                os.kill(os.getpid(), signal.SIGTERM)
                return
            self._process = None
            if code != 0 or self._when is None:
                _LOG.error("the %s ended (code %d); starting it again", self._what, code)
                continue
            while not self._when():
                if self._ending.wait(_LOOK_S):
                    return


def told() -> tuple[Settings, int]:
    """In a child: the settings, and the process that it must not outlive. Signals to the whole group are not for it."""
    for each in (signal.SIGINT, signal.SIGTERM):
        signal.signal(each, signal.SIG_IGN)
    received = json.load(sys.stdin)
    return Settings.model_validate(received["settings"]), received["parent"]


def _nameless() -> IO[bytes]:
    if sys.platform == "linux":
        return os.fdopen(os.memfd_create("settings"), "w+b")
    return tempfile.TemporaryFile()


def _plain(value: object) -> object:
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    if isinstance(value, Path):
        return str(value)
    raise TypeError(type(value).__name__)
