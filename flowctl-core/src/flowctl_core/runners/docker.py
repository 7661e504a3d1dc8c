"""Runs commands in containers of one image, each in a container of its own that is gone when the command has ended.

Folders are mounted under their own paths, so that a path means the same inside and outside. Commands run as the caller,
without network unless they ask for it. What ends a command ends its container: a timeout, a cancellation, Ctrl-C; and
when flowctl is killed, the watcher ends its processes by their marker where the engine is on this machine, and the next
runner removes what is left.
"""

from __future__ import annotations

import getpass
import os
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from flowctl_core.docker_engine.connect import DockerEngine
from flowctl_core.docker_engine.leftovers import remove_leftovers
from flowctl_core.errors import CancelledError, EngineError, ToolchainError, ToolTimeoutError
from flowctl_core.models.process import Command, CompletedCommand, OnLine
from flowctl_core.runners import process_tree, watcher
from flowctl_core.runners.capture import Capture

_LABEL = "io.flowctl.runner"
"""Carries the process id of the flowctl that started a container."""
_CONFLICT = 409
_MISSING = ("executable file not found", "no such file or directory")


class DockerRunner:
    """Runs commands in containers of an image that the engine has."""

    def __init__(self, engine: DockerEngine, image: str, folders: Sequence[Path], *, own: bool = False) -> None:
        """`folders` are mounted, to be read and written. Raises EngineError when that is not possible.

        `own`: commands run as the image says, with its user, folder and variables; one without argv is its own command.
        Containers that a flowctl which was killed has left behind are removed.
        """
        if folders and not engine.is_local:
            raise EngineError(
                f"the Docker engine at {engine.address} is another machine's, which does not see this one's folders",
                hint="Run the tests where the engine is, or unset DOCKER_HOST to use this machine's.",
            )
        self._engine = engine
        self.image = image
        self._folders = tuple(folders)
        self._own = own
        self._lock = threading.Lock()
        self._active: dict[str, threading.Event] = {}
        self._cancelled = False
        with engine.work("be asked about itself") as client:
            about = client.info()
            self._user = None if own else _user(about)
            self._init = about.get("InitCommit", {}).get("ID") not in ("", "N/A", None)
            remove_leftovers(client, _LABEL)

    def run(self, command: Command, *, on_line: OnLine | None = None) -> CompletedCommand:
        """See `flowctl_core.models.process.Runner`; `on_line` is called in the calling thread."""
        if not self._own and not command.argv:
            raise ToolchainError("a command without a program", hint="Report this to the author of the builder.")
        if not self._own and not command.cwd.is_dir():
            raise ToolchainError(f"{command.argv[0]} cannot be started: the folder {command.cwd} does not exist")
        with self._engine.work(f"run {self._name(command)}") as client:
            return self._run(client, command, (Capture(on_line), Capture(on_line)))

    def cancel(self) -> None:
        """End everything that runs, from any thread; whatever runs or is started later raises CancelledError."""
        with self._lock:
            self._cancelled = True
            active = dict(self._active)
        for container, stopped in active.items():
            stopped.set()
            self._remove(container)

    def _run(self, client: Any, command: Command, captures: tuple[Capture, Capture]) -> CompletedCommand:
        began = time.monotonic()
        stopped, expired = threading.Event(), threading.Event()
        marker = f"{os.getpid()}-container-{time.time_ns():x}"
        with self._container(client, command, marker, stopped) as container:
            stream = client.attach(container, stdout=True, stderr=True, stream=True, demux=True)
            timer = self._limit(container, command.timeout_s, expired)
            try:
                _start(client, container, command, self.image)
                for out, err in stream:
                    for capture, data in zip(captures, (out, err), strict=True):
                        if data:
                            capture.feed(data)
                for capture in captures:
                    capture.close()
                status = None if stopped.is_set() or expired.is_set() else client.wait(container)["StatusCode"]
            except KeyboardInterrupt:
                stopped.set()
                status = None
            except Exception:
                if not (stopped.is_set() or expired.is_set()):  # else the container was taken away beneath the question
                    raise
                status = None
            finally:
                if timer is not None:
                    timer.cancel()
        name = self._name(command)
        output = "\n".join(text for capture in captures if (text := capture.text().rstrip()))
        if stopped.is_set():
            raise CancelledError(f"{name} was cancelled", output=output)
        if expired.is_set():
            raise ToolTimeoutError(
                f"{name} ran longer than {command.timeout_s:g} s and was ended",
                hint="Raise build.local.timeout in the configuration if it needs more time.",
                output=output,
            )
        return CompletedCommand(
            argv=command.argv,
            exit_code=int(status) if status is not None else 1,
            stdout=captures[0].text(),
            stderr=captures[1].text(),
            duration_s=time.monotonic() - began,
        )

    @contextmanager
    def _container(self, client: Any, command: Command, marker: str, stopped: threading.Event) -> Iterator[str]:
        """A container that is made and not started, and gone afterwards."""
        outer = os.environ.get(process_tree.MARKER_VARIABLE)
        marked = {process_tree.MARKER_VARIABLE: f"{outer}/{marker}" if outer else marker}
        watcher.watch_command(0, marker)
        container = ""
        try:
            container = client.create_container(
                self.image,
                entrypoint=list(command.argv[:1]) or None,
                command=list(command.argv[1:]) or None,
                environment={**command.environment, **marked},
                working_dir=None if self._own else str(command.cwd),
                user=self._user,
                labels={_LABEL: str(os.getpid())},
                healthcheck={"test": ["NONE"]},
                host_config=client.create_host_config(
                    mounts=[
                        {"Type": "bind", "Source": str(folder), "Target": str(folder), "ReadOnly": False}
                        for folder in self._folders
                    ],
                    network_mode=None if command.network else "none",
                    init=self._init or None,
                    userns_mode="host",
                ),
            )["Id"]
            with self._lock:
                self._active[container] = stopped
                if self._cancelled:
                    raise CancelledError(f"{self._name(command)} was cancelled")
            yield container
        finally:
            with self._lock:
                self._active.pop(container, None)
            if container:
                self._remove(container)
            watcher.release_command(marker)

    def _name(self, command: Command) -> str:
        return Path(command.argv[0]).name if command.argv else f"the command of {self.image}"

    def _limit(self, container: str, timeout_s: float | None, expired: threading.Event) -> threading.Timer | None:
        if timeout_s is None:
            return None

        def end() -> None:
            expired.set()
            self._remove(container)

        timer = threading.Timer(timeout_s, end)
        timer.daemon = True
        timer.start()
        return timer

    def _remove(self, container: str) -> None:
        """End what runs in it and remove it; by a client of its own, since another thread may be reading."""
        from docker.errors import APIError

        with suppress(EngineError), self._engine.work("remove a container") as client, suppress(APIError):
            try:
                client.remove_container(container, force=True, v=True)
            except APIError as error:
                if error.status_code != _CONFLICT:
                    raise
                client.wait(container, condition="removed")  # another thread removes it already


def _start(client: Any, container: str, command: Command, image: str) -> None:
    from docker.errors import APIError

    try:
        client.start(container)
    except APIError as error:
        said = str(error.explanation or error)
        if any(sign in said for sign in _MISSING):
            raise ToolchainError(
                f"{command.argv[0] if command.argv else 'its command'} was not found in the image {image}",
                hint="Name an image that has it: spec.build.container.test_image in component.yaml.",
            ) from error
        raise EngineError(f"the command cannot be started in {image}: {said}") from error


def _user(about: Mapping[str, Any]) -> str:
    """The caller; in a rootless engine that is its root, whom the kernel maps to the caller."""
    if any("rootless" in option for option in about.get("SecurityOptions") or ()):
        return "0:0"
    return f"{os.getuid()}:{os.getgid()}"


def caller_name() -> str:
    """What the caller is called: an image knows nobody of that number."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return str(os.getuid())
