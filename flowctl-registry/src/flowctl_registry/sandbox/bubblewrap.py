"""Confines a command with bubblewrap: namespaces of its own, no privileges, and only the places it was given."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from flowctl_registry.errors import SandboxError
from flowctl_registry.sandbox import cgroups, inside, launch, relay, seccomp
from flowctl_registry.sandbox.bubblewrap_run import FAILED, BubblewrapRun
from flowctl_registry.sandbox.confinement import Confinement
from flowctl_registry.sandbox.disk import give
from flowctl_registry.sandbox.owner import new_folder
from flowctl_registry.sandbox.system import fill_etc, system_arguments
from flowctl_registry.sandbox.users import find_user

INSIDE = "/run/flowctl"
"""Where the sandbox keeps its own parts."""


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
            told.append("processes are limited by RLIMIT_NPROC, which a build meets as an error: no pids cgroup here")
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
        session = new_folder("flowctl-sandbox")
        groups = cgroups.make(confinement.limits, self._cgroup)
        try:
            return self._start(confinement, argv, session, groups)
        except OSError as error:
            groups.remove()
            shutil.rmtree(session, ignore_errors=True)
            raise SandboxError(f"the sandbox cannot be prepared: {error}", hint=FAILED) from error

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
        except BaseException:  # also Ctrl-C: nobody else knows the descriptor
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
        except BaseException:  # also Ctrl-C: nobody else knows the descriptor
            os.close(told)
            raise
        finally:
            for fd in fds:
                os.close(fd)
        os.set_blocking(told, False)
        return process, told


def _memory(data: bytes) -> int:
    fd = os.memfd_create("flowctl")
    os.write(fd, data)
    os.lseek(fd, 0, os.SEEK_SET)
    return fd
