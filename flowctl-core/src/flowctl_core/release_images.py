"""The step of a release that makes container images, without a daemon."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from flowctl_core.errors import ImageError
from flowctl_core.job import Job
from flowctl_core.models import Artifact, ImagePlan, Platform
from flowctl_core.models.image import BaseImage, ImageInput
from flowctl_core.models.release import ReleaseArtifact
from flowctl_core.release_dockerfile import build_by_dockerfile
from flowctl_core.release_record import own_metadata
from flowctl_core.release_steps import CONTAINERS

LAYOUT = f"{CONTAINERS}/oci"
INDEX_COPY = f"{CONTAINERS}/manifest.json"


def assemble_images(job: Job) -> None:
    """One image for each linux platform that was built, and the index over them."""
    release = job.releasing
    if not release.options.images:
        return
    if release.dockerfile is not None:
        build_by_dockerfile(job, release.made / LAYOUT, release.made / INDEX_COPY)
        _require_sound(job)
        return
    planned = _planned(job)
    if not planned:
        job.progress.note("no container image: there is no program for linux")
        return
    from flowctl_core.package.layout import write_layout

    bases = _bases(job, planned)
    job.progress.step("assembling container images")
    release.layout = write_layout(
        [_described(job, platform, plan, bases.get(platform)) for platform, plan in planned.items()],
        release.made / LAYOUT,
        epoch=release.source.epoch,
        ref_name=job.plan.version,
        index_copy=release.made / INDEX_COPY,
    )
    _require_sound(job)


def _require_sound(job: Job) -> None:
    from flowctl_core.package.invariants import require_sound

    release = job.releasing
    layers = [layer for image in release.layout.images for layer in image.layers] if release.layout is not None else []
    require_sound(
        release.made / LAYOUT,
        base_layers={layer.digest for layer in layers if layer.from_base},
        rules=release.dockerfile is None,
    )


def _planned(job: Job) -> dict[Platform, ImagePlan]:
    """What the builder says of each linux platform's program."""
    found = {}
    for report in job.releasing.platforms:
        program = next((one for one in report.artifacts if one.kind == "program"), None)
        if report.platform.os != "linux" or program is None:
            continue
        plan = job.engine.plugins.image(job.builder, job.plan, _as_artifact(program))
        if plan is not None:
            found[report.platform] = plan
    return found


def needed_base(job: Job, platform: Platform) -> str | None:
    """Reference of the image on which a built platform's own stands; None without one.

    For a platform of `releasing.platforms`, before its files are in the release's folder.
    """
    plan = _planned(job).get(platform)
    return base_reference(job, plan) if plan is not None else None


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
        interpreter=made.interpreter,
        static=facts is not None and facts.static,
    )


def _described(job: Job, platform: Platform, plan: ImagePlan, base: BaseImage | None) -> ImageInput:
    from flowctl_core.package.describe import describe_image

    release = job.releasing
    return describe_image(
        plan,
        platform,
        component=job.plan.component,
        version=job.plan.version,
        spec=job.spec.spec if job.spec is not None else None,
        source_root=release.made,
        source=release.source,
        base=base,
        own_metadata=own_metadata(job),
        digests={made.path: made.digest for report in release.platforms for made in report.artifacts},
    )


def _bases(job: Job, planned: dict[Platform, ImagePlan]) -> dict[Platform, BaseImage]:
    """The bases, each fetched once for all its platforms; without those whose image has none."""
    wanted: dict[str, list[Platform]] = {}
    for platform, plan in planned.items():
        reference = base_reference(job, plan)
        if reference is not None:
            wanted.setdefault(reference, []).append(platform)
    return fetch_bases(job, wanted) if wanted else {}


def fetch_bases(job: Job, wanted: Mapping[str, Sequence[Platform]]) -> dict[Platform, BaseImage]:
    """The base image of each platform, by the reference that names it. Raises ImageError."""
    from flowctl_core.package.base import fetch_base

    cache = job.engine.config.build.local.cache_dir / "images"
    found: dict[Platform, BaseImage] = {}
    for reference, platforms in wanted.items():
        job.progress.step(f"base image {reference}")
        pinned = _as_recorded(job, reference)
        try:
            found |= fetch_base(pinned, platforms, cache, offline=job.options.offline, progress=job.progress)
        except ImageError as error:
            ways = "`--no-images` makes the release without images; spec.build.container.base names another base."
            hint = f"{error.hint}\n{ways}" if error.hint else ways
            raise ImageError(error.message, hint=hint, output=error.output) from error
    return found


def base_reference(job: Job, plan: ImagePlan) -> str | None:
    """component.yaml names the base, else the configuration, else the builder; «scratch» is none."""
    declared = job.spec.spec.container_build.base if job.spec is not None else None
    configured = job.engine.config.build.images.base.get(job.plan.language)
    reference = declared or configured or plan.base
    return None if reference == "scratch" else reference


def _as_recorded(job: Job, reference: str) -> str:
    """The reference, with the digest that it had when it was fetched, or a release that is made again was made."""
    if reference in job.releasing.bases and "@" not in reference:
        from flowctl_core.package.reference import parse_reference

        return f"{parse_reference(reference)}@{job.releasing.bases[reference]}"
    again = job.releasing.options.again
    if again is None or again.images is None or "@" in reference:
        return reference
    from flowctl_core.package.reference import parse_reference

    name = str(parse_reference(reference))
    return next((f"{name}@{base.digest}" for base in again.images.bases if base.reference == name), reference)
