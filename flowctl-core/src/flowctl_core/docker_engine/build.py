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
from flowctl_core.errors import BuildError, EngineError, ToolTimeoutError
from flowctl_core.models.base import Frozen
from flowctl_core.models.event import Progress
from flowctl_core.models.platform import Platform

_COLOUR = re.compile("\x1b\\[[0-9;]*m")
_NO_EMULATION = ("exec format error", "runtime execution on platform", "invalid elf image")
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
    said: list[str] = []
    expired = threading.Event()
    try:
        image, problem = _build(engine, context, wanted, progress, said, timeout_s, expired)
    except EngineError:
        if not expired.is_set():
            raise
    if expired.is_set():
        raise ToolTimeoutError(
            f"building {wanted.shown} for {wanted.platform} took longer than {timeout_s:g} s and was ended",
            hint="Raise build.local.timeout in the configuration if it needs more time.",
            output="\n".join(said),
        )
    if problem is not None or image is None:
        raise build_failure(wanted, problem or "the engine ended without an image", "\n".join(said))
    return image


def build_failure(wanted: ImageBuild, reason: str, output: str) -> BuildError:
    """The error for an image that could not be built, with what would help where that can be told."""
    said = f"{reason}\n{output}".lower()
    hint = None
    if any(sign in said for sign in _NO_EMULATION):
        hint = (
            f"The engine's machine cannot run programs for {wanted.platform}. Give it an emulator: "
            "`apt-get install qemu-user-static binfmt-support` there, or build on a worker of that platform."
        )
    elif "buildkit" in said:
        hint = "flowctl reaches BuildKit by the command docker and its plugin buildx: install docker-buildx-plugin."
    return BuildError(
        f"{wanted.shown} cannot be built for {wanted.platform}: {reason.strip()}", hint=hint, output=output or None
    )


def _build(
    engine: DockerEngine,
    context: IO[bytes],
    wanted: ImageBuild,
    progress: Progress,
    said: list[str],
    timeout_s: float | None,
    expired: threading.Event,
) -> tuple[str | None, str | None]:
    from docker.errors import APIError

    with engine.work("build the image") as client, _limited(client, timeout_s, expired):
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
            return _follow(stream, said, progress)
        except APIError as error:
            return None, str(error.explanation or error)


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
            for line in map(_plain, lines):
                if line.strip():
                    said.append(line.rstrip())
                    (progress.step if _STEP.match(line) else progress.line)(line.strip())
                if image is None and (match := _ID.search(line)):
                    image = match[1]
        elif isinstance(status := message.get("status"), str):
            _pulling(str(message.get("id") or ""), status, states, progress)
    if rest.strip():
        said.append(_plain(rest))
    return image, problem


def _plain(text: str) -> str:
    """Without the colour that the engine gives to what went to standard error."""
    return _COLOUR.sub("", text)


def _pulling(layer: str, status: str, states: dict[str, str], progress: Progress) -> None:
    """A base image comes: each layer's state once, not its every percent."""
    if states.get(layer) != status:
        states[layer] = status
        progress.line(f"{layer}: {status}" if layer else status)


@contextmanager
def _limited(client: Any, timeout_s: float | None, expired: threading.Event) -> Iterator[None]:
    """Cuts the connection after so long, and at the end of the block: without it the engine ends the build."""
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
        yield
    finally:
        if timer is not None:
            timer.cancel()
        for response in responses:
            response.close()
