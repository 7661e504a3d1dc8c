"""One process at a time in a component's folder."""

from __future__ import annotations

import errno
import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from flowctl_core.errors import LockedError
from flowctl_core.store.files import LOCK_FILE, make_state_dir, system_refusals

_FIRST_WAIT_S = 0.005
_LONGEST_WAIT_S = 0.25


@contextmanager
def component_lock(
    source_root: Path,
    *,
    timeout_s: float = 600.0,
    on_wait: Callable[[int | None], None] | None = None,
    held: int | None = None,
) -> Iterator[None]:
    """Hold `<source_root>/.flowctl/lock` while the body runs.

    Waits up to `timeout_s` seconds for another process; `on_wait` is called once with that process's id (None
    when unknown) when there is something to wait for. `held` is a descriptor by which this process holds the lock
    already; it is closed in the end. The kernel releases the lock when its holder ends,
    however it ends. Raises LockedError after the timeout, StoreError when the folder cannot be written.
    """
    path = make_state_dir(source_root) / LOCK_FILE
    with file_lock(
        path,
        what=str(source_root),
        timeout_s=timeout_s,
        on_wait=on_wait,
        remake=lambda: make_state_dir(source_root),
        held=held,
    ):
        yield


@contextmanager
def file_lock(
    path: Path,
    *,
    what: str,
    timeout_s: float,
    on_wait: Callable[[int | None], None] | None = None,
    shared: bool = False,
    remake: Callable[[], object] | None = None,
    held: int | None = None,
) -> Iterator[None]:
    """Hold a lock file; `what` names the locked thing in the error.

    `shared` lets in others that are shared as well, and leaves the holder's id in the file alone. `remake` makes the
    folder of the lock file again when somebody removes it. `held`: see component_lock.
    """
    began = time.monotonic()
    with system_refusals(path, "locked"):
        while True:
            try:
                fd, held = _open(path) if held is None else held, None
            except FileNotFoundError:
                if remake is None:
                    raise
                remake()
                continue
            try:
                _acquire(fd, fcntl.LOCK_SH if shared else fcntl.LOCK_EX, what, began, timeout_s, on_wait)
                if _is_at(fd, path):
                    break
            except BaseException:
                os.close(fd)
                raise
            os.close(fd)  # removed with its folder while we waited: the name has another file now
    try:
        with system_refusals(path, "locked"):
            if not shared:
                # For the message of those who wait; a full disk must not be in the way of a lock.
                with suppress(OSError):
                    os.truncate(fd, 0)
                    os.pwrite(fd, b"%d\n" % os.getpid(), 0)
        yield
    finally:
        os.close(fd)


def _open(path: Path) -> int:
    flags = os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT | flags, 0o666)
    except OSError as error:
        if error.errno not in (errno.EACCES, errno.EROFS):
            raise
        try:  # what became read-only can still be found to be up to date
            return os.open(path, os.O_RDONLY | flags)
        except OSError:
            raise error from None


def _acquire(
    fd: int,
    kind: int,
    what: str,
    began: float,
    timeout_s: float,
    on_wait: Callable[[int | None], None] | None,
) -> None:
    wait = _FIRST_WAIT_S
    told = False
    while True:
        try:
            fcntl.flock(fd, kind | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            pass
        holder = _holder(fd)
        waited = time.monotonic() - began
        if waited >= timeout_s:
            who = f"process {holder}" if holder else "another process"
            raise LockedError(
                f"{what} is in use by {who}; waited {waited:.1f} s",
                hint="Wait for it to finish, or end it, and try again.",
            )
        if not told and on_wait is not None:
            on_wait(holder)
            told = True
        time.sleep(min(wait, max(timeout_s - waited, 0.001)))
        wait = min(wait * 2, _LONGEST_WAIT_S)


def _is_at(fd: int, path: Path) -> bool:
    """True when the open file is still the one of that name."""
    try:
        return os.path.samestat(os.fstat(fd), path.lstat())
    except FileNotFoundError:
        return False


def _holder(fd: int) -> int | None:
    """The process id in the lock file."""
    with suppress(OSError, ValueError):
        return int(os.pread(fd, 32, 0))
    return None
