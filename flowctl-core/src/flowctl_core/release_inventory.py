"""The steps of a release that say what is in it: dependencies, SBOM, scan."""

from __future__ import annotations

from flowctl_core import dependency_steps
from flowctl_core.job import Job
from flowctl_core.models import Artifact
from flowctl_core.release_record import SBOM, SCAN, write_json


def list_dependencies(job: Job) -> None:
    """What was really resolved; None when the builder cannot tell."""
    job.progress.step("listing dependencies")
    job.releasing.dependencies = dependency_steps.resolve_dependencies(job)


def write_sbom(job: Job) -> None:
    """`metadata/sbom.cdx.json`, about the files of the release."""
    from flowctl_core.scan.sbom import make_sbom

    release = job.releasing
    made = [artifact for report in release.platforms for artifact in report.artifacts]
    artifacts = [
        Artifact(path=one.path, kind=one.kind, platform=one.platform, digest=one.digest, size=one.size) for one in made
    ]
    materials = [material for report in release.platforms for material in report.materials]
    content = dependency_steps.sbom_input(
        job, release.dependencies, epoch=release.source.epoch, artifacts=artifacts, materials=materials
    )
    (release.made / SBOM).write_text(make_sbom(content), encoding="utf-8")


def scan_dependencies(job: Job) -> None:
    """What is known against the dependencies, or why nothing was scanned."""
    release = job.releasing
    if release.options.again is not None:  # what is known by now is no part of the comparison
        return
    release.scan = dependency_steps.scan_dependencies(job, release.dependencies)


def write_scan(job: Job) -> None:
    """`metadata/security-scan.json`, where there was a scan."""
    release = job.releasing
    if release.scan is not None:
        write_json(release.made / SCAN, release.scan.model_dump(mode="json"))
