"""Builds a component's Dockerfile for one platform: by docker-py, or by BuildKit where only that can."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from flowctl_core.docker_engine.build import ImageBuild, build_image
from flowctl_core.docker_engine.buildkit import build_by_command, find_command, needs_buildkit
from flowctl_core.docker_engine.connect import DockerEngine
from flowctl_core.docker_engine.images import drop_image, find_image
from flowctl_core.models.event import Progress
from flowctl_core.models.platform import Platform
from flowctl_core.models.process import Runner
from flowctl_core.package.blobs import refusals
from flowctl_core.package.dockerfile import Dockerfile, pack_context


@dataclass(frozen=True)
class Workbench:
    """With what an image is built."""

    engine: DockerEngine
    root: Path
    """Folder of the source."""
    files: Sequence[str]
    """The source's own files, relative to it."""
    folder: Path
    """For what is needed while it lasts."""
    runner: Runner
    environ: Mapping[str, str]
    epoch: int
    """Time of all files, in seconds (SOURCE_DATE_EPOCH)."""
    offline: bool = False
    timeout_s: float | None = None


def build_dockerfile(
    bench: Workbench,
    dockerfile: Dockerfile,
    platform: Platform,
    tag: str,
    progress: Progress,
    *,
    target: str | None = None,
    labels: Mapping[str, str] | None = None,
) -> str:
    """Build the image under a tag and return its id; what had the tag before is removed where nothing else uses it.

    Raises BuildError with the engine's own words, ToolTimeoutError, EngineError, StoreError.
    """
    engine = bench.engine
    before = find_image(engine, tag)
    wanted = ImageBuild(
        dockerfile="",
        shown=dockerfile.shown,
        platform=platform,
        tag=tag,
        target=target or dockerfile.target,
        args={"SOURCE_DATE_EPOCH": str(bench.epoch), **dockerfile.args},
        labels=dict(labels or {}),
        network=not bench.offline,
    )
    # The older builder also mixes platforms up: what follows `FROM scratch` is for its own machine.
    newer = needs_buildkit(dockerfile.text) or platform != engine.platform
    command = find_command(bench.environ, bench.runner) if newer else None
    with refusals(bench.folder), tempfile.TemporaryFile(dir=bench.folder) as context:
        name = pack_context(dockerfile, bench.root, bench.files, context, epoch=bench.epoch)
        wanted = wanted.model_copy(update={"dockerfile": name})
        progress.step(f"building {dockerfile.shown} for {platform} in the Docker engine")
        if command is None:
            image = build_image(engine, context, wanted, progress, timeout_s=bench.timeout_s)
        else:
            image = build_by_command(
                engine,
                command,
                context,
                wanted,
                progress,
                runner=bench.runner,
                environ=bench.environ,
                folder=bench.folder,
                timeout_s=bench.timeout_s,
            )
    if before is not None and before.id != image:
        drop_image(engine, before.id)
    return image
