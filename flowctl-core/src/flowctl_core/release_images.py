"""The step of a release that makes container images, without a daemon."""

from __future__ import annotations

from flowctl_core.errors import ImageError
from flowctl_core.job import Job
from flowctl_core.models import Artifact, ImagePlan, Platform
from flowctl_core.models.image import BaseImage, ImageInput
from flowctl_core.models.release import PlatformReport, ReleaseArtifact
from flowctl_core.release_record import own_metadata
from flowctl_core.release_steps import CONTAINERS

LAYOUT = f"{CONTAINERS}/oci"
INDEX_COPY = f"{CONTAINERS}/manifest.json"


def assemble_images(job: Job) -> None:
    """One image for each linux platform that was built, and the index over them."""
    release = job.releasing
    if not release.options.images:
        return
    images = [image for report in release.platforms if (image := _image(job, report)) is not None]
    if not images:
        job.progress.note("no container image: there is no program for linux")
        return
    from flowctl_core.package.layout import write_layout

    job.progress.step("assembling container images")
    release.layout = write_layout(
        images,
        release.made / LAYOUT,
        epoch=release.source.epoch,
        ref_name=f"{job.plan.component}:{job.plan.version}",
        index_copy=release.made / INDEX_COPY,
    )


def _image(job: Job, report: PlatformReport) -> ImageInput | None:
    if report.platform.os != "linux":
        return None
    program = next((one for one in report.artifacts if one.kind == "program"), None)
    if program is None:
        return None
    planned = job.engine.plugins.image(job.builder, job.plan, _as_artifact(program))
    if planned is None:
        return None
    from flowctl_core.package.describe import describe_image

    release = job.releasing
    return describe_image(
        planned,
        report.platform,
        component=job.plan.component,
        version=job.plan.version,
        spec=job.spec.spec if job.spec is not None else None,
        source_root=release.made,
        source=release.source,
        base=_base(job, planned, report.platform),
        own_metadata=own_metadata(job),
    )


def _as_artifact(made: ReleaseArtifact) -> Artifact:
    facts = made.facts
    script = facts is not None and facts.format == "script"
    return Artifact(
        path=made.path,
        kind=made.kind,
        platform=made.platform,
        digest=made.digest,
        size=made.size,
        format="script" if script else "native",
        interpreter=(facts.interpreter or "") if facts is not None and script else "",
        static=facts is not None and facts.static,
    )


def _base(job: Job, planned: ImagePlan, platform: Platform) -> BaseImage | None:
    """component.yaml names the base, else the configuration, else the builder; «scratch» is none."""
    declared = job.spec.spec.container_base if job.spec is not None else None
    configured = job.engine.config.build.images.base.get(job.plan.language)
    reference = declared or configured or planned.base
    if reference is None or reference == "scratch":
        return None
    raise ImageError(
        f"the image for {platform} wants the base {reference}, and bases cannot be fetched yet",
        hint="Leave images out with --no-images, or name `scratch` in component.yaml: spec.build.container.base.",
    )
