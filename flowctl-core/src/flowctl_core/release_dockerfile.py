"""The images of a component that has a Dockerfile: the engine builds them, the release takes them over."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import JsonValue

from flowctl_core.errors import BuildError, EngineError, ImageError
from flowctl_core.job import Job
from flowctl_core.models import Platform
from flowctl_core.models.build_info import DockerfileInfo
from flowctl_core.models.image import WrittenImage
from flowctl_core.models.release import ImageFailure
from flowctl_core.release_record import own_metadata
from flowctl_core.store.export import exported_files
from flowctl_core.store.files import system_refusals

if TYPE_CHECKING:
    from flowctl_core.docker_engine.connect import DockerEngine
    from flowctl_core.package.blobs import Blobs
    from flowctl_core.package.dockerfile import Dockerfile

_WAYS = (
    "`--no-images` makes the release without images; `build.images.dockerfiles: false` in the configuration lets "
    "flowctl assemble them without an engine."
)


def read_dockerfile(job: Job) -> None:
    """Where component.yaml speaks of a Dockerfile, or nothing else makes an image: read it, and find an engine.

    Before any time is spent on building. Raises SpecError for a Dockerfile that is not there, EngineError.
    """
    release = job.releasing
    release.dockerfile = dockerfile_of(job)
    if release.dockerfile is not None:
        release.docker = _reach(job, release.dockerfile)


def dockerfile_of(job: Job) -> Dockerfile | None:
    """What the images of this release are built from; None: they are assembled, or there are none."""
    if not job.releasing.options.images or not job.engine.config.build.images.dockerfiles:
        return None
    if not any(platform.os == "linux" for platform in job.plan.platforms):
        return None
    from flowctl_core.package.dockerfile import default_dockerfile, find_dockerfile

    found = find_dockerfile(job.spec.spec.container_build, job.root) if job.spec is not None else None
    return found if found is not None or _builder_makes_images(job) else default_dockerfile(job.root)


def _builder_makes_images(job: Job) -> bool:
    return "flowctl_image" in job.engine.plugins.manager.builder(job.builder).hooks


def _reach(job: Job, dockerfile: Dockerfile) -> DockerEngine:
    from flowctl_core.docker_engine.connect import connect

    try:
        docker = connect(job.engine.environ)
    except EngineError as error:
        raise EngineError(
            f"{error.message}, and {dockerfile.shown} needs one", hint=f"{error.hint}\n{_WAYS}", output=error.output
        ) from error
    if docker.platform.os != "linux":
        raise EngineError(
            f"the Docker engine runs containers for {docker.platform}, and images are for linux",
            hint="Switch Docker Desktop to Linux containers.",
        )
    return docker


def build_by_dockerfile(job: Job, layout: Path, index_copy: Path) -> None:
    """One image for each linux platform; one that cannot be built does not hide the others.

    Raises BuildError when there is none at all.
    """
    release = job.releasing
    docker, dockerfile = release.docker, release.dockerfile
    if docker is None or dockerfile is None:
        return
    from flowctl_core.package.blobs import Blobs
    from flowctl_core.package.image_rules import check_user
    from flowctl_core.package.layout import finish_layout

    blobs = Blobs(layout)
    written: list[WrittenImage] = []
    problems: list[BuildError | ImageError] = []
    for platform in sorted((p for p in job.plan.platforms if p.os == "linux"), key=lambda p: p != docker.platform):
        try:
            image, config = _build_one(job, docker, dockerfile, platform, blobs)
        except (BuildError, ImageError) as error:
            problems.append(error)
            release.image_failures.append(
                ImageFailure(platform=platform, reason=error.message, hint=error.hint, output=error.output)
            )
            continue
        written.append(image)
        job.warnings.extend(f"the image for {platform} that {dockerfile.shown} makes: {p}" for p in check_user(config))
    if not written:
        raise problems[0]
    written.sort(key=lambda image: image.platform)
    release.layout = finish_layout(written, layout, blobs, ref_name=job.plan.version, index_copy=index_copy)
    release.built_by_dockerfile = DockerfileInfo(
        path=dockerfile.path,
        digest=dockerfile.digest,
        context=dockerfile.context,
        target=dockerfile.target,
        args=dockerfile.args,
        engine=docker.version,
    )


def _build_one(
    job: Job, docker: DockerEngine, dockerfile: Dockerfile, platform: Platform, blobs: Blobs
) -> tuple[WrittenImage, dict[str, JsonValue]]:
    from flowctl_core.docker_engine.images import save
    from flowctl_core.package.describe import image_labels
    from flowctl_core.package.dockerfile_build import Workbench, build_dockerfile
    from flowctl_core.package.engine_image import take_image
    from flowctl_core.package.load import scratch_name

    release = job.releasing
    spec = job.spec.spec if job.spec is not None else None
    bench = Workbench(
        engine=docker,
        root=job.root,
        files=exported_files(job.root),
        folder=job.state,
        runner=job.engine.runner,
        environ=job.engine.environ,
        epoch=release.source.epoch,
        offline=job.options.offline,
        timeout_s=job.engine.config.build.local.timeout,
    )
    labels = image_labels(job.plan.component, job.plan.version, spec, release.source, own_metadata(job))
    tag = scratch_name(job.plan.component, platform)
    image = build_dockerfile(bench, dockerfile, platform, tag, job.progress, labels=labels)
    with system_refusals(job.state), tempfile.TemporaryFile(dir=job.state) as archive:
        job.progress.step(f"taking the image for {platform} from the Docker engine")
        save(docker, image, archive)
        return take_image(archive, blobs, platform, dockerfile.shown, parallel=os.cpu_count() or 1)
