"""Runs commands without a sandbox, for who accepts that: limits and an end of all processes, but no walls."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

from flowctl_registry.errors import SandboxError
from flowctl_registry.sandbox import cgroups, inside
from flowctl_registry.sandbox.confinement import Confinement, Usage


class Unconfined:
    """Commands see and reach what the service can; paths are those of this machine."""

    name = "none"

    def __init__(self, cgroup: Path | None = None) -> None:
        self._cgroup = cgroup

    def report(self) -> tuple[str, ...]:
        """See `Sandbox`."""
        told = ["builds are NOT confined: they read what the service reads, keys included, and reach every network"]
        if not cgroups.places(self._cgroup):
            told.append("memory, CPU and processes are limited for each process only, and daemons may outlive a build")
        return tuple(told)

    def start(self, confinement: Confinement, argv: list[str]) -> UnconfinedRun:
        """See `Sandbox`. Places must be what they are on this machine, since nothing is mounted."""
        for place, path in (*confinement.read_only.items(), *confinement.writable.items()):
            if Path(place) != path:
                raise SandboxError(
                    f"{place} cannot be {path} without a sandbox", hint="Run `apt-get install bubblewrap`."
                )
        groups = cgroups.make(confinement.limits, self._cgroup)
        limits = confinement.limits
        order = {
            "limits": {"cpu_s": int(limits.cpu_s) + 1, "file_bytes": limits.file_bytes, "core_bytes": 0},
            "environment": sorted(confinement.environment), "cgroups": groups.procs, "parent": os.getpid(),
        }  # fmt: skip
        try:
            process = subprocess.Popen(
                [sys.executable, "-I", "-S", str(inside.__file__), json.dumps(order), *argv], cwd=confinement.folder,
                env=dict(confinement.environment), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT, start_new_session=True, bufsize=0,
            )  # fmt: skip
        except OSError as error:
            groups.remove()
            raise SandboxError(f"the command cannot be started: {error}", hint="Look at its folder.") from error
        return UnconfinedRun(process, groups)


class UnconfinedRun:
    """See `Running`."""

    def __init__(self, process: subprocess.Popen[bytes], groups: cgroups.Groups) -> None:
        self._process = process
        self._groups = groups
        self._ended = False
        assert process.stdout is not None  # noqa: S101 - for mypy: it is a pipe
        self._output = process.stdout

    def fileno(self) -> int:
        """See `Running`."""
        return self._output.fileno()

    def read(self) -> bytes:
        """See `Running`."""
        return os.read(self._output.fileno(), 65_536)

    def poll(self) -> int | None:
        """See `Running`."""
        code = self._process.poll()
        if code is None:
            return None
        self.kill()  # what it left behind
        return code if code >= 0 else 128 - code

    def kill(self) -> None:
        """See `Running`."""
        if not self._ended:  # later another group may have its number
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)
        self._ended = self._process.returncode is not None
        self._groups.kill()

    def usage(self) -> Usage:
        """See `Running`."""
        return self._groups.usage()

    def processes(self) -> Iterable[int]:
        """See `Running`."""
        return self._groups.processes()

    def close(self) -> None:
        """See `Running`."""
        self.kill()
        self._process.wait()
        self._groups.remove()
        self._output.close()
