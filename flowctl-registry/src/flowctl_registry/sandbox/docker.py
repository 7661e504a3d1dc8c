"""Confines a command in a container of the Docker engine, with the same walls as bubblewrap's."""

from __future__ import annotations

import base64
import contextlib
import json
import logging
import os
import socket
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flowctl_core.docker_engine.connect import DockerEngine, connect, engine_refusals
from flowctl_core.errors import EngineError
from flowctl_registry.errors import SandboxError
from flowctl_registry.sandbox import cgroups, inside, relay, seccomp
from flowctl_registry.sandbox.bubblewrap import INSIDE
from flowctl_registry.sandbox.confinement import Confinement, Usage
from flowctl_registry.sandbox.disk import give
from flowctl_registry.sandbox.owner import is_owner_alive, owner
from flowctl_registry.sandbox.users import find_user

if TYPE_CHECKING:
    from docker import APIClient

_log = logging.getLogger(__name__)
_LABEL = "io.flowctl.sandbox"


class DockerSandbox:
    """Needs an engine on this machine and an image with Python 3.11 or newer as `python3`."""

    name = "docker"

    def __init__(self, image: str | None, user: str = "nobody", engine: DockerEngine | None = None) -> None:
        """Raises SandboxError without an image, or EngineError without an engine."""
        if image is None:
            raise SandboxError(
                "no image for builds is set", hint="Set sandbox.image to an image that has all that builds need."
            )
        self._image = image
        self._engine = engine or connect()
        if not self._engine.is_local:
            raise SandboxError(
                f"the Docker engine at {self._engine.address} is on another machine", hint="Start one on this machine."
            )
        self._sweep()
        root = os.geteuid() == 0
        self._user = find_user(user) if root else (os.geteuid(), os.getegid())
        self._gives = root

    def _sweep(self) -> None:
        """Remove containers of a service that was killed: they ended with it, and stayed."""
        with self._engine.work("list sandboxes") as client:
            for found in client.containers(all=True, filters={"label": _LABEL}):
                if not is_owner_alive(found["Labels"][_LABEL]):
                    client.remove_container(found["Id"], force=True)

    def report(self) -> tuple[str, ...]:
        """See `Sandbox`."""
        told = ["bytes written are limited by looking twice a second: a burst may go beyond until it is noticed"]
        if seccomp.program() is None:
            told.append("system calls are filtered by the engine alone: libseccomp is missing")
        if not cgroups.places():
            told.append("which limit ended a build may not be told: the engine's control groups cannot be read")
        return tuple(told)

    def start(self, confinement: Confinement, argv: list[str]) -> DockerRun:
        """See `Sandbox`."""
        limits = confinement.limits
        order = {
            "limits": {"cpu_s": int(limits.cpu_s) + 1, "file_bytes": limits.file_bytes, "core_bytes": 0},
            "environment": sorted(confinement.environment), "stay": True,
            "filter": base64.b64encode(seccomp.program() or b"").decode(),
            "proxy": f"{INSIDE}/proxy" if confinement.proxy else None,
        }  # fmt: skip
        places = {f"{INSIDE}/{Path(str(m.__file__)).name}": Path(str(m.__file__)) for m in (inside, relay)}
        if confinement.proxy is not None:
            places[f"{INSIDE}/proxy"] = confinement.proxy
        mounts = [_mount(place, path, writable=False) for place, path in (places | dict(confinement.read_only)).items()]
        mounts += [_mount(place, path, writable=True) for place, path in confinement.writable.items()]
        if self._gives:
            for folder in confinement.writable.values():
                give(folder, self._user)
        uid, gid = self._user
        size = min(limits.memory_bytes, limits.disk_bytes)
        owned = f"rw,nosuid,nodev,exec,size={size},uid={uid},gid={gid},mode=755"
        with engine_refusals(self._engine.address, "cannot make a sandbox"):
            client = self._engine.client()
            try:
                host = client.create_host_config(
                    network_mode="none", read_only=True, cap_drop=["ALL"], security_opt=["no-new-privileges"],
                    pids_limit=limits.processes, mem_limit=limits.memory_bytes, memswap_limit=limits.memory_bytes,
                    tmpfs=dict.fromkeys(("/tmp", "/home", "/var/tmp"), owned),  # noqa: S108 - inside
                    mounts=mounts, ipc_mode="private", log_config={"Type": "none"},
                )  # fmt: skip
                container = client.create_container(
                    self._image, entrypoint=["python3", "-I", "-S", f"{INSIDE}/inside.py", json.dumps(order)],
                    command=argv, environment=dict(confinement.environment), user=f"{uid}:{gid}",
                    working_dir=confinement.folder, stdin_open=True, labels={_LABEL: owner()},
                    host_config=host | {"CgroupnsMode": "private"}, hostname="build", healthcheck={"test": ["NONE"]},
                )["Id"]  # fmt: skip
                return DockerRun(client, container)
            except BaseException:  # also Ctrl-C: nobody else knows the connection
                client.close()
                raise


class DockerRun:
    """See `Running`. The container ends when its input does, and so with this process, however that ends."""

    def __init__(self, client: APIClient, container: str) -> None:
        self._client = client
        self._container = container
        self._groups: cgroups.Groups | None = None
        self._buffer = b""
        self._usage = Usage()
        self._gone = False
        try:
            # Closing the input when the one client that holds it goes is the container's own setting, StdinOnce.
            self._attached = client.attach_socket(
                container, params={"stdin": 1, "stdout": 1, "stderr": 1, "stream": 1, "logs": 0}
            )
            self._socket: socket.socket = getattr(self._attached, "_sock", self._attached)
            client.start(container)
            self._first: int = client.inspect_container(container)["State"]["Pid"]
        except BaseException:  # also Ctrl-C: nobody else knows the container
            with contextlib.suppress(Exception):  # the first error is the one to tell
                client.remove_container(container, force=True)
            raise
        if self._first:
            self._groups = cgroups.of(self._first)

    def fileno(self) -> int:
        """See `Running`."""
        return self._socket.fileno()

    def read(self) -> bytes:
        """See `Running`. Frames have 8 bytes before them: the stream, and the length (Docker's attach protocol)."""
        while len(self._buffer) < 8 or len(self._buffer) < 8 + int.from_bytes(self._buffer[4:8]):
            if self._buffer and len(self._buffer) >= 8 and (part := self._buffer[8:]):
                length = int.from_bytes(self._buffer[4:8]) - len(part)
                self._buffer = self._buffer[:4] + length.to_bytes(4)
                return part
            data = self._socket.recv(65_536)
            if not data:
                return b""
            self._buffer += data
        end = 8 + int.from_bytes(self._buffer[4:8])
        part, self._buffer = self._buffer[8:end], self._buffer[end:]
        return part or self.read()

    def poll(self) -> int | None:
        """See `Running`."""
        with engine_refusals(self._client.base_url, "cannot tell about a sandbox"):
            state: dict[str, Any] = self._client.inspect_container(self._container)["State"]
        if state["Running"]:
            return None
        if state.get("OOMKilled"):
            self._usage = Usage(self._usage.cpu_s, self._usage.peak_bytes, "memory")
        if state.get("Error"):
            raise SandboxError(f"the sandbox cannot be made: {state['Error']}", hint="Look at sandbox.image.")
        self._gone = True
        return int(state["ExitCode"])

    def kill(self) -> None:
        """See `Running`."""
        from docker.errors import APIError

        self._hang_up()
        with engine_refusals(self._client.base_url, "cannot end a sandbox"), contextlib.suppress(APIError):
            self._client.kill(self._container)  # refused when it has ended

    def _hang_up(self) -> None:
        """End the container's input, and so the container; the engine itself waits for who does not read."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)

    def usage(self) -> Usage:
        """See `Running`. The engine removes the groups at the end; what they said last stays."""
        if self._groups is not None and not self._gone:
            found = self._groups.usage()
            self._usage = Usage(
                self._usage.cpu_s if not found.cpu_s else found.cpu_s,
                self._usage.peak_bytes if found.peak_bytes is None else found.peak_bytes,
                self._usage.reached or found.reached,
            )
        return self._usage

    def processes(self) -> Iterable[int]:
        """See `Running`."""
        return self._groups.processes() if self._groups is not None else ()

    def close(self) -> None:
        """See `Running`."""
        self._hang_up()
        self._attached.close()
        try:
            with engine_refusals(self._client.base_url, "cannot remove a sandbox"):
                self._client.remove_container(self._container, force=True)
        except EngineError as error:
            _log.warning("%s; it has ended, and the next start of the service removes it", error)
        finally:
            self._client.close()


def _mount(place: str, path: Path, *, writable: bool) -> dict[str, Any]:
    return {"Type": "bind", "Source": str(path), "Target": place, "ReadOnly": not writable}
