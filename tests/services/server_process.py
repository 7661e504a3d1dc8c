"""A server that a test starts, stops, kills and starts again."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens at right now, below those that the kernel gives to clients."""
    while True:
        port = random.randrange(15_000, 32_000)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        return port


class ServerProcess:
    """One server and the children it has, in a process group of its own."""

    def __init__(
        self,
        command: list[str | Path],
        log: Path,
        ready: Callable[[], bool],
        *,
        environment: Mapping[str, str] | None = None,
        stop_signal: int = signal.SIGTERM,
        **popen: Any,
    ) -> None:
        self.command = [str(word) for word in command]
        self.log = log
        self.ready = ready
        self.environment = environment
        self.stop_signal = stop_signal
        self.popen = popen
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    def launch(self) -> None:
        """Start it without waiting."""
        with self.log.open("ab") as output:
            self.process = subprocess.Popen(
                self.command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=self.environment,
                start_new_session=True,
                **self.popen,
            )

    def wait_ready(self, timeout_s: float = 60) -> None:
        assert self.process is not None
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            assert self.process.poll() is None, f"{self.command[0]} ended\n{self.text()}"
            if self.ready():
                return
            time.sleep(0.03)
        raise AssertionError(f"{self.command[0]} does not answer\n{self.text()}")

    def start(self) -> None:
        """Start it and wait until it answers."""
        self.launch()
        self.wait_ready()

    def stop(self, timeout_s: float = 60) -> int:
        """Let it end in order; its exit code."""
        assert self.process is not None
        if self.process.poll() is None:
            self.process.send_signal(self.stop_signal)
            try:
                self.process.wait(timeout_s)
            except subprocess.TimeoutExpired:
                self.kill()
                raise
        self._end_group()
        return self.process.wait()

    def kill(self) -> None:
        """kill -9 of the process and all its children, at once."""
        assert self.process is not None
        self._end_group()
        self.process.wait()

    def text(self) -> str:
        """What it wrote."""
        return self.log.read_text(errors="replace")[-20_000:]

    def _end_group(self) -> None:
        assert self.process is not None
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
