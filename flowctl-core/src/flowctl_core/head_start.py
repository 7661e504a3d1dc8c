"""The toolchain's head start: its command begins while the engine is still being loaded.

When the stamp (see `flowctl_core.noop`) says that only source files differ from the last build, that build's command is
most likely the next one's too. It is started at once, into a staging folder of its own, under the component's lock. The
engine then takes its whole way, detection, plan, digests and all, as if nothing ran; only where it would start that
very command (arguments, folder, environment) does it take over the one that runs, and only if no input looks different
from before the start. In every other case the command is ended and what it made is removed. So the answers are the
engine's; a test holds them to it.

Only commands of which their builder says that they can begin early (`Command.early`) are started, and none where a
plugin wraps hooks, which might forbid the build.
"""

# ruff: noqa: PTH102, PTH106, PTH112
# pathlib would cost the toolchain several milliseconds of its head start
from __future__ import annotations

import os

from flowctl_core.noop import fingerprint

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from flowctl_core.runners.early import EarlyCommand

STATE = ".flowctl"
_COARSE_NS = 2_000_000_000
"""Assumed of a file system whose times are whole seconds."""

_begun: HeadStart | None = None


class HeadStart:
    """A command under way, and what was seen before it began."""

    def __init__(
        self, command: EarlyCommand, staging: str, lock: int, seen: dict[str, list[int] | None], born: int
    ) -> None:
        """`lock` is the descriptor that holds the component's lock, `born` the file system's time before `seen`."""
        self.command = command
        self.staging = staging
        self._lock: int | None = lock
        self._seen = seen
        self._born = born
        self._dropped = False

    def give_lock(self) -> int | None:
        """The descriptor that holds the component's lock; from now on the caller closes it."""
        lock, self._lock = self._lock, None
        return lock

    def fits(self, inputs: Iterable[str]) -> bool:
        """True when the command has read exactly what is there now: nothing changed since before it began.

        `inputs` are the paths that decide about the build now. A file as young as the start may have been written
        again within the same tick (git's racy-timestamp rule), so it does not count as unchanged.
        """
        return all(path in self._seen for path in inputs) and all(
            fingerprint(path) == state and (state is None or self._is_older(max(state[2], state[3])))
            for path, state in self._seen.items()
        )

    def _is_older(self, time: int) -> bool:
        return time < self._born and (time % 1_000_000_000 != 0 or time < self._born - _COARSE_NS)

    def drop(self) -> None:
        """End the command and remove what it made, unless it was taken over; let go of the lock."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None
        if not self._dropped:
            self._dropped = True
            self.command.end()
            from shutil import rmtree

            rmtree(self.staging, ignore_errors=True)

    def taken_over(self) -> None:
        """From now on somebody else ends the command."""
        self._dropped = True


def take() -> HeadStart | None:
    """What `begin` began, if anything; the caller drops it in the end."""
    global _begun
    begun, _begun = _begun, None
    return begun


def begin(stamp: dict[str, Any], here: str) -> None:
    """Start the last build's command, if the stamp has one and only source files changed.

    `stamp` is the loaded stamp of the folder `here`, of which version, environment and names of files have been found
    to be right. Raises OSError, ValueError and KeyError; nothing is left behind then.
    """
    recorded = stamp["early"]
    if recorded is None or any(fingerprint(path) != state for path, state in recorded["firm"]):
        return
    environment = {**{name: os.environ[name] for name in recorded["inherited"]}, **recorded["set"]}
    if (state := fingerprint(STATE)) is None or state[0] & 0o170000 != 0o040000:
        return
    lock = _lock()
    staging = f"{here}/{STATE}/staging-{os.getpid()}"
    command = None
    try:
        os.mkdir(staging)
        made = os.lstat(staging)
        if made.st_dev == os.lstat(here).st_dev:
            seen = {path: fingerprint(path) for path, _ in stamp["inputs"]}
            from flowctl_core.runners.early import EarlyCommand

            argv = [argument.replace(recorded["staging"], staging) for argument in recorded["argv"]]
            command = EarlyCommand(argv, recorded["cwd"], environment)
            global _begun
            _begun = HeadStart(command, staging, lock, seen, made.st_mtime_ns)
    finally:
        if command is None:
            os.close(lock)
            if os.path.isdir(staging):
                os.rmdir(staging)


def _lock() -> int:
    """The component's lock. Raises OSError when another process has it."""
    from fcntl import LOCK_EX, LOCK_NB, flock

    name = f"{STATE}/lock"
    lock = os.open(name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK, 0o666)
    try:
        flock(lock, LOCK_EX | LOCK_NB)
        if not os.path.samestat(os.fstat(lock), os.lstat(name)):
            raise OSError("the lock was removed meanwhile")
        os.truncate(lock, 0)
        os.pwrite(lock, b"%d\n" % os.getpid(), 0)
    except OSError:
        os.close(lock)
        raise
    return lock
