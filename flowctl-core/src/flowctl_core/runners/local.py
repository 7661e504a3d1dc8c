"""Runs commands on this machine, each in a session and process group of its own."""

from __future__ import annotations

import contextlib
import itertools
import logging
import os
import selectors
import shlex
import subprocess
import threading
import time
from pathlib import Path

from flowctl_core.errors import CancelledError, ToolchainError, ToolTimeoutError
from flowctl_core.models.process import Command, CompletedCommand, OnLine
from flowctl_core.runners import process_tree, watcher
from flowctl_core.runners.capture import Capture
from flowctl_core.runners.early import EarlyCommand
from flowctl_core.runners.start_failure import cannot_start

GRACE_S = 2.0
"""Seconds between SIGTERM and SIGKILL."""

SETTLE_S = 0.5
"""Seconds that output is still read after a command has ended while something it left behind holds its pipes."""

_CHUNK = 65536
_log = logging.getLogger(__name__)
_numbers = itertools.count(1)


class LocalRunner:
    """Runs commands as child processes, without a shell.

    A command has no terminal and no input. When it ends, what it left behind in its process group is ended too; a
    daemon that left the group (sccache's server) stays. After a timeout, a cancellation, Ctrl-C or the death of
    flowctl itself the whole tree is ended, daemons included.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._active: set[_Running] = set()
        self._cancelled = False

    def run(
        self, command: Command, *, on_line: OnLine | None = None, early: EarlyCommand | None = None
    ) -> CompletedCommand:
        """See `flowctl_core.models.process.Runner`; `on_line` is called in the calling thread.

        `early` is this same command, if it runs already: it is taken over.
        """
        _log.debug("runs %s in %s", shlex.join(command.argv), command.cwd)
        running = _Running(command, on_line, early)
        try:
            with self._lock:
                self._active.add(running)
                if self._cancelled:
                    running.cancel()
            completed = running.finish()
            _log.debug("exit code %s after %.2f s: %s", completed.exit_code, completed.duration_s, command.argv[0])
            return completed
        finally:
            with self._lock:
                self._active.discard(running)
            running.close()

    def cancel(self) -> None:
        """End everything that runs, from any thread; whatever runs or is started later raises CancelledError."""
        with self._lock:
            self._cancelled = True
            for running in self._active:
                running.cancel()


class _Running:
    """One command while it runs."""

    def __init__(self, command: Command, on_line: OnLine | None, early: EarlyCommand | None) -> None:
        self._command = command
        self._started = time.monotonic()
        self._captures = (Capture(on_line), Capture(on_line))
        outer = os.environ.get(process_tree.MARKER_VARIABLE)
        self._marker = f"{os.getpid()}-{next(_numbers)}-{time.time_ns():x}"
        self._marker_value = f"{outer}/{self._marker}" if outer else self._marker
        self._process: subprocess.Popen[bytes] | None = None
        if early is not None:
            self._process, self._marker, self._started = early.process, early.marker, early.began
        self._selector = selectors.DefaultSelector()
        self._open = 0
        self._exit_fd: int | None = None
        self._cancelled = False
        self._wake_read, self._wake_write = os.pipe()

    def cancel(self) -> None:
        """Wake the thread that runs the command, so that it ends it."""
        if not self._cancelled:
            self._cancelled = True
            os.write(self._wake_write, b"x")

    def finish(self) -> CompletedCommand:
        """Start the command and stay until it has ended."""
        if self._cancelled:
            if self._process is not None:
                self._end()
            raise self._cancellation()
        try:
            self._start()
            self._wait()
        except KeyboardInterrupt:
            self._end()
            raise self._cancellation() from None
        except BaseException:  # on_line raised
            self._end()
            raise
        assert self._process is not None  # noqa: S101 - for mypy: _start raises otherwise
        for capture in self._captures:
            capture.close()
        return CompletedCommand(
            argv=self._command.argv,
            exit_code=self._process.returncode,
            stdout=self._captures[0].text(),
            stderr=self._captures[1].text(),
            duration_s=time.monotonic() - self._started,
        )

    def close(self) -> None:
        """Give all file descriptors back."""
        watcher.release_command(self._marker)
        if self._process is not None:
            for stream in (self._process.stdout, self._process.stderr):
                if stream is not None:
                    stream.close()
        self._selector.close()
        for fd in (self._exit_fd, self._wake_read, self._wake_write):
            if fd is not None:
                os.close(fd)

    def _start(self) -> None:
        command = self._command
        if not command.argv:
            raise ToolchainError("a command without a program", hint="Report this to the author of the builder.")
        if self._process is None:
            self._process = self._started_process()
        for stream, capture in zip((self._process.stdout, self._process.stderr), self._captures, strict=True):
            assert stream is not None  # noqa: S101 - for mypy: both are pipes
            os.set_blocking(stream.fileno(), False)
            self._selector.register(stream.fileno(), selectors.EVENT_READ, capture)
            self._open += 1
        self._selector.register(self._wake_read, selectors.EVENT_READ)
        if hasattr(os, "pidfd_open"):
            try:
                self._exit_fd = os.pidfd_open(self._process.pid)
                self._selector.register(self._exit_fd, selectors.EVENT_READ)
            except OSError:  # an old kernel or a sandbox without it: ask from time to time
                self._exit_fd = None

    def _started_process(self) -> subprocess.Popen[bytes]:
        command = self._command
        watcher.watch_command(0, self._marker)
        try:
            process = subprocess.Popen(
                command.argv,
                cwd=command.cwd,
                env={**command.environment, process_tree.MARKER_VARIABLE: self._marker_value},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                bufsize=0,
                start_new_session=True,
            )
        except (OSError, ValueError) as error:
            raise cannot_start(command, error) from error
        watcher.watch_command(process.pid, self._marker)
        return process

    def _wait(self) -> None:
        """Read output until the command has ended and its pipes are closed, or what it left behind is ended."""
        timeout = self._command.timeout_s
        deadline = None if timeout is None else self._started + timeout
        settled: float | None = None
        while True:
            if self._cancelled:
                self._end()
                raise self._cancellation()
            now = time.monotonic()
            if settled is None and self._has_exited():
                settled = now + SETTLE_S
            if settled is not None and (not self._open or now >= settled):
                break
            if settled is None and deadline is not None and now >= deadline:
                self._end()
                raise ToolTimeoutError(
                    f"{self._name} ran longer than {timeout:g} s and was ended",
                    hint="Raise build.local.timeout in the configuration if it needs more time.",
                    output=self._output(),
                )
            limits = [limit for limit in (deadline, settled) if limit is not None]
            self._pump(min(limits) - now if limits else None)
        self._leave_nothing_behind()

    def _pump(self, timeout_s: float | None) -> None:
        """Wait for output or for the end, at most so long."""
        if self._exit_fd is None:
            timeout_s = 0.02 if timeout_s is None else min(timeout_s, 0.02)
        for key, _ in self._selector.select(None if timeout_s is None else max(timeout_s, 0)):
            if key.data is None:  # the end, or a cancellation: said once, as it stays readable
                self._selector.unregister(key.fd)
                continue
            try:
                data = os.read(key.fd, _CHUNK)
            except BlockingIOError:
                continue
            if data:
                key.data.feed(data)
            else:
                self._selector.unregister(key.fd)
                self._open -= 1

    def _has_exited(self) -> bool:
        """True when the command has ended; it stays a zombie, so that its group id is still its own."""
        assert self._process is not None  # noqa: S101
        if self._process.returncode is not None:
            return True
        try:
            ended = os.waitid(os.P_PID, self._process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        except ChildProcessError:  # SIGCHLD is ignored here, the kernel has reaped it
            return True
        return ended is not None

    def _leave_nothing_behind(self) -> None:
        """End what still runs in the group after a normal end."""
        assert self._process is not None  # noqa: S101
        group = self._process.pid
        _signal_group(group, process_tree.SIGTERM)
        self._process.wait()
        deadline = time.monotonic() + GRACE_S
        while process_tree.group_alive(group):
            if time.monotonic() >= deadline:
                _signal_group(group, process_tree.SIGKILL)
                break
            time.sleep(0.01)

    def _end(self) -> None:
        """SIGTERM to the whole tree, output still read; after the grace, or on a second Ctrl-C, SIGKILL."""
        group = self._process.pid if self._process is not None else None
        try:
            process_tree.send(process_tree.SIGTERM, group, self._marker)
            self._grant_grace()
        except BaseException:  # noqa: BLE001, S110 - Ctrl-C again, or on_line raised: end it at once; the first cause is raised
            pass
        process_tree.kill_tree(group, self._marker)
        if self._process is not None:
            with contextlib.suppress(subprocess.TimeoutExpired):  # hangs in the kernel (a dead network mount)
                self._process.wait(5)

    def _grant_grace(self) -> None:
        if self._process is None:
            return
        deadline = time.monotonic() + GRACE_S
        while (left := deadline - time.monotonic()) > 0:
            self._pump(min(left, 0.02))
            if self._has_exited() and not process_tree.marked(self._marker):
                self._pump(0)  # its last words
                return

    def _output(self) -> str:
        for capture in self._captures:
            try:
                capture.close()
            except Exception:  # noqa: BLE001, S112 - the error about to be raised matters more
                continue
        return "\n".join(text for capture in self._captures if (text := capture.text().rstrip()))

    def _cancellation(self) -> CancelledError:
        return CancelledError(f"{self._name} was cancelled", output=self._output())

    @property
    def _name(self) -> str:
        return Path(self._command.argv[0]).name if self._command.argv else "the command"


def _signal_group(group: int, signal: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, signal)
