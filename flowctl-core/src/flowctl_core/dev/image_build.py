"""Makes a container image of a component's working tree, for `flowctl dev --mode container`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from flowctl_core.errors import ImageError
from flowctl_core.job import Engine, Options, ReleaseOptions
from flowctl_core.models import BuildReport
from flowctl_core.store.files import STATE_DIR

if TYPE_CHECKING:
    from flowctl_core.docker_engine.connect import DockerEngine
    from flowctl_core.models import Progress

FOLDER = f"{STATE_DIR}/dev/release"
"""Where the release of the image is, below the component's folder."""


@dataclass(frozen=True)
class MadeImage:
    """An image that the engine has."""

    id: str
    report: BuildReport


class ImageBuilder:
    """The image that a registry would make, for the platform of the engine's containers: base, files, user and all."""

    def __init__(self, docker: DockerEngine) -> None:
        self._docker = docker

    def build(self, root: Path, engine: Engine, options: Options, progress: Progress) -> MadeImage:
        """Build a release of the working tree and load its image. Raises FlowctlError, ImageError without an image."""
        from flowctl_core.package.load import load_image, scratch_name
        from flowctl_core.release_images import LAYOUT
        from flowctl_core.workflow import run_release

        platform = self._docker.platform
        dist = root / FOLDER
        dist.parent.mkdir(parents=True, exist_ok=True)
        report = run_release(root, engine, options, ReleaseOptions(platforms=(platform,), dist=dist), progress)
        if platform not in {image.platform for image in report.images}:
            raise ImageError(
                f"{report.component} has no container image for {platform}",
                hint="Run it as a process: --mode hybrid. Or name a Dockerfile: spec.build.container.dockerfile.",
            )
        progress.step("loading the image into the Docker engine")
        loaded = load_image(self._docker, dist / LAYOUT, platform, (scratch_name(report.component, platform),))
        told = BuildReport(
            component=report.component,
            version=report.version,
            language=report.language,
            platform=platform,
            profile="release",
            cache="miss",
            duration_s=report.duration_s,
            artifacts=(),
            warnings=report.warnings,
        )
        return MadeImage(loaded.id, told)
