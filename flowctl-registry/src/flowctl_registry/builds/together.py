"""Platforms of one build that a worker does together: one sandbox and one process build them, as by hand.

Each is a step of its own, with its own thread, log and outcome; the first to come does the work for all of them.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Mapping

from flowctl_core.errors import CancelledError, FlowctlError
from flowctl_registry.builds.jobs import Answer, StepCall

_GATHER_S = 1.0
"""How long the first waits for the others: their threads start with it, but each first records that it began."""

Work = Callable[[Mapping[str, StepCall], threading.Event], Mapping[str, Answer]]
"""Builds for the platforms of these calls; the answer of each. The event is set when one of them is to end."""


class Together:
    """Brings the calls of one worker together."""

    def __init__(self) -> None:
        self._groups: dict[str, _Group] = {}
        self._lock = threading.Lock()

    def do(self, call: StepCall, expected: Collection[str], work: Work) -> Answer:
        """The answer for the platform of this call, of which `expected` (this one too) are about to be asked for.

        Raises what the work raises; CancelledError where that names other platforms only.
        """
        with self._lock:
            group = self._groups.get(call.build_id)
            leads = group is None or not group.join(call)
            if group is None or leads:
                group = self._groups[call.build_id] = _Group(call)
        if leads:
            group.gather(expected)
            with self._lock:
                calls = group.close()
                if self._groups.get(call.build_id) is group:
                    del self._groups[call.build_id]
            group.run(work, calls)
        return group.answer(call.platform)


class _AnyOf(threading.Event):
    """Set when one of some others is."""

    def __init__(self, events: Collection[threading.Event]) -> None:
        super().__init__()
        self._events = events

    def is_set(self) -> bool:
        return super().is_set() or any(event.is_set() for event in self._events)


class _Group:
    def __init__(self, first: StepCall) -> None:
        self._calls = {first.platform: first}
        self._changed = threading.Condition()
        self._closed = False
        self._over = threading.Event()
        self._answers: Mapping[str, Answer] = {}
        self._failure: BaseException | None = None

    def join(self, call: StepCall) -> bool:
        """Be done with the others. False: it is too late, or this platform is among them already."""
        with self._changed:
            if self._closed or call.platform in self._calls:
                return False
            self._calls[call.platform] = call
            self._changed.notify_all()
            return True

    def gather(self, expected: Collection[str]) -> None:
        """Wait for all that are expected, but not long."""
        deadline = time.monotonic() + _GATHER_S
        with self._changed:
            while not set(expected) <= self._calls.keys() and (left := deadline - time.monotonic()) > 0:
                self._changed.wait(left)

    def close(self) -> Mapping[str, StepCall]:
        """Let nobody join any more; those that did."""
        with self._changed:
            self._closed = True
            return dict(sorted(self._calls.items()))

    def run(self, work: Work, calls: Mapping[str, StepCall]) -> None:
        """Do the work, and let the others go on."""
        try:
            self._answers = work(calls, _AnyOf([call.cancelled for call in calls.values()]))
        except BaseException as error:  # noqa: BLE001 - each call raises it, this one too
            self._failure = error
        finally:
            self._over.set()

    def answer(self, platform: str) -> Answer:
        """Wait for the end."""
        self._over.wait()
        failure = self._failure
        if failure is None:
            return self._answers[platform]
        if isinstance(failure, FlowctlError) and not _is_about(failure, platform, self._calls):
            raise CancelledError("another platform could not be built")
        raise failure


def _is_about(failure: FlowctlError, platform: str, platforms: Collection[str]) -> bool:
    """Whether a failure is this platform's: of several, the build host begins a line with each that failed."""
    named = [each for each in platforms if f"\n{each}: " in failure.message]
    return not named or platform in named
