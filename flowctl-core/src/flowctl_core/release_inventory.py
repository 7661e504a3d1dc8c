"""The steps of a release that say what is in it: dependencies, SBOM, scan."""

from __future__ import annotations

from flowctl_core.job import Job
from flowctl_core.release_record import SBOM


def list_dependencies(job: Job) -> None:
    """What was really resolved."""
    from flowctl_core.steps import make_context

    job.releasing.dependencies = job.engine.plugins.dependencies(job.builder, job.plan, make_context(job, job.state))


def write_sbom(job: Job) -> None:
    """`metadata/sbom.cdx.json`."""
    (job.releasing.made / SBOM).write_text("{}", encoding="utf-8")


def scan_dependencies(job: Job) -> None:
    """`metadata/security-scan.json`."""
