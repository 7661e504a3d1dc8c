"""Shows a build in a registry while it goes on: place in the queue, steps of every platform, what they print."""

from __future__ import annotations

import threading
import time
from collections import deque
from datetime import UTC, datetime

from flowctl_core.cli.console import inform
from flowctl_core.cli.summary import duration_text
from flowctl_core.client.builds import show_build
from flowctl_core.client.following import follow_log
from flowctl_core.client.session import Session
from flowctl_core.errors import BuildFailedError, CancelledError, FlowctlError, RemoteError, UnreachableError
from flowctl_core.models.remote_build import ENDED, RemoteBuild, RemoteStep

_LOOK_S = 1.0
_GIVE_UP_S = 900.0
_REST_S = 5.0
"""For the last lines of the log, behind the end of the build."""
_TAIL = 40


def watch(session: Session, build: RemoteBuild, *, logs: bool = True) -> RemoteBuild:
    """Follow a build to its end and return it as it then is, whatever became of it.

    Ctrl-C leaves it going on. Raises CancelledError for that, RemoteError when the registry stays away.
    """
    watcher = _Watcher(session, build.id, show=logs)
    try:
        return watcher.run(build)
    except KeyboardInterrupt:
        raise CancelledError(
            f"no longer following build {build.id}, which goes on in the registry",
            hint=f"Follow it: `flowctl build logs -f {build.id}`; end it: `flowctl build cancel {build.id}`.",
        ) from None
    finally:
        watcher.stop()


def require_success(build: RemoteBuild, tail: str | None = None) -> None:
    """Raise BuildFailedError for a build that failed or was cancelled, with the last lines of what it printed."""
    if build.state == "succeeded":
        return
    problem = build.problem
    if build.state == "cancelled" or problem is None:
        raise BuildFailedError(
            f"build {build.id} of {build.what} {'was cancelled' if build.state == 'cancelled' else build.state}",
            hint=f"`flowctl build retry {build.id}` tries it again.",
        )
    where = f" in {problem.step} {problem.platform or ''}".rstrip() if problem.step else ""
    again = f"`flowctl build retry {build.id}` tries it again" if problem.transient else ""
    log = f"all it printed: `flowctl build logs {build.id}`"
    advice = [part for part in (problem.hint, "; ".join(part for part in (again, log) if part)) if part]
    raise BuildFailedError(
        f"build {build.id} of {build.what} failed{where}: {problem.message}",
        hint="\n".join(advice),
        output=problem.output or tail,
    )


def duration(build: RemoteBuild) -> str:
    """How long it ran, or has run."""
    began = build.started_at or build.created_at
    return duration_text(((build.finished_at or datetime.now(UTC)) - began).total_seconds())


def outcome(build: RemoteBuild) -> str:
    """`acme/greeting 1.2.0: succeeded after 34 s`."""
    return f"{build.what}: {build.state} after {duration(build)}"


class _Watcher:
    def __init__(self, session: Session, build_id: str, *, show: bool) -> None:
        self._session = session
        self._id = build_id
        self._show = show
        self._tail: deque[str] = deque(maxlen=_TAIL)
        self._partial: dict[str, str] = {}
        self._told: dict[tuple[str, str | None, int], str] = {}
        self._waits = ""
        self._failure: RemoteError | None = None
        self._ended = threading.Event()
        self._stopping = False
        self._thread = threading.Thread(target=self._follow, name="log", daemon=True)

    @property
    def tail(self) -> str | None:
        return "\n".join(self._tail) or None

    def run(self, build: RemoteBuild) -> RemoteBuild:
        self._thread.start()
        answered = time.monotonic()
        while True:
            try:
                build = show_build(self._session, self._id)
                answered = time.monotonic()
            except UnreachableError:
                if time.monotonic() - answered > _GIVE_UP_S:
                    raise
            self._tell(build)
            if build.state in ENDED:
                self._thread.join(_REST_S)
                self._flush()
                require_success(build, self.tail)
                return build
            self._ended.wait(_LOOK_S)
            if self._ended.is_set():
                time.sleep(0.1)  # the log has ended, or cannot be read: the build itself is asked

    def stop(self) -> None:
        self._stopping = True

    def _follow(self) -> None:
        try:
            for piece in follow_log(self._session, self._id, lost=self._lost):
                if self._stopping:
                    return
                label = f"{piece.step} {piece.platform or ''}".rstrip()
                *whole, rest = (self._partial.pop(label, "") + piece.text).split("\n")
                if rest:
                    self._partial[label] = rest
                for line in whole:
                    self._line(label, line)
        except FlowctlError as error:
            if not self._stopping:
                inform(f"the log cannot be followed any more: {error.message}")
        finally:
            self._ended.set()

    def _flush(self) -> None:
        for label, rest in self._partial.items():
            self._line(label, rest)
        self._partial.clear()

    def _line(self, label: str, line: str) -> None:
        self._tail.append(line)
        if self._show:
            inform(f"{label} | {line}")

    def _lost(self, error: RemoteError) -> None:
        if not self._stopping:
            inform(f"connection lost ({error.message}); the build goes on, trying again")

    def _tell(self, build: RemoteBuild) -> None:
        if build.state == "queued":
            soon = f", starts in about {duration_text(build.estimate_s)}" if build.estimate_s else ""
            waits = f"waiting, place {build.position or 1} in the queue{soon}"
            if self._waits.partition(",")[0] != waits.partition(",")[0] or build.position != self._place:
                inform(waits)
            self._waits, self._place = waits, build.position
        for step in build.steps:
            key = (step.step, step.platform, step.attempt)
            if self._told.get(key) != step.state:
                self._told[key] = step.state
                inform(f"==> {_step_text(step)}")

    _place: int | None = None


def _step_text(step: RemoteStep) -> str:
    if step.state == "running":
        again = f" (try {step.attempt})" if step.attempt > 1 else ""
        return f"{step.label}{again}"
    took = ""
    if step.ended_at is not None:
        took = f" after {duration_text((step.ended_at - step.started_at).total_seconds())}"
    why = f": {step.problem.message}" if step.problem is not None else ""
    return f"{step.label}: {step.state}{took}{why}"
