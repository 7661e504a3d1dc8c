"""Builds an image from a Dockerfile, by the engine (Docker Engine API, ImageBuild)."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any

from pydantic import Field

from flowctl_core.docker_engine.connect import DockerEngine
from flowctl_core.docker_engine.images import messages
from flowctl_core.errors import BuildError, ToolTimeoutError
from flowctl_core.models.base import Frozen
from flowctl_core.models.event import Progress
from flowctl_core.models.platform import Platform

_STEP = re.compile(r"Step \d+/\d+ : ")
_ID = re.compile(r"Successfully built ([0-9a-f]+)")


class ImageBuild(Frozen):
    """What the engine is asked to build."""

    dockerfile: str
    """Name in the context."""
    shown: str
    """What the Dockerfile is called, for people."""
    platform: Platform
    tag: str
    target: str | None = None
    args: dict[str, str] = Field(default_factory=dict)
    labels: dict[str, str] = Field(default_factory=dict)
    network: bool = True
    """False: RUN steps have none."""


def build_image(
    engine: DockerEngine, context: IO[bytes], wanted: ImageBuild, progress: Progress, *, timeout_s: float | None = None
) -> str:
    """Build the image and return its id. `context` is a tar archive.

    Raises BuildError with all that the engine printed when a step fails, ToolTimeoutError, EngineError.
    """
    from docker.errors import APIError

    said: list[str] = []
    with engine.work("build the image") as client, _limited(client, timeout_s) as expired:
        try:
            stream = client.build(
                fileobj=context,
                custom_context=True,
                dockerfile=wanted.dockerfile,
                tag=wanted.tag,
                target=wanted.target or "",
                buildargs={**_platform_args(engine, wanted.platform), **wanted.args},
                labels=wanted.labels,
                platform=wanted.platform,
                network_mode=None if wanted.network else "none",
                rm=True,
                forcerm=True,
                decode=True,
            )
            image, problem = _follow(stream, said, progress)
        except APIError as error:
            image, problem = None, str(error.explanation or error)
    if expired.is_set():
        raise ToolTimeoutError(
            f"building {wanted.shown} for {wanted.platform} took longer than {timeout_s:g} s and was ended",
            hint="Raise build.local.timeout in the configuration if it needs more time.",
            output="\n".join(said),
        )
    if problem is not None or image is None:
        reason = (problem or "the engine ended without an image").strip()
        raise BuildError(
            f"{wanted.shown} cannot be built for {wanted.platform}: {reason}", output="\n".join(said) or None
        )
    return image


def _platform_args(engine: DockerEngine, platform: Platform) -> dict[str, str]:
    """BuildKit's own arguments (docs.docker.com, "Automatic platform ARGs"), which the older builder does not set."""
    found: dict[str, str] = {}
    for prefix, one in (("TARGET", platform), ("BUILD", engine.platform)):
        found |= {f"{prefix}PLATFORM": str(one), f"{prefix}OS": one.os, f"{prefix}ARCH": one.arch}
        found[f"{prefix}VARIANT"] = one.variant or ""
    return found


def _follow(stream: Iterator[object], said: list[str], progress: Progress) -> tuple[str | None, str | None]:
    """The id of the image, or the problem, when the stream has ended."""
    image = problem = None
    states: dict[str, str] = {}
    rest = ""
    for message in messages(stream):
        error, aux, text = message.get("error"), message.get("aux"), message.get("stream")
        if error is not None:
            problem = str(error)
        if isinstance(aux, dict) and isinstance(aux.get("ID"), str):
            image = str(aux["ID"])
        if isinstance(text, str):
            *lines, rest = (rest + text).split("\n")
            for line in lines:
                if line.strip():
                    said.append(line.rstrip())
                    (progress.step if _STEP.match(line) else progress.line)(line.strip())
                if image is None and (match := _ID.search(line)):
                    image = match[1]
        elif isinstance(status := message.get("status"), str):
            _pulling(str(message.get("id") or ""), status, states, progress)
    if rest.strip():
        said.append(rest)
    return (image, problem)


def _pulling(layer: str, status: str, states: dict[str, str], progress: Progress) -> None:
    """A base image comes: each layer's state once, not its every percent."""
    if states.get(layer) != status:
        states[layer] = status
        progress.line(f"{layer}: {status}" if layer else status)


@contextmanager
def _limited(client: Any, timeout_s: float | None) -> Iterator[threading.Event]:
    """Cuts the connection after so long, and at the end of the block: without it the engine ends the build."""
    expired = threading.Event()
    responses: list[Any] = []
    client.hooks["response"].append(lambda response, *_, **__: responses.append(response))

    def cut() -> None:
        expired.set()
        for response in responses:
            response.raw.shutdown()

    timer = threading.Timer(timeout_s, cut) if timeout_s is not None else None
    if timer is not None:
        timer.daemon = True
        timer.start()
    try:
        yield expired
    finally:
        if timer is not None:
            timer.cancel()
        for response in responses:
            response.close()
