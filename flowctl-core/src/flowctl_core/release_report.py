"""What a release build reports when it is done."""

from __future__ import annotations

import time

from flowctl_core.job import Job
from flowctl_core.models.release import ReleaseImage, ReleaseReport
from flowctl_core.store import dist


def release_report(job: Job) -> ReleaseReport:
    """What happened, for people and programs."""
    release = job.releasing
    images = release.layout.images if release.layout is not None else ()
    scan = release.scan
    return ReleaseReport(
        component=job.plan.component,
        version=job.plan.version,
        language=job.plan.language,
        directory=dist.shown(release.origin, release.target),
        source=release.source,
        platforms=tuple(release.platforms),
        image_index=release.layout.index_digest if release.layout is not None else None,
        images=tuple(ReleaseImage(platform=i.platform, digest=i.digest, size=i.size) for i in images),
        image_failures=tuple(release.image_failures),
        vulnerabilities=scan.counts if scan is not None and scan.status != "not-scanned" else None,
        not_scanned=scan.reason if scan is not None else None,
        duration_s=round(time.monotonic() - job.started, 4),
        warnings=tuple(dict.fromkeys(job.warnings)),
    )
