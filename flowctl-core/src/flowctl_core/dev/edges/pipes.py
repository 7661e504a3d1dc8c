"""What a pipe between flowctl and a component can do."""

from __future__ import annotations

import contextlib
import fcntl
import os
import stat
import struct
import termios

PIPE_SIZE = 2**20
"""Bytes that a pipe is asked to hold: what Linux lets anybody ask for."""

_SET_PIPE_SIZE = getattr(fcntl, "F_SETPIPE_SZ", None)


def widen(fd: int) -> None:
    """Let the pipe hold PIPE_SIZE bytes where the system can and the user's share of it is not used up."""
    if _SET_PIPE_SIZE is not None:
        with contextlib.suppress(OSError):
            fcntl.fcntl(fd, _SET_PIPE_SIZE, PIPE_SIZE)


def unread_bytes(fd: int) -> int:
    """Bytes that were written to the pipe and never read; 0 where the system does not tell (no Linux, no pipe)."""
    try:
        if not stat.S_ISFIFO(os.fstat(fd).st_mode):
            return 0
        return int(struct.unpack("i", fcntl.ioctl(fd, termios.FIONREAD, b"\0" * 4))[0])
    except OSError:
        return 0


def open_other_end(fd: int) -> int | None:
    """The reading end of the pipe that `fd` writes to, for us as well; None where there is no such way (no Linux)."""
    try:
        return os.open(f"/proc/self/fd/{fd}", os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None
