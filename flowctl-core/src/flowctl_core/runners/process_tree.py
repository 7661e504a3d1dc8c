"""Ends a command's whole process tree: its group, and what left the group; also when flowctl itself is killed.

Every command runs in a session of its own and carries a marker in its environment (`MARKER_VARIABLE`), which its
descendants inherit. On Linux those that left the group with setsid are found by the marker in /proc; elsewhere the
group alone is ended.

Run as a program (`python -I -S process_tree.py <parent pid>`) this file is the watcher: it reads on stdin which
commands run, and when flowctl dies with some of them still running it ends these. It imports almost nothing, so that
it starts in milliseconds.
"""

from __future__ import annotations

import os
import sys
import time

TYPE_CHECKING = False
if TYPE_CHECKING:  # without importing typing, which would double the watcher's start time
    from collections.abc import Callable

MARKER_VARIABLE = "FLOWCTL_COMMAND_ID"
SIGTERM, SIGKILL = 15, 9
_ROUNDS = 20
_START_S = 1.0


def marked(marker: str) -> list[int]:
    """Process ids whose environment carries the marker, without zombies; [] where there is no /proc."""
    try:
        names = os.listdir("/proc")  # noqa: PTH208 - pathlib would double the watcher's start time
    except OSError:
        return []
    own, found = os.getpid(), []
    for name in names:
        if name.isdigit() and int(name) != own and marker in _markers_of(name):
            found.append(int(name))
    return found


def _markers_of(pid: str) -> list[str]:
    """The markers in a process's environment: one for each flowctl above it, outermost first."""
    try:
        with open(f"/proc/{pid}/environ", "rb") as file:  # noqa: PTH123
            content = b"\0" + file.read()
    except OSError:  # gone, or another user's
        return []
    _, found, rest = content.partition(b"\0" + MARKER_VARIABLE.encode() + b"=")
    return rest.split(b"\0", 1)[0].decode(errors="replace").split("/") if found else []


def group_alive(group: int) -> bool:
    """True while the process group has a member that is no zombie; a container's init may never reap those."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # a member changed its user
        return True
    try:
        names = os.listdir("/proc")  # noqa: PTH208
    except OSError:
        return True
    return any(name.isdigit() and _lives_in(name, group) for name in names)


def _lives_in(pid: str, group: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:  # noqa: PTH123
            state, _, its_group, *_ = file.read().rpartition(b")")[2].split()
    except (OSError, ValueError):
        return False
    return int(its_group) == group and state not in (b"Z", b"X")


def send(signal: int, group: int | None, marker: str) -> None:
    """Send a signal to the group and to every marked process outside it, once each."""
    if group is not None:
        _signal(os.killpg, group, signal)
    for pid in marked(marker):
        # The group has had it: many tools take a second SIGTERM for impatience.
        if group is None or _group_of(pid) != group:
            _signal(os.kill, pid, signal)


def _signal(call: Callable[[int, int], None], target: int, signal: int) -> None:
    try:
        call(target, signal)
    except (ProcessLookupError, PermissionError):  # gone meanwhile, or another user's
        return


def _group_of(pid: int) -> int | None:
    try:
        return os.getpgid(pid)
    except ProcessLookupError:
        return None


def kill_tree(group: int | None, marker: str) -> None:
    """SIGKILL until nobody is left; more than once, as a process may have forked meanwhile."""
    for _ in range(_ROUNDS):
        send(SIGKILL, group, marker)
        if not marked(marker):
            return
        time.sleep(0.005)


def watch(parent: int) -> None:
    """The watcher: read `+ <group> <marker>` and `- <group> <marker>` lines; when flowctl has gone, end what runs.

    Group 0 says that a command is about to start: flowctl may die before it knows the group.
    """
    from select import select

    running: dict[str, int] = {}
    rest = b""
    while os.getppid() == parent:
        # The timeout is for the case that another process inherited flowctl's end of the pipe.
        readable, _, _ = select([0], [], [], 1.0 if running else None)
        if not readable:
            continue
        data = os.read(0, 65536)
        rest = _apply(rest + data, running)
        if not data:
            break
    else:  # flowctl died before its last lines were read
        os.set_blocking(0, False)
        try:
            while data := os.read(0, 65536):
                rest = _apply(rest + data, running)
        except BlockingIOError:
            pass
    for marker, group in running.items():
        if group:
            kill_tree(group, marker)
        else:
            _kill_starting(marker)


def _kill_starting(marker: str) -> None:
    """The command may carry its marker only in a moment, when it has got from fork to exec."""
    deadline = time.monotonic() + _START_S
    while time.monotonic() < deadline:
        kill_tree(None, marker)
        time.sleep(0.01)


def _apply(data: bytes, running: dict[str, int]) -> bytes:
    *lines, rest = data.split(b"\n")
    for line in lines:
        sign, group, marker = line.decode().split(" ")
        if sign == "+":
            running[marker] = int(group)
        else:
            running.pop(marker, None)
    return rest


if __name__ == "__main__":
    watch(int(sys.argv[1]))
