"""A command that bubblewrap confines, while it runs."""

from __future__ import annotations

import contextlib
import json
import os
import select
import shutil
import signal
import subprocess
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

from flowctl_registry.errors import SandboxError
from flowctl_registry.sandbox import cgroups, processes
from flowctl_registry.sandbox.confinement import Confinement, Usage

FAILED = "Try `bwrap --unshare-all --ro-bind / / true` as the service's user."
"""What to do about a sandbox that cannot be made."""
_END_S = 10.0
"""How long killed processes may take to be gone; the kernel needs milliseconds."""


class BubblewrapRun:
    """See `Running`."""

    def __init__(
        self, process: subprocess.Popen[bytes], pipes: tuple[int, int], confinement: Confinement, session: Path,
        groups: cgroups.Groups,
    ) -> None:  # fmt: skip
        self._process = process
        self._told, self._begun = pipes
        os.set_blocking(self._begun, False)
        self._has_begun = False
        self._limits = confinement.limits
        self._session = session
        self._groups = groups
        self._status: dict[str, int] = {}
        self._said = b""
        self._first: int | None = None
        self._killed = False
        self._head = b""
        self._usage = Usage()
        assert self._process.stdout is not None  # noqa: S101 - for mypy: it is a pipe
        self._output = self._process.stdout.fileno()

    def fileno(self) -> int:
        """See `Running`."""
        return self._output

    def read(self) -> bytes:
        """See `Running`."""
        data = os.read(self._output, 65_536)
        self._head = (self._head + data)[:2_000]
        return data

    def poll(self) -> int | None:
        """See `Running`."""
        self._hear()
        if self._process.poll() is None or not self._first_is_gone():
            return None
        self._hear()
        if self._has_begun or self._killed:
            return self._status.get("exit-code", 128 + signal.SIGKILL)  # by us, or by the kernel: out of memory
        with contextlib.suppress(OSError):
            os.set_blocking(self._output, False)
            while self.read():
                pass
        said = self._head.decode(errors="replace").strip()
        raise SandboxError(f"the sandbox cannot be made: {said or 'bwrap said nothing'}", hint=FAILED)

    def kill(self) -> None:
        """See `Running`."""
        self._killed = True
        self._groups.kill()
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()
        if self._first is not None:
            with contextlib.suppress(OSError):
                signal.pidfd_send_signal(self._first, signal.SIGKILL)

    def usage(self) -> Usage:
        """See `Running`."""
        counted = self._groups.usage()
        if all(self._groups.has(controller) for controller in ("memory", "pids", "cpuacct")):
            return counted
        if first := self._status.get("child-pid"):
            self._usage = processes.sample(first, self._limits, self._usage)
        sampled = self._usage
        if self._groups.has("memory") or self._groups.has("pids"):
            sampled = replace(sampled, reached=None)
        return Usage(
            sampled.cpu_s if counted.cpu_s is None else counted.cpu_s,
            sampled.peak_bytes if counted.peak_bytes is None else counted.peak_bytes,
            counted.reached or sampled.reached,
        )

    def processes(self) -> Iterable[int]:
        """See `Running`."""
        return processes.members(self._status["child-pid"]) if "child-pid" in self._status else ()

    def close(self) -> None:
        """See `Running`."""
        self.kill()
        self._process.wait()
        if not self._first_is_gone() and self._first is not None:
            select.select([self._first], [], [], _END_S)
        self._groups.remove()
        for fd in (self._told, self._begun, self._first):
            if fd is not None:
                os.close(fd)
        assert self._process.stdout is not None  # noqa: S101 - for mypy: it is a pipe
        self._process.stdout.close()
        shutil.rmtree(self._session, ignore_errors=True)

    def _first_is_gone(self) -> bool:
        """The first process ends after all others of its namespace."""
        self._hear()
        return self._first is None or bool(select.select([self._first], [], [], 0)[0])

    def _hear(self) -> None:
        with contextlib.suppress(BlockingIOError):
            while data := os.read(self._told, 4_096):
                self._said += data
        *lines, self._said = self._said.split(b"\n")
        for line in lines:
            said: dict[str, Any] = json.loads(line) if line.strip() else {}
            self._status |= {name: value for name, value in said.items() if isinstance(value, int)}
        with contextlib.suppress(BlockingIOError):
            self._has_begun = self._has_begun or bool(os.read(self._begun, 1))
        if self._first is None and "child-pid" in self._status:
            with contextlib.suppress(ProcessLookupError):
                self._first = os.pidfd_open(self._status["child-pid"])
