"""Components as containers of a Docker engine, each gone when it has ended.

They share the host's network: a port, HEALTH_PORT and FLOWCTL_ENDPOINT mean the same inside and outside, and the
control plane stays on loopback. stdin and stdout are attached, so events travel as they do to processes; what is in
the engine's own buffers when a container dies counts as read: only the replay window brings it back.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from flowctl_core.dev.container_options import container_environment, limits, mounts
from flowctl_core.dev.launch import Instance, Launch, Launcher
from flowctl_core.dev.streams import InputPump, OutputPump, plain_socket
from flowctl_core.docker_engine.connect import DockerEngine
from flowctl_core.docker_engine.leftovers import remove_leftovers
from flowctl_core.errors import ComponentStartError, EngineError, FlowctlError
from flowctl_core.runners import process_tree, watcher

if TYPE_CHECKING:
    from flowctl_core.models.event import Progress

LABEL = "io.flowctl.dev"
"""Carries the process id of the flowctl that started a container."""
MEMORY_EVERY_S = 5.0
"""Seconds for which an answer of the engine is good: it takes some milliseconds of its time."""
_SIGNALLED = 128
_GONE = (404, 409)


class ContainerLauncher:
    """Starts containers. What a flowctl that was killed has left behind is removed first."""

    def __init__(self, engine: DockerEngine) -> None:
        """Raises EngineError."""
        self._engine = engine
        with engine.work("be asked about itself") as client:
            self._init = client.info().get("InitCommit", {}).get("ID") not in ("", "N/A", None)
            remove_leftovers(client, LABEL)

    def prepare(self, images: Sequence[str], progress: Progress, *, offline: bool = False) -> None:
        """Bring these images in, so that starting takes no network. Raises ImageError, EngineError."""
        from flowctl_core.docker_engine.pull import require_image

        for image in dict.fromkeys(images):
            require_image(self._engine, image, progress, offline=offline)

    def start(self, launch: Launch) -> Instance:
        """Start one. Raises ComponentStartError, EngineError."""
        return ContainerInstance(self._engine, launch, init=self._init)

    def close(self) -> None:
        """Each container is removed when it ends."""


class ContainerInstance:
    """One container."""

    def __init__(self, engine: DockerEngine, launch: Launch, *, init: bool) -> None:
        self._engine = engine
        self._marker = f"{os.getpid()}-dev-container-{time.time_ns():x}"
        self.id = ""
        self._memory: int | None = None
        self._ask_memory = 0.0
        self.pid: int | None = None
        self.close_stdin: Callable[[], None] | None = None
        watcher.watch_command(0, self._marker)
        pipes: list[int] = []
        try:
            with engine.work(f"start {launch.name}") as client:
                self.id = self._create(client, launch, init=init)
                self.stdin, self.stdout, self.stderr = self._attach(client, launch.takes_events, pipes)
                client.start(self.id)
                self.pid = client.inspect_container(self.id)["State"]["Pid"] or None
        except FlowctlError as error:
            self._remove()
            for pipe in pipes:
                with suppress(OSError):
                    os.close(pipe)
            if not isinstance(error, EngineError):
                raise
            hint = error.hint or f"Try it by hand: docker run --rm -i {launch.image}"
            raise ComponentStartError(f"{launch.name} cannot be started: {error.message}", hint=hint) from error

    def wait(self) -> int:
        """Stay until it has ended, and remove it; the exit code, -N for signal N."""
        code = 1
        with suppress(EngineError), self._engine.work("wait for a container") as client:
            code = int(client.wait(self.id)["StatusCode"])
        self._output.join()
        self._remove()
        return _SIGNALLED - code if code > _SIGNALLED else code

    def terminate(self) -> None:
        """SIGTERM to its first process."""
        self._signal("SIGTERM")

    def kill(self) -> None:
        """SIGKILL to all of it."""
        self._signal("SIGKILL")

    def memory(self) -> int | None:
        """Bytes that it holds, without what the kernel only caches for it; asked for every few seconds only."""
        if time.monotonic() >= self._ask_memory:
            self._memory, self._ask_memory = self._told_memory(), time.monotonic() + MEMORY_EVERY_S
        return self._memory

    def _told_memory(self) -> int | None:
        with suppress(EngineError, KeyError), self._engine.work("tell a container's memory") as client:
            told = client.stats(self.id, stream=False, one_shot=True)["memory_stats"]
            return int(told["usage"] - told.get("stats", {}).get("inactive_file", 0))
        return None

    def _create(self, client: Any, launch: Launch, *, init: bool) -> str:
        outer = os.environ.get(process_tree.MARKER_VARIABLE)
        marked = {process_tree.MARKER_VARIABLE: f"{outer}/{self._marker}" if outer else self._marker}
        made = client.create_container(
            launch.image,
            command=list(launch.argv) or None,
            environment={**container_environment(launch), **marked},
            labels={LABEL: str(os.getpid()), f"{LABEL}.component": launch.name},
            stdin_open=launch.takes_events,
            healthcheck={"test": ["NONE"]},  # flowctl asks by itself
            host_config=client.create_host_config(
                mounts=mounts(launch),
                network_mode="host",
                init=init or None,
                userns_mode="host",
                log_config={"Type": "none"},  # all of it comes here: nothing is to be kept by the engine
                **limits(launch),
            ),
        )
        return str(made["Id"])

    def _attach(self, client: Any, takes_events: bool, pipes: list[int]) -> tuple[int | None, int, int]:
        """Before the start, so that nothing is missed: the connection gives both outputs and takes the input."""
        params = {"stdin": int(takes_events), "stdout": 1, "stderr": 1, "stream": 1}
        self._attached = client.attach_socket(self.id, params=params)
        connection = plain_socket(self._attached)
        connection.settimeout(None)
        stdout, to_stdout = os.pipe()
        stderr, to_stderr = os.pipe()
        pipes += [stdout, stderr]
        self._output = OutputPump(connection, {1: to_stdout, 2: to_stderr})
        self._output.start()
        if not takes_events:
            return None, stdout, stderr
        from_stdin, stdin = os.pipe()
        pipes.append(stdin)
        InputPump(from_stdin, connection).start()
        return stdin, stdout, stderr

    def _signal(self, name: str) -> None:
        from docker.errors import APIError

        with suppress(EngineError), self._engine.work("signal a container") as client:
            try:
                client.kill(self.id, signal=name)
            except APIError as error:
                if error.status_code not in _GONE:  # it has ended
                    raise

    def _remove(self) -> None:
        from docker.errors import APIError

        if self.id:
            with suppress(EngineError), self._engine.work("remove a container") as client:
                try:
                    client.remove_container(self.id, force=True, v=True)
                except APIError as error:
                    if error.status_code not in _GONE:
                        raise
        watcher.release_command(self._marker)


class HybridLauncher:
    """Each component as what it is: an image as a container, everything else as a process."""

    def __init__(self, processes: Launcher, containers: Launcher) -> None:
        self._processes = processes
        self._containers = containers

    def start(self, launch: Launch) -> Instance:
        """Start one. Raises FlowctlError."""
        return (self._processes if launch.image is None else self._containers).start(launch)

    def close(self) -> None:
        """Close both."""
        self._processes.close()
        self._containers.close()
