"""Started outside for each run: joins its cgroups, gives up root, becomes the sandbox. Standard library only.

It is run by its path, `launch.py FD`, and reads its order as JSON from the descriptor. It dies with the process that
started it, which `--die-with-parent` continues.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import sys
from typing import Any

_PR_SET_PDEATHSIG = 1
_CLONE_NEWNS = 0x20000
_MS_BIND, _MS_REC, _MS_PRIVATE, _MS_NOSUID, _MS_NODEV = 0x1000, 0x4000, 0x40000, 2, 4
_STAGE = "/tmp"  # noqa: S108 - of a mount namespace of its own, on a file system of its own


def main(fd: int) -> None:
    """Do as told; never returns."""
    with os.fdopen(fd) as file:
        order: dict[str, Any] = json.load(file)
    libc = ctypes.CDLL(None, use_errno=True)
    _die_with(order["parent"], libc)
    for procs in order["cgroups"]:
        with open(procs, "w") as file:  # noqa: PTH123 - nothing imported that is not needed
            file.write("0")
    if order.get("user"):
        _stage(order["sources"], libc)
        uid, gid = order["user"]
        os.setgroups([])
        os.setresgid(gid, gid, gid)
        os.setresuid(uid, uid, uid)
        _die_with(order["parent"], libc)  # a change of user forgets it
    os.execv(order["argv"][0], order["argv"])  # noqa: S606 - this is what it is for


def _die_with(parent: int, libc: ctypes.CDLL) -> None:
    libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:  # it died before
        os._exit(137)


def _stage(sources: list[str], libc: ctypes.CDLL) -> None:
    """Mount what the sandbox gets where its user can name it: the way there may be closed to that user."""

    def mount(source: str, target: str, kind: str | None, flags: int) -> None:
        encoded = [None if text is None else os.fsencode(text) for text in (source, target, kind)]
        if libc.mount(*encoded, ctypes.c_ulong(flags), b"mode=755" if kind else None):
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number), target)

    if libc.unshare(_CLONE_NEWNS):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), "unshare")
    mount("none", "/", None, _MS_REC | _MS_PRIVATE)
    opened = [os.open(source, os.O_PATH | os.O_NOFOLLOW) for source in sources]
    mount("tmpfs", _STAGE, "tmpfs", _MS_NOSUID | _MS_NODEV)
    for number, source in enumerate(opened):
        target = f"{_STAGE}/{number}"
        if os.path.isdir(f"/proc/self/fd/{source}"):  # noqa: PTH112 - nothing imported that is not needed
            os.mkdir(target)  # noqa: PTH102
        else:
            os.close(os.open(target, os.O_CREAT | os.O_WRONLY))
        mount(f"/proc/self/fd/{source}", target, None, _MS_BIND | _MS_REC)
        os.close(source)


if __name__ == "__main__":
    try:
        main(int(sys.argv[1]))
    except (OSError, ValueError) as error:
        sys.stderr.write(f"flowctl sandbox: {error}\n")
        sys.stderr.flush()
        os._exit(125)
