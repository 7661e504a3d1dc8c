"""Finds the Docker engine, as the `docker` command does, and speaks with it."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from flowctl_core.errors import EngineError
from flowctl_core.models.platform import Platform

if TYPE_CHECKING:
    from docker import APIClient

ANSWER_S = 60.0
"""Seconds that a quick question may take."""
_DEFAULT = "unix:///var/run/docker.sock"
_START = (
    "Start it: `sudo systemctl start docker`, or `sudo dockerd` where nothing starts it for you; on macOS open Docker "
    "Desktop or run `colima start`. For an engine elsewhere set DOCKER_HOST, or choose it with `docker context use`."
)
_PERMISSION = (
    "Let this user talk to it: `sudo usermod -aG docker $USER` and log in again (that is as good as root), or use "
    "Docker in rootless mode."
)


class DockerEngine:
    """One engine that answers."""

    def __init__(self, address: str, tls: object = None) -> None:
        """Ask it who it is. Raises EngineError."""
        self.address = address
        """As DOCKER_HOST spells it: `unix:///var/run/docker.sock`."""
        self._tls = tls
        self._api: str | None = None
        with engine_refusals(address, "does not answer"):
            client = self.client()
            try:
                about = client.version()
                self._api = client.api_version
            finally:
                client.close()
        self.version: str = about.get("Version", "")
        """Of the engine: `28.2.2`."""
        self.platform = Platform(f"{about['Os']}/{about['Arch']}")
        """What its containers run on without emulation."""

    @property
    def is_local(self) -> bool:
        """True when folders of this machine can be mounted into its containers."""
        return self.address.startswith(("unix://", "http+unix://", "/"))

    def client(self, timeout_s: float | None = ANSWER_S) -> APIClient:
        """docker-py's client, to be closed by the caller; `timeout_s` None is for work that takes what it takes."""
        from docker import APIClient

        return APIClient(base_url=self.address, tls=self._tls or False, version=self._api or "auto", timeout=timeout_s)

    @contextmanager
    def work(self, doing: str) -> Iterator[APIClient]:
        """A client for work that takes long; what the engine refuses becomes an EngineError: "cannot <doing>: …"."""
        with engine_refusals(self.address, f"cannot {doing}"):
            client = self.client(None)
            try:
                yield client
            finally:
                client.close()


def connect(environ: Mapping[str, str] | None = None) -> DockerEngine:
    """The engine of DOCKER_HOST, else of the current context (DOCKER_CONTEXT, `docker context use`), else the socket.

    Raises EngineError when there is none, or it does not answer.
    """
    given = os.environ if environ is None else environ
    with engine_refusals(given.get("DOCKER_HOST") or _DEFAULT, "cannot be reached"):
        from docker.context import ContextAPI
        from docker.utils import kwargs_from_env

        where = kwargs_from_env(dict(given)) if given.get("DOCKER_HOST") else _of_context(ContextAPI, given)
    return DockerEngine(where.get("base_url") or _DEFAULT, where.get("tls"))


def _of_context(contexts: Any, environ: Mapping[str, str]) -> dict[str, Any]:
    name = environ.get("DOCKER_CONTEXT")
    try:
        found: dict[str, Any] = contexts.kwargs_from_context(name, environ)
    except Exception as error:  # docker-py raises plain Exception for a file that it does not understand
        raise EngineError(f"Docker's context cannot be read: {error}", hint="Look at `docker context ls`.") from error
    if not found and name:
        raise EngineError(f"Docker has no context called {name}", hint="See `docker context ls`.")
    return found


@contextmanager
def engine_refusals(address: str, problem: str) -> Iterator[None]:
    """What docker-py raises becomes an EngineError that begins with "the Docker engine at ADDRESS <problem>"."""
    from docker.errors import APIError, DockerException
    from requests.exceptions import RequestException
    from urllib3.exceptions import HTTPError

    try:
        yield
    except APIError as error:
        said = str(error.explanation or error.response.reason or error).strip()
        raise EngineError(f"the Docker engine {problem}: {said}") from error
    except (DockerException, RequestException, HTTPError, OSError) as error:
        cause = _system_error(error)
        if isinstance(cause, PermissionError):
            raise EngineError(f"no permission to talk to the Docker engine at {address}", hint=_PERMISSION) from error
        if isinstance(cause, (FileNotFoundError, ConnectionRefusedError)):
            raise EngineError(f"no Docker engine answers at {address}", hint=_START) from error
        reason = cause.strerror or str(cause) if cause is not None else str(error)
        raise EngineError(f"the Docker engine at {address} {problem}: {reason}", hint=_START) from error


def _system_error(error: BaseException) -> OSError | None:
    """The system's own error, which docker-py, requests and urllib3 wrap in theirs."""
    seen: list[BaseException] = []
    waiting: list[object] = [error]
    while waiting:
        one = waiting.pop(0)
        if not isinstance(one, BaseException) or one in seen:
            continue
        if isinstance(one, OSError) and one.errno is not None:
            return one
        seen.append(one)
        waiting += [one.__cause__, one.__context__, *one.args, getattr(one, "reason", None)]
    return None
