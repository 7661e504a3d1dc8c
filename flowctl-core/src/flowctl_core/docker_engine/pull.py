"""Brings an image into the engine."""

from __future__ import annotations

from flowctl_core.docker_engine.connect import DockerEngine
from flowctl_core.docker_engine.images import EngineImage, find_image, messages
from flowctl_core.errors import EngineError, ImageError
from flowctl_core.models.event import Progress

_LATEST = "latest"


def require_image(engine: DockerEngine, name: str, progress: Progress, *, offline: bool = False) -> EngineImage:
    """The image, pulled by the engine when it does not have it.

    Raises ImageError when it cannot be had, or is not for the engine's platform; EngineError.
    """
    found = find_image(engine, name)
    if found is None:
        if offline:
            raise ImageError(
                f"the Docker engine does not have the image {name}, and nothing is fetched offline",
                hint=f"Bring it in before: docker pull {name}",
            )
        progress.step(f"pulling {name}")
        _pull(engine, name, progress)
        found = find_image(engine, name)
    if found is None:
        raise ImageError(f"the Docker engine does not know {name} after it was pulled")
    if (found.os, found.architecture) != (engine.platform.os, engine.platform.arch):
        raise ImageError(
            f"the image {name} that the Docker engine has is for {found.platform}, not for {engine.platform}",
            hint=f"docker pull --platform {engine.platform} {name}",
        )
    return found


def _pull(engine: DockerEngine, name: str, progress: Progress) -> None:
    repository, tag = _split(name)
    hint = f"Try it by hand: docker pull {name}. A private registry wants `docker login` first."
    try:
        with engine.work(f"pull the image {name}") as client:
            states: dict[object, object] = {}
            for message in messages(
                client.pull(repository, tag=tag, platform=engine.platform, stream=True, decode=True)
            ):
                if "error" in message:
                    raise ImageError(f"the image {name} cannot be had: {message['error']}", hint=hint)
                layer, status = message.get("id"), message.get("status")
                if status is not None and states.get(layer) != status:
                    states[layer] = status
                    progress.line(f"{layer}: {status}" if layer else str(status))
    except EngineError as error:
        raise ImageError(f"the image {name} cannot be had: {error.message}", hint=hint) from error


def _split(name: str) -> tuple[str, str]:
    """Repository, and tag or digest."""
    if "@" in name:
        repository, _, digest = name.partition("@")
        return repository.rpartition(":")[0] if ":" in repository.rpartition("/")[2] else repository, digest
    repository, colon, tag = name.rpartition(":")
    return (repository, tag) if colon and "/" not in tag else (name, _LATEST)
