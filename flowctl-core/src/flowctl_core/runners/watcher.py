"""The process that ends running commands when flowctl is killed with a signal it cannot catch.

PR_SET_PDEATHSIG would only reach direct children and fires when the thread that started them ends; so one small
watcher process, shared by all commands of this process and started with the first of them, holds the other end of a
pipe: when flowctl dies in whatever way, the pipe closes and the watcher ends what still runs.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading

from flowctl_core.runners import process_tree

_lock = threading.Lock()
_running: dict[str, int] = {}
_watcher: subprocess.Popen[bytes] | None = None
_owner = 0


def watch_command(group: int, marker: str) -> None:
    """From now on the command dies with flowctl; group 0: it is about to start."""
    with _lock:
        _running[marker] = group
        _tell(f"+ {group} {marker}\n")


def release_command(marker: str) -> None:
    """The command has ended."""
    with _lock:
        group = _running.pop(marker, None)
        if group is not None:
            _tell(f"- {group} {marker}\n")


def _tell(line: str) -> None:
    """Write one line to the watcher; when there is none (first use, after a fork, killed) start one with all lines."""
    global _watcher, _owner
    if _watcher is not None and _owner == os.getpid() and _write(_watcher, line):
        return
    if _owner != os.getpid():  # a fork: what runs is the parent's
        for marker in [m for m in _running if m not in line]:
            del _running[marker]
    _owner = os.getpid()
    if not _running:
        return
    try:
        _watcher = subprocess.Popen(
            [sys.executable, "-I", "-S", process_tree.__file__, str(_owner)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd="/",
            env={},  # without the markers of a flowctl above this one: it must outlive us
            start_new_session=True,  # the terminal's Ctrl-C is not for it
            bufsize=0,
        )
    except OSError:  # no process left to start: the command itself will say so
        _watcher = None
        return
    _write(_watcher, "".join(f"+ {group} {marker}\n" for marker, group in _running.items()))


def _write(watcher: subprocess.Popen[bytes], text: str) -> bool:
    stream = watcher.stdin
    try:
        if stream is None or watcher.poll() is not None:
            return False
        stream.write(text.encode())
    except OSError:  # it was killed
        return False
    return True
