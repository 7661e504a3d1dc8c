"""Confines a command with bubblewrap: namespaces of its own, no privileges, and only the places it was given."""

from __future__ import annotations

import contextlib
import json
import os
import pwd
import select
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

from flowctl_registry.errors import SandboxError
from flowctl_registry.sandbox import cgroups, inside, launch, processes, relay, seccomp
from flowctl_registry.sandbox.confinement import Confinement, Usage
from flowctl_registry.sandbox.disk import give
from flowctl_registry.sandbox.system import fill_etc, system_arguments

INSIDE = "/run/flowctl"
"""Where the sandbox keeps its own parts."""
_END_S = 10.0
"""How long killed processes may take to be gone; the kernel needs milliseconds."""
_SANDBOX_FAILED = "Try `bwrap --unshare-all --ro-bind / / true` as the service's user."


class Bubblewrap:
    """Needs bwrap 0.8 or newer, and user namespaces. As root, commands run as another user."""

    name = "bubblewrap"

    def __init__(self, user: str = "nobody", cgroup: Path | None = None, python: str | None = None) -> None:
        """`user` is a name or number, used as root; `python` runs the sandbox's own parts, outside and inside.

        Raises SandboxError when bwrap is not there, or there is no such user.
        """
        program = shutil.which("bwrap")
        if program is None:
            raise SandboxError("bwrap is not on PATH", hint="Run `apt-get install bubblewrap`.")
        self._program = program
        self._cgroup = cgroup
        self._python = os.path.realpath(python or sys.executable)
        self._user = find_user(user) if os.geteuid() == 0 else None

    def report(self) -> tuple[str, ...]:
        """See `Sandbox`."""
        found = cgroups.places(self._cgroup)
        told = []
        if "memory" not in found:
            told.append(
                "memory is limited for each process (RLIMIT_DATA) and for all by sampling: no memory cgroup can be made"
            )
        if "pids" not in found:
            told.append("processes are limited by RLIMIT_NPROC: no pids cgroup can be made")
        if "cpuacct" not in found:
            told.append("CPU seconds are counted by sampling: no cpu cgroup can be made")
        if seccomp.program() is None:
            told.append("system calls are not filtered: libseccomp is missing (`apt-get install libseccomp2`)")
        told.append("bytes written are limited by looking twice a second: a burst may go beyond until it is noticed")
        if self._user is None:
            told.append("builds run as the service's own user: what it may read is hidden, not forbidden")
        return tuple(told)

    def start(self, confinement: Confinement, argv: list[str]) -> BubblewrapRun:
        """See `Sandbox`."""
        session = Path(tempfile.mkdtemp(prefix="flowctl-sandbox-"))
        groups = cgroups.make(confinement.limits, self._cgroup)
        try:
            return self._start(confinement, argv, session, groups)
        except OSError as error:
            groups.remove()
            shutil.rmtree(session, ignore_errors=True)
            raise SandboxError(f"the sandbox cannot be prepared: {error}", hint=_SANDBOX_FAILED) from error

    def _start(self, confinement: Confinement, argv: list[str], session: Path, groups: cgroups.Groups) -> BubblewrapRun:
        fill_etc(session)
        if self._user is not None:
            for folder in confinement.writable.values():
                give(folder, self._user)
        sources: list[str] = []

        def source(path: Path | str) -> str:
            if self._user is None:
                return str(path)
            sources.append(str(path))
            return f"/tmp/{len(sources) - 1}"  # noqa: S108 - see launch.py

        limits = confinement.limits
        order: dict[str, Any] = {
            "limits": {"cpu_s": max(1, int(limits.cpu_s) + 1), "file_bytes": limits.file_bytes, "core_bytes": 0},
            "environment": sorted(confinement.environment),
            "proxy": f"{INSIDE}/proxy" if confinement.proxy else None,
        }
        if not groups.has("memory"):
            order["limits"]["data_bytes"] = limits.memory_bytes
        if not groups.has("pids"):
            order["limits"]["processes"] = limits.processes
        arguments = system_arguments(self._python, session, source, min(limits.memory_bytes, limits.disk_bytes))
        for module in (inside, relay):
            arguments += ["--ro-bind", source(str(module.__file__)), f"{INSIDE}/{Path(str(module.__file__)).name}"]
        if confinement.proxy is not None:
            arguments += ["--ro-bind", source(confinement.proxy), f"{INSIDE}/proxy"]
        for option, places in (("--ro-bind", confinement.read_only), ("--bind", confinement.writable)):
            for place, path in sorted(places.items()):
                arguments += [option, source(path), place]
        arguments += ["--remount-ro", "/", "--chdir", confinement.folder, "--clearenv"]
        for name, value in confinement.environment.items():
            arguments += ["--setenv", name, value]
        begun, begin = os.pipe()
        try:
            order["started"] = begin
            command = [self._python, "-I", "-S", f"{INSIDE}/inside.py", json.dumps(order), *argv]
            process, told = self._spawn(arguments, command, sources, groups, begin)
        except BaseException:
            os.close(begun)
            raise
        finally:
            os.close(begin)
        return BubblewrapRun(process, (told, begun), confinement, session, groups)

    def _spawn(
        self, arguments: list[str], command: list[str], sources: list[str], groups: cgroups.Groups, begin: int
    ) -> tuple[subprocess.Popen[bytes], int]:
        """Start the launcher; also the descriptor on which bwrap says what became of the command."""
        told, tell = os.pipe()
        fds = [tell]
        try:
            if (program := seccomp.program()) is not None:
                fds.append(_memory(program))
                arguments = ["--seccomp", str(fds[-1]), *arguments]
            arguments = ["--json-status-fd", str(tell), *arguments]
            fds.append(_memory("\0".join(arguments).encode() + b"\0"))
            order = {
                "parent": os.getpid(), "cgroups": groups.procs, "user": self._user, "sources": sources,
                "argv": [self._program, "--args", str(fds[-1]), "--", *command],
            }  # fmt: skip
            fds.append(_memory(json.dumps(order).encode()))
            process = subprocess.Popen(
                [self._python, "-I", "-S", str(launch.__file__), str(fds[-1])], stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, cwd="/", env={"PATH": "/usr/bin:/bin"},
                pass_fds=[*fds, begin],
                start_new_session=True, bufsize=0,
            )  # fmt: skip
        except BaseException:
            os.close(told)
            raise
        finally:
            for fd in fds:
                os.close(fd)
        os.set_blocking(told, False)
        return process, told


class BubblewrapRun:
    """See `Running`."""

    def __init__(
        self, process: subprocess.Popen[bytes], pipes: tuple[int, int], confinement: Confinement, session: Path,
        groups: cgroups.Groups,
    ) -> None:  # fmt: skip
        self._process = process
        self._told, self._begun = pipes
        os.set_blocking(self._begun, False)
        self._has_begun = False
        self._limits = confinement.limits
        self._session = session
        self._groups = groups
        self._status: dict[str, int] = {}
        self._said = b""
        self._first: int | None = None
        self._killed = False
        self._head = b""
        self._usage = Usage()
        assert self._process.stdout is not None  # noqa: S101 - for mypy: it is a pipe
        self._output = self._process.stdout.fileno()

    def fileno(self) -> int:
        """See `Running`."""
        return self._output

    def read(self) -> bytes:
        """See `Running`."""
        data = os.read(self._output, 65_536)
        self._head = (self._head + data)[:2_000]
        return data

    def poll(self) -> int | None:
        """See `Running`."""
        self._hear()
        if self._process.poll() is None or not self._first_is_gone():
            return None
        self._hear()
        if self._has_begun or self._killed:
            return self._status.get("exit-code", 128 + signal.SIGKILL)  # by us, or by the kernel: out of memory
        with contextlib.suppress(OSError):
            os.set_blocking(self._output, False)
            while self.read():
                pass
        said = self._head.decode(errors="replace").strip()
        raise SandboxError(f"the sandbox cannot be made: {said or 'bwrap said nothing'}", hint=_SANDBOX_FAILED)

    def kill(self) -> None:
        """See `Running`."""
        self._killed = True
        self._groups.kill()
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()
        if self._first is not None:
            with contextlib.suppress(OSError):
                signal.pidfd_send_signal(self._first, signal.SIGKILL)

    def usage(self) -> Usage:
        """See `Running`."""
        counted = self._groups.usage()
        if all(self._groups.has(controller) for controller in ("memory", "pids", "cpuacct")):
            return counted
        if first := self._status.get("child-pid"):
            self._usage = processes.sample(first, self._limits, self._usage)
        sampled = self._usage
        if self._groups.has("memory") or self._groups.has("pids"):
            sampled = replace(sampled, reached=None)
        return Usage(
            sampled.cpu_s if counted.cpu_s is None else counted.cpu_s,
            sampled.peak_bytes if counted.peak_bytes is None else counted.peak_bytes,
            counted.reached or sampled.reached,
        )

    def processes(self) -> Iterable[int]:
        """See `Running`."""
        return processes.members(self._status["child-pid"]) if "child-pid" in self._status else ()

    def close(self) -> None:
        """See `Running`."""
        self.kill()
        self._process.wait()
        if not self._first_is_gone() and self._first is not None:
            select.select([self._first], [], [], _END_S)
        self._groups.remove()
        for fd in (self._told, self._begun, self._first):
            if fd is not None:
                os.close(fd)
        assert self._process.stdout is not None  # noqa: S101 - for mypy: it is a pipe
        self._process.stdout.close()
        shutil.rmtree(self._session, ignore_errors=True)

    def _first_is_gone(self) -> bool:
        """The first process ends after all others of its namespace."""
        self._hear()
        return self._first is None or bool(select.select([self._first], [], [], 0)[0])

    def _hear(self) -> None:
        with contextlib.suppress(BlockingIOError):
            while data := os.read(self._told, 4_096):
                self._said += data
        *lines, self._said = self._said.split(b"\n")
        for line in lines:
            said: dict[str, Any] = json.loads(line) if line.strip() else {}
            self._status |= {name: value for name, value in said.items() if isinstance(value, int)}
        with contextlib.suppress(BlockingIOError):
            self._has_begun = self._has_begun or bool(os.read(self._begun, 1))
        if self._first is None and "child-pid" in self._status:
            with contextlib.suppress(ProcessLookupError):
                self._first = os.pidfd_open(self._status["child-pid"])


def _memory(data: bytes) -> int:
    fd = os.memfd_create("flowctl")
    os.write(fd, data)
    os.lseek(fd, 0, os.SEEK_SET)
    return fd


def find_user(user: str) -> tuple[int, int]:
    """The ids of who runs builds where the service is root. Raises SandboxError for root and for nobody known."""
    try:
        found = pwd.getpwuid(int(user)) if user.isdigit() else pwd.getpwnam(user)
        uid, gid = found.pw_uid, found.pw_gid
    except KeyError:
        if not user.isdigit():
            raise SandboxError(
                f"there is no user {user} to run builds as", hint="Set sandbox.user to a user without any rights."
            ) from None
        uid = gid = int(user)
    if uid == 0:
        raise SandboxError("builds never run as root", hint="Set sandbox.user to a user without any rights.")
    return uid, gid
