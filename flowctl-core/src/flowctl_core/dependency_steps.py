"""The steps that look at what a component depends on: list, SBOM, scan. A release and single commands take them."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import flowctl_core
from flowctl_core.job import Job
from flowctl_core.models import Artifact, DependencyReport, Material
from flowctl_core.steps import make_context

if TYPE_CHECKING:
    from flowctl_core.models.sbom import SbomInput
    from flowctl_core.models.scan import ScanReport


def resolve_dependencies(job: Job) -> DependencyReport | None:
    """What the builder says was really resolved, after fetch; None when it cannot tell."""
    return job.engine.plugins.dependencies(job.builder, job.plan, make_context(job, job.state))


def sbom_input(
    job: Job,
    dependencies: DependencyReport | None,
    *,
    epoch: int,
    artifacts: Iterable[Artifact] = (),
    materials: Iterable[Material] = (),
) -> SbomInput:
    """What `scan.sbom.make_sbom` makes the SBOM of this component from.

    `epoch` is the source's time in seconds since 1970; artifacts have digest and size.
    """
    from flowctl_core.models.sbom import SbomInput, SbomTool

    spec = job.spec.spec if job.spec is not None else None
    plugins = {
        (identity.distribution, identity.version): SbomTool(name=identity.distribution, version=identity.version)
        for identity in job.engine.plugins.identities(job.builder)
    }
    own = SbomTool(name="flowctl-core", version=flowctl_core.__version__)
    return SbomInput(
        name=job.plan.component,
        version=job.plan.version,
        namespace=spec.namespace if spec is not None else None,
        description=spec.description if spec is not None else None,
        license=spec.license if spec is not None else None,
        dependencies=dependencies or DependencyReport(),
        artifacts=tuple(artifacts),
        materials=tuple(dict.fromkeys(materials)),
        tools=tuple({(own.name, own.version): own, **plugins}.values()),
        source_epoch=epoch,
    )


def scan_dependencies(job: Job, dependencies: DependencyReport | None) -> ScanReport:
    """Look the dependencies up where the configuration says, and mark what component.yaml ignores.

    What is odd goes into the job's warnings, with its place in component.yaml. Raises ScanError when a database that
    was named cannot be read. Whether the findings matter is decided by `scan.verdict.require_safe`.
    """
    from flowctl_core.scan.osv import ScanSettings, not_scanned, scan
    from flowctl_core.scan.verdict import apply_ignores

    config = job.engine.config.build
    if dependencies is None:
        report = not_scanned(f"the builder {job.builder} does not list dependencies")
    else:
        job.progress.step("scanning for known vulnerabilities")
        settings = ScanSettings(
            database=config.scan.database,
            api=config.scan.api,
            offline=job.options.offline,
            cache_dir=config.local.cache_dir,
            note=job.progress.note,
        )
        report = scan(dependencies, settings)
    job.warnings.extend(report.warnings)
    ignores = job.spec.spec.scan_ignores if job.spec is not None else ()
    report, remarks = apply_ignores(report, ignores, datetime.now(UTC).date())
    if job.spec is not None:
        for remark in remarks:
            place = ("spec", "build", "scan", "ignore", remark.place)
            job.warnings.append(str(job.spec.finding("warning", place, remark.message)))
    return report
