"""Reads what a component writes to its stdout and gives its events to every edge that leaves it."""

from __future__ import annotations

import contextlib
import os
import select
import threading
from typing import Protocol

from flowctl_core.dev.edges.batch import Batch
from flowctl_core.dev.edges.dead_letters import DeadLetters
from flowctl_core.dev.edges.lines import LINE_LIMIT, LineSieve, Sifted
from flowctl_core.dev.edges.pipes import PIPE_SIZE, widen

_READ_SIZE = PIPE_SIZE


class Outlet(Protocol):
    """What takes a tap's events: an edge, a recording."""

    def push(self, batch: Batch) -> None:
        """Take a batch; may wait, which makes the component wait."""

    def finish(self) -> None:
        """Nothing more will come."""


class Tap:
    """One a component with outputs; its processes come and go, the sequence of its events goes on.

    `drained` is set while no attached output is open: all that the processes so far have written is with the outlets.
    """

    def __init__(self, component: str, dead_letters: DeadLetters, *, line_limit: int = LINE_LIMIT) -> None:
        self.component = component
        self.events = 0
        self.bytes = 0
        self.dead_letters = 0
        self.drained = threading.Event()
        self.drained.set()
        self._dead_letters = dead_letters
        self._line_limit = line_limit
        self._outlets: list[Outlet] = []
        self._publishing = threading.Lock()
        self._readings: set[_Reading] = set()
        self._changing = threading.Lock()

    def connect(self, outlet: Outlet) -> None:
        """Give all further events to this outlet as well."""
        with self._publishing:
            self._outlets = [*self._outlets, outlet]

    def attach(self, fd: int) -> None:
        """Read this output until it ends, in a thread of its own; the tap closes it.

        Several may be open at once (replicas): their events interleave at line ends.
        """
        reading = _Reading(fd, self, LineSieve(line_limit=self._line_limit))
        with self._changing:
            self._readings.add(reading)
            self.drained.clear()
        reading.start()

    def abandon(self) -> None:
        """Read no further, though a stray child may hold an output open; `drained` is set soon after."""
        with self._changing:
            for reading in self._readings:
                reading.abandon()

    def finish(self) -> None:
        """No process of this component will ever run again; outlets that have passed everything on end as well."""
        for outlet in self._outlets:
            outlet.finish()

    def publish(self, sifted: Sifted) -> None:
        """Number these events and give them to all outlets."""
        if sifted.bad:
            self.dead_letters += len(sifted.bad)
            self._dead_letters.write(self.component, sifted.bad)
        if not sifted.count:
            return
        with self._publishing:
            batch = Batch(sifted.data, sifted.count, self.events + 1)
            self.events += batch.count
            self.bytes += len(batch.data)
            for outlet in self._outlets:
                outlet.push(batch)

    def _ended(self, reading: _Reading) -> None:
        with self._changing:
            self._readings.discard(reading)
            if not self._readings:
                self.drained.set()


class _Reading(threading.Thread):
    """One open output."""

    def __init__(self, fd: int, tap: Tap, sieve: LineSieve) -> None:
        super().__init__(name=f"tap {tap.component}", daemon=True)
        self._fd = fd
        self._tap = tap
        self._sieve = sieve
        self._woken, self._waker = os.pipe()
        widen(fd)

    def run(self) -> None:
        poll = select.poll()
        poll.register(self._fd, select.POLLIN)
        poll.register(self._woken, select.POLLIN)
        try:
            while all(fd != self._woken for fd, _ in poll.poll()):
                try:
                    chunk = os.read(self._fd, _READ_SIZE)
                except OSError:  # a terminal's way to say that it ended; a connection that broke
                    break
                if not chunk:
                    break
                self._tap.publish(self._sieve.feed(chunk))
            self._tap.publish(self._sieve.close())
        finally:
            for fd in (self._fd, self._woken, self._waker):
                with contextlib.suppress(OSError):
                    os.close(fd)
            self._tap._ended(self)

    def abandon(self) -> None:
        with contextlib.suppress(OSError):
            os.write(self._waker, b"!")
