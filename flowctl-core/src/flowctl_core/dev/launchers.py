"""What components run as: processes of this machine, or containers of the Docker engine."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from flowctl_core.dev.process import ProcessLauncher
from flowctl_core.errors import UsageError

if TYPE_CHECKING:
    from flowctl_core.dev.image_build import ImageBuilder
    from flowctl_core.dev.launch import Launcher
    from flowctl_core.dev.pipeline import DevPipeline
    from flowctl_core.models.event import Progress

Mode = Literal["native", "container", "hybrid"]


@dataclass(frozen=True)
class Ways:
    """How components start, and who makes images of sources (None: sources run as processes)."""

    launcher: Launcher
    images: ImageBuilder | None = None


def choose_ways(pipeline: DevPipeline, mode: Mode, progress: Progress, *, offline: bool) -> Ways:
    """hybrid: images as containers, all else as processes; native: processes only; container: containers only.

    Brings images of the pipeline in. Raises UsageError for a component that cannot run so, ImageError, EngineError.
    """
    images = [c for c in pipeline.components if c.program.image is not None]
    if mode == "native" or (mode == "hybrid" and not images):
        if images:
            names = ", ".join(f"{c.id} ({c.program.told})" for c in images)
            raise UsageError(
                f"--mode native runs no containers, and these are images: {names}",
                hint="Leave --mode out, or say --mode hybrid: images run as containers, all else as processes.",
            )
        return Ways(ProcessLauncher())
    others = [c for c in pipeline.components if c.program.kind not in ("image", "source")]
    if mode == "container" and others:
        names = ", ".join(c.id for c in others)
        raise UsageError(
            f"--mode container runs images and sources, and these are programs of this machine: {names}",
            hint="Name their image or source folder, or say --mode hybrid: they run as processes.",
        )
    from flowctl_core.dev.container import ContainerLauncher, HybridLauncher
    from flowctl_core.dev.image_build import ImageBuilder
    from flowctl_core.docker_engine.connect import connect

    docker = connect()
    containers = ContainerLauncher(docker)
    containers.prepare([c.program.image for c in images if c.program.image is not None], progress, offline=offline)
    if mode == "container":
        return Ways(containers, ImageBuilder(docker))
    return Ways(HybridLauncher(ProcessLauncher(), containers))
