"""`flowctl component build --container`: the image of a release goes into the Docker engine."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from flowctl_core.cli.progress import make_board
from flowctl_core.docker_engine.connect import DockerEngine, connect
from flowctl_core.errors import ImageError, UsageError
from flowctl_core.job import Engine, ReleaseOptions
from flowctl_core.models.release import ReleaseReport
from flowctl_core.release_images import LAYOUT


def reach_engine(engine: Engine, wanted: ReleaseOptions) -> tuple[DockerEngine, ReleaseOptions]:
    """The engine, before any time is spent, and the release with the platform that its containers run on.

    Raises EngineError without an engine, UsageError when the platforms asked for leave the engine's out.
    """
    docker = connect(engine.environ)
    if not wanted.platforms:
        return docker, replace(wanted, platforms=(docker.platform,))
    if docker.platform not in wanted.platforms:
        raise UsageError(
            f"--container loads the image for {docker.platform}, which --platforms does not name",
            hint=f"Add {docker.platform} to --platforms, or leave --platforms out.",
        )
    return docker, wanted


def load_release(docker: DockerEngine, report: ReleaseReport, root: Path, *, verbose: bool) -> ReleaseReport:
    """Load the engine's own image of a release. Raises ImageError when there is none, EngineError."""
    from flowctl_core.package.load import engine_names, load_image
    from flowctl_core.specfile.load import load_component

    if docker.platform not in {image.platform for image in report.images}:
        raise ImageError(
            f"{report.component} has no container image for {docker.platform}",
            hint="This language's builder makes none; name a Dockerfile: spec.build.container.dockerfile.",
        )
    release = root / report.directory
    namespace = load_component(release / "metadata" / "component.yaml").spec.namespace
    names = engine_names(report.component, report.version, namespace)
    with make_board([root.name], verbose=verbose) as board:
        board.row(root.name).step(f"loading {names[0]} into the Docker engine")
        loaded = load_image(docker, release / LAYOUT, docker.platform, names)
    return report.model_copy(update={"loaded": loaded})
