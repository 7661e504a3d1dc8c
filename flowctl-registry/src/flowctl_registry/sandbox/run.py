"""Runs a command in a sandbox to its end, whatever it tries."""

from __future__ import annotations

import selectors
import threading
import time
from collections.abc import Callable

from flowctl_registry.errors import SandboxError
from flowctl_registry.sandbox.confinement import Confinement, Outcome, Reached, Running, Sandbox
from flowctl_registry.sandbox.disk import DiskWatch

_TICK_S = 0.1
"""How often limits and the cancellation are looked at while nothing is printed."""
_SETTLE_S = 2.0
"""How long output may be under way after the end; it ends itself where no process is left."""
_END_S = 10.0
"""How long killed processes may take to be gone; the kernel needs milliseconds."""


def run(
    sandbox: Sandbox,
    confinement: Confinement,
    argv: list[str],
    output: Callable[[bytes], None],
    cancelled: threading.Event,
) -> Outcome:
    """Run the command; when this returns or raises, none of its processes is left.

    `output` gets what the command prints, both streams merged, in the calling thread, up to the limit. Call it in a
    thread that lives as long as the run: the command dies with the thread that started it. Raises SandboxError when
    the sandbox cannot be made, and what `output` raises.
    """
    disk = DiskWatch(confinement)
    began = time.monotonic()
    running = sandbox.start(confinement, argv)
    try:
        return _Watch(confinement, running, disk, began, output, cancelled).until_end()
    finally:
        running.close()


class _Watch:
    def __init__(
        self,
        confinement: Confinement,
        running: Running,
        disk: DiskWatch,
        began: float,
        output: Callable[[bytes], None],
        cancelled: threading.Event,
    ) -> None:
        self._limits = confinement.limits
        self._running = running
        self._disk = disk
        self._began = began
        self._output = output
        self._cancelled = cancelled
        self._printed = 0
        self._reached: Reached | None = None

    def until_end(self) -> Outcome:
        code: int | None = None
        killed_at: float | None = None
        open_ = True
        with selectors.DefaultSelector() as selector:
            selector.register(self._running, selectors.EVENT_READ)
            looked = ended_at = 0.0
            while code is None or open_:
                if not open_:
                    time.sleep(_TICK_S / 10)  # it closed its output, or is about to be gone
                elif selector.select(_TICK_S):
                    open_ = self._read()
                    if not open_:
                        selector.unregister(self._running)
                elif code is not None and time.monotonic() - ended_at > _SETTLE_S:
                    break  # all processes are gone: nobody else prints
                now = time.monotonic()
                if now - looked >= _TICK_S or not open_:
                    looked = now
                    if code is None and (code := self._running.poll()) is not None:
                        ended_at = now
                    if code is None and self._reached is None:
                        self._reached = self._limit(now)
                if self._reached is not None and code is None:
                    if killed_at is None:
                        killed_at = now
                    self._running.kill()  # again each time: a fork may have been quicker
                    if now - killed_at > _END_S:
                        raise SandboxError(
                            "processes of the sandbox cannot be ended", hint="Look at the kernel's log: `dmesg`."
                        )
        return self._outcome(code)

    def _read(self) -> bool:
        data = self._running.read()
        if not data:
            return False
        left = self._limits.output_bytes - self._printed
        self._printed += len(data)
        if left > 0:
            self._output(data[:left])
        if len(data) > left and self._reached is None:
            self._reached = "output"
        return True

    def _limit(self, now: float) -> Reached | None:
        if self._cancelled.is_set():
            return "cancelled"
        usage = self._running.usage()
        if usage.reached:
            return usage.reached
        if usage.cpu_s is not None and usage.cpu_s > self._limits.cpu_s:
            return "cpu"
        if now - self._began > self._limits.wall_s:
            return "wall"
        return "disk" if self._disk.is_over(now, self._running.processes()) else None

    def _outcome(self, code: int) -> Outcome:
        usage = self._running.usage()
        reached = self._reached or usage.reached
        if reached is None and code != 0:
            # Limits of one process show as its failure: a signal, or an error that a tool made of it.
            if code == 128 + 24 or (usage.cpu_s is not None and usage.cpu_s >= self._limits.cpu_s):  # SIGXCPU
                reached = "cpu"
            elif code == 128 + 25 or self._disk.has_full_file():  # SIGXFSZ
                reached = "disk"
        return Outcome(
            exit_code=None if reached else code, reached=reached, wall_s=time.monotonic() - self._began,
            cpu_s=usage.cpu_s, peak_bytes=usage.peak_bytes,
        )  # fmt: skip
