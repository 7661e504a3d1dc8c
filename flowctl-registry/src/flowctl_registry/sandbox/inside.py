"""The first program in a sandbox: sets limits, starts the relay, becomes the command. Standard library only.

It is run by its path, by a Python that may be another than the registry's: `inside.py JSON COMMAND...`.
"""

from __future__ import annotations

import base64
import json
import os
import resource
import signal
import socket
import sys
import threading
from pathlib import Path
from typing import Any

_LIMITS = {
    "cpu_s": "RLIMIT_CPU", "file_bytes": "RLIMIT_FSIZE", "data_bytes": "RLIMIT_DATA", "processes": "RLIMIT_NPROC",
    "core_bytes": "RLIMIT_CORE",
}  # fmt: skip


def main(told: str, argv: list[str]) -> int:
    """Do as told, then run the command. Returns only where it stays as the command's parent."""
    order: dict[str, Any] = json.loads(told)
    if "started" in order:  # what fails before is the sandbox's fault, what fails later the command's
        os.write(order["started"], b"1")
        os.close(order["started"])
    if "parent" in order:
        _join(order["parent"], order["cgroups"])
    for name, value in order["limits"].items():
        number = getattr(resource, _LIMITS[name])
        hard = resource.getrlimit(number)[1]
        limit = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(number, (limit, limit))
    for name in os.environ.keys() - set(order["environment"]):
        del os.environ[name]  # what Python and bubblewrap added
    if order.get("filter"):
        _filter(base64.b64decode(order["filter"]))
    if order.get("proxy"):
        _start_relay(order["proxy"])
    if order.get("stay"):
        return _stay(argv)
    return _become(argv)


def _join(parent: int, groups: list[str]) -> None:
    """What the launcher does where there is a sandbox: die with the service, be counted."""
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(1, signal.SIGKILL, 0, 0, 0)  # PR_SET_PDEATHSIG
    if os.getppid() != parent:
        os._exit(137)
    for procs in groups:
        Path(procs).write_text("0")


def _filter(program: bytes) -> None:
    """Refuse system calls from here on; bubblewrap does it itself."""
    import ctypes

    class Program(ctypes.Structure):
        _fields_ = (("length", ctypes.c_ushort), ("instructions", ctypes.c_char_p))

    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(38, 1, 0, 0, 0)  # PR_SET_NO_NEW_PRIVS
    if libc.prctl(22, 2, ctypes.byref(Program(len(program) // 8, program)), 0, 0):  # PR_SET_SECCOMP, a filter
        raise OSError(ctypes.get_errno(), "the filter of system calls is refused")


def _become(argv: list[str]) -> int:
    signal.signal(signal.SIGXFSZ, signal.SIG_DFL)  # Python ignores both, and the command would inherit it
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    try:
        os.execvp(argv[0], argv)  # noqa: S606 - this is what it is for
    except OSError as error:
        sys.stderr.write(f"{argv[0]} cannot be started: {error.strerror}\n")
        sys.stderr.flush()
        os._exit(126 if isinstance(error, PermissionError) else 127)


def _start_relay(proxy: str) -> None:
    """A listener of our own, so that the command cannot be earlier than the relay; it is nobody's child afterwards."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=128)
    address = f"http://127.0.0.1:{listener.getsockname()[1]}"
    for name in (
        "HTTP_PROXY",
        "HTTPS_PROXY",
        "http_proxy",
        "https_proxy",
        "npm_config_proxy",
        "npm_config_https_proxy",
    ):
        os.environ[name] = address
    child = os.fork()
    if child == 0:
        if os.fork() == 0:
            os.setsid()
            nothing = os.open(os.devnull, os.O_RDWR)
            for fd in (0, 1, 2):  # else the output would not end with the command
                os.dup2(nothing, fd)
            os.set_inheritable(listener.fileno(), True)
            relay = str(Path(__file__).with_name("relay.py"))
            os.execv(sys.executable, [sys.executable, "-I", "-S", relay, str(listener.fileno()), proxy])  # noqa: S606
        os._exit(0)
    os.waitpid(child, 0)
    listener.close()


def _stay(argv: list[str]) -> int:
    """Be process 1 of a container: it ends with the command, or when whoever holds its input is gone."""

    import ctypes

    ctypes.CDLL(None).prctl(4, 0, 0, 0, 0)  # PR_SET_DUMPABLE: the command cannot trace this process, so as to stop it

    def watch() -> None:
        while os.read(0, 4096):
            pass
        os._exit(137)  # the kernel ends every other process of the container with its first

    threading.Thread(target=watch, daemon=True).start()
    child = os.fork()
    if child == 0:
        nothing = os.open(os.devnull, os.O_RDONLY)
        os.dup2(nothing, 0)
        os.setsid()
        _become(argv)
    while True:
        ended, status = os.wait()
        if ended == child:
            return os.waitstatus_to_exitcode(status) if os.WIFEXITED(status) else 128 + os.WTERMSIG(status)


if __name__ == "__main__":
    sys.stdout.flush()
    code = main(sys.argv[1], sys.argv[2:])
    os._exit(code)
