"""Components as processes of this machine: each in a session of its own, nothing left behind, whatever happens."""

from __future__ import annotations

import itertools
import os
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress

from flowctl_core.dev.launch import Launch
from flowctl_core.errors import ComponentStartError
from flowctl_core.models.process import Command
from flowctl_core.runners import process_tree, watcher
from flowctl_core.runners.start_failure import cannot_start

LEAVE_S = 1.0
"""Seconds that children have to end after their parent has, before they are killed."""

_numbers = itertools.count(1)


class ProcessLauncher:
    """Starts processes. When flowctl itself is killed, a watcher process ends them (see `runners.watcher`)."""

    def start(self, launch: Launch) -> ProcessInstance:
        """Start one. Raises ComponentStartError."""
        return ProcessInstance(launch)

    def close(self) -> None:
        """Nothing to remove."""


class ProcessInstance:
    """One process and its descendants."""

    def __init__(self, launch: Launch) -> None:
        outer = os.environ.get(process_tree.MARKER_VARIABLE)
        self._marker = f"{os.getpid()}-dev{next(_numbers)}-{time.time_ns():x}"
        marker = f"{outer}/{self._marker}" if outer else self._marker
        watcher.watch_command(0, self._marker)
        try:
            self._process = subprocess.Popen(
                launch.argv,
                cwd=launch.folder,
                env={**launch.environment, process_tree.MARKER_VARIABLE: marker},
                stdin=subprocess.PIPE if launch.takes_events else subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                bufsize=0,
                start_new_session=True,
            )
        except (OSError, ValueError) as error:
            watcher.release_command(self._marker)
            told = cannot_start(Command(argv=launch.argv, cwd=launch.folder, environment=launch.environment), error)
            raise ComponentStartError(told.message, hint=told.hint) from error
        watcher.watch_command(self._process.pid, self._marker)
        self.pid: int | None = self._process.pid
        self.close_stdin: Callable[[], None] | None = None
        stdin, stdout, stderr = self._process.stdin, self._process.stdout, self._process.stderr
        assert stdout is not None  # noqa: S101 - both are pipes
        assert stderr is not None  # noqa: S101
        # The readers and the writer close their own; a file object would close the number a second time.
        self.stdin: int | None = None if stdin is None else _taken_over(stdin.fileno(), stdin.close)
        self.stdout = _taken_over(stdout.fileno(), stdout.close)
        self.stderr = _taken_over(stderr.fileno(), stderr.close)

    def wait(self) -> int:
        """Stay until it has ended and nothing of it is left; the exit code, -N for signal N."""
        pid = self._process.pid
        # It stays a zombie until its group is empty, so that the group's number is still its own.
        with suppress(ChildProcessError):
            os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
        if process_tree.group_alive(pid) or process_tree.marked(self._marker):
            process_tree.send(process_tree.SIGTERM, pid, self._marker)
            deadline = time.monotonic() + LEAVE_S
            while time.monotonic() < deadline and (process_tree.group_alive(pid) or process_tree.marked(self._marker)):
                time.sleep(0.01)
            process_tree.kill_tree(pid, self._marker)
        code = self._process.wait()
        watcher.release_command(self._marker)
        return code

    def terminate(self) -> None:
        """SIGTERM to the whole tree."""
        if self._process.returncode is None:
            process_tree.send(process_tree.SIGTERM, self._process.pid, self._marker)

    def kill(self) -> None:
        """SIGKILL to the whole tree."""
        if self._process.returncode is None:
            process_tree.kill_tree(self._process.pid, self._marker)

    def memory(self) -> int | None:
        """Resident memory of the process itself, in bytes."""
        import psutil

        try:
            return int(psutil.Process(self._process.pid).memory_info().rss)
        except psutil.Error:
            return None


def _taken_over(descriptor: int, close: Callable[[], None]) -> int:
    copy = os.dup(descriptor)
    close()
    return copy
