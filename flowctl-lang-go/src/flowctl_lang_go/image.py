"""How the program becomes an image."""

from __future__ import annotations

from flowctl_core.models import Artifact, ImageFile, ImagePlan, Plan

GLIBC_BASE = "debian:12-slim"
"""Has the glibc that a dynamic program needs."""


def image(plan: Plan, artifact: Artifact) -> ImagePlan:
    """Nothing beside the program where it is static; where C was linked with glibc, a base that has that."""
    return ImagePlan(
        base=None if artifact.static else GLIBC_BASE,
        needs_certificates=plan.details.get("certificates") is not False,
        files=(ImageFile(source=artifact.path, target="/app/component"),),
    )
